import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

/** From the ground up: a file may import from its own room and from those below, never from above. */
const ROOMS = [
  'actors/kernel',
  'actors/ports',
  'actors/host',
  'actors',
  'src/inspect',
  'supervisors',
  'src/topology',
  'src/admission',
  'src/providers',
  'src/stores',
  'src/coordination',
  'src/isolation',
  'src/runtime',
  'src/isolation/child',
  'src/testing',
  'src/cli',
  'src',
];

/** Rooms on one floor that must not know each other: adapters see ports, not one another. */
const STRANGERS = [
  ['src/providers', 'src/stores'],
  ['src/providers', 'src/runtime'],
];

const SOURCES = globSync('{actors,supervisors,src}/**/*.ts');

function roomOf(file: string): string {
  return ROOMS.filter((room) => file.startsWith(`${room}/`)).toSorted((a, b) => b.length - a.length)[0]!;
}

function importsOf(file: string): readonly { readonly target: string; readonly line: number }[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((text, at) => {
      const target = /(?:from|import|import\()\s*'(\.[^']+)'/.exec(text)?.[1];
      return target === undefined ? [] : [{ target: normalize(join(dirname(file), target)), line: at + 1 }];
    });
}

function climbing(files: readonly string[], importsIn = importsOf): string[] {
  return files.flatMap((file) =>
    importsIn(file)
      .filter(({ target }) => {
        const [from, to] = [roomOf(file), roomOf(target)];
        return ROOMS.indexOf(to) > ROOMS.indexOf(from) || STRANGERS.some(([a, b]) => a === from && b === to);
      })
      .map(({ target, line }) => `${file}:${line} climbs to ${target}`),
  );
}

test('imports run downward only', () => {
  expect(SOURCES.length).toBeGreaterThan(20);
  expect(climbing(SOURCES)).toEqual([]);
});

test('an import that climbs is named with its line', () => {
  const planted = () => [{ target: 'src/runtime/fleet.ts', line: 7 }];
  expect(climbing(['actors/queue.ts'], planted)).toEqual(['actors/queue.ts:7 climbs to src/runtime/fleet.ts']);
});

test('only the kernel reads the wall clock, real chance, or sets real timers', () => {
  const leaks = /\bDate\.now\(|\bMath\.random\(|\bperformance\.now\(|\bsetTimeout\(|\bsetInterval\(|new Date\(\)/;
  // Adapters to the world outside may: a provider on a socket, a terminal, a thread.
  const mayLeak = ['actors/kernel/', 'src/providers/', 'src/cli/', 'src/stores/', 'src/isolation/'];
  const found = SOURCES.filter((file) => !mayLeak.some((place) => file.startsWith(place))).flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((text, at) => (leaks.test(text) && !/^\s*(\*|\/\/)/.test(text) ? [`${file}:${at + 1}: ${text.trim()}`] : [])),
  );
  expect(found.filter((line) => !line.includes('setTimeout: (fire'))).toEqual([]);
});
