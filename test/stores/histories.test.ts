/** The model, the memory store and the SQLite store give the same answers to the same history, whatever it is. */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryDisk, memoryStore } from '../../src/stores/memory.ts';
import { compare } from './compare.ts';
import { InlineThread } from './conformance/inline-thread.ts';
import { SqlitePlace } from './conformance/sqlite-place.ts';
import type { Place } from './conformance.ts';
import { clockHistory, history } from './histories.ts';
import type { History } from './histories.ts';

/** `DROVER_SEED=17 npx vitest run test/stores/histories.test.ts` runs another set of histories. */
const SEED = Number(process.env['DROVER_SEED'] ?? 20_261_121);

/** What the histories of the first test are to come by. */
const ANSWERS = [
  'accepted',
  'known',
  'full',
  'stale',
  'started',
  'blocked',
  'rejected',
  'settled',
  'refused',
  'conflict',
  'written',
  'read',
  'kept',
  'forgotten',
  'more',
];

/** On a busy machine a thread takes long to start. */
const TIME_LIMIT_MS = 180_000;

/** Histories are about answers, not about the disk. */
const QUICK_DISK = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

test(
  'any history: the memory store answers as the model does',
  async () => {
    await fc.assert(
      fc.asyncProperty(history, (steps) => compare(steps, memoryPlace())),
      { seed: SEED, numRuns: 200 },
    );
  },
  TIME_LIMIT_MS,
);

test(
  'any history: the commands of the SQLite store answer as the model does',
  async () => {
    await fc.assert(
      fc.asyncProperty(history, (steps) =>
        onDisk(steps, new SqlitePlace({}, { root: QUICK_DISK, makeThread: (name, path) => new InlineThread(name, path) })),
      ),
      { seed: SEED, numRuns: 60 },
    );
  },
  TIME_LIMIT_MS,
);

test(
  'any history that is looked at when it is over: what the SQLite store only knows and has not written answers as the model does',
  async () => {
    await fc.assert(
      fc.asyncProperty(history, async (steps) => {
        const place = new SqlitePlace({}, { root: QUICK_DISK, makeThread: (name, path) => new InlineThread(name, path) });
        try {
          await compare(steps, place, { looks: 'at the end' });
        } finally {
          await place.remove();
        }
      }),
      { seed: SEED + 2, numRuns: 150 },
    );
  },
  TIME_LIMIT_MS,
);

test(
  'any history: the SQLite store answers as the model does, through its thread and over crashes',
  async () => {
    await fc.assert(
      fc.asyncProperty(history, (steps) => onDisk(steps, new SqlitePlace())),
      { seed: SEED + 1, numRuns: 6 },
    );
  },
  TIME_LIMIT_MS,
);

test(
  'any history of leases and gates, over owners whose clocks are behind: both stores answer as the model does',
  async () => {
    await fc.assert(
      fc.asyncProperty(clockHistory, async (steps) => {
        await compare(steps, memoryPlace());
        await onDisk(steps, new SqlitePlace({}, { root: QUICK_DISK, makeThread: (name, path) => new InlineThread(name, path) }));
      }),
      { seed: SEED, numRuns: 100 },
    );
  },
  TIME_LIMIT_MS,
);

test(
  'histories come by everything that a store may answer',
  async () => {
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(history, (steps) => compare(steps, memoryPlace(), { seen })),
      { seed: SEED, numRuns: 100 },
    );
    expect(ANSWERS.filter((answer) => !seen.has(answer))).toEqual([]);
  },
  TIME_LIMIT_MS,
);

async function onDisk(steps: History, place: Place): Promise<void> {
  try {
    await compare(steps, place);
  } finally {
    await place.remove();
  }
}

function memoryPlace(): Place {
  const disk = new MemoryDisk();
  return { store: () => memoryStore(disk), crash: async () => disk.crash(), remove: async () => {} };
}
