import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Output } from '../../src/cli/output.ts';
import { startLive } from '../../src/cli/testing/live.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A display and what it has written. */
function started(mode: 'terminal' | 'pipe' | 'quiet', columns = 60) {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString());
      done();
    },
  });
  const shown = { parts: undefined as readonly string[] | undefined };
  const display = startLive({
    stderr: new Output(stream, () => {}),
    mode,
    parts: () => shown.parts,
    nowMs: () => Date.now(),
    columns: () => columns,
  });
  return { display, shown, said: () => written.join('') };
}

const HIDE = '\u001B[?25l';
const SHOW = '\u001B[?25h';

describe('in a pipe', () => {
  test('a plain line comes every five seconds, when it says something new', () => {
    const { display, shown, said } = started('pipe');
    shown.parts = ['lab: 1%', '1 of 100 seeds'];
    vi.advanceTimersByTime(4_999);
    expect(said()).toBe('');
    vi.advanceTimersByTime(10_001);
    expect(said()).toBe('lab: 1%, 1 of 100 seeds\n');
    shown.parts = ['lab: 2%'];
    vi.advanceTimersByTime(5_000);
    display.close();
    expect(said()).toBe('lab: 1%, 1 of 100 seeds\nlab: 2%\n');
  });

  test('of many notes of one sort the first few are shown, and the others counted', () => {
    const { display, said } = started('pipe');
    for (let at = 0; at < 8; at += 1) display.note('lines were printed', `line \u001B[2J${at}`);
    display.close();
    expect(said()).toBe(`${[0, 1, 2, 3, 4].map((at) => `line [2J${at}\n`).join('')}... and 3 more: lines were printed\n`);
  });
});

describe('on a terminal', () => {
  test('lines are no wider than the terminal, and the cursor comes back', () => {
    const { display, shown, said } = started('terminal', 20);
    shown.parts = ['lab: 1%', '1 of 100 seeds', 'violations 0', 'a part that is much longer than a line'];
    vi.advanceTimersByTime(100);
    const drawn = said().replace(HIDE, '').split('\n');
    expect(drawn).toEqual(['lab: 1%', '  1 of 100 seeds', '  violations 0', '  a part that is m…']);
    display.close();
    expect(said().endsWith(SHOW)).toBe(true);
  });

  test('an alert stays above what is drawn', () => {
    const { display, shown, said } = started('terminal');
    shown.parts = ['lab: 1%'];
    vi.advanceTimersByTime(100);
    display.alert('seed 9: U1');
    expect(said().endsWith('seed 9: U1\nlab: 1%')).toBe(true);
    display.close();
  });

  test('paused, nothing is drawn until it goes on', () => {
    const { display, shown, said } = started('terminal');
    shown.parts = ['lab: 1%'];
    display.pause();
    vi.advanceTimersByTime(1_000);
    expect(said()).not.toContain('lab');
    display.resume();
    vi.advanceTimersByTime(100);
    expect(said()).toContain('lab: 1%');
    display.close();
  });
});

test('quiet, only alerts are written', () => {
  const { display, shown, said } = started('quiet');
  shown.parts = ['lab: 1%'];
  display.note('notes', 'not this');
  vi.advanceTimersByTime(60_000);
  display.alert('this');
  display.close();
  expect(said()).toBe('this\n');
});
