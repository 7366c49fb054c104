/** Whoever waits for locks or for its turn waits for somebody: never two tasks for each other. */
import { describe, expect, test } from 'vitest';
import type { Held, NewTask, Store } from '../../actors/ports/store.ts';
import { newTask } from '../stores/tasks.ts';
import { GROUNDS, makeGround } from './ground.ts';
import type { GroundName } from './ground.ts';

const NOW_MS = 1_000;
const LATER_MS = 1_100;
const LOCKS: Partial<NewTask> = { locks: [{ resource: 'a', mode: 'write' }] };

async function claim(store: Store) {
  const [task] = await store.claim({ wants: [{ kind: newTask('x').kind, limit: 1 }], leaseUntilMs: NOW_MS + 60_000, nowMs: NOW_MS });
  return task!;
}

async function complete(store: Store, held: Held): Promise<void> {
  await store.settle([{ ...held, outcome: { at: 'completed', result: null, sends: [] } }], NOW_MS);
}

/** `passed`: how often the follower has been passed. `released`: whether what both want is free before the first asks again. */
async function meet(ground: GroundName, passed: number, when: 'before' | 'after'): Promise<void> {
  const place = makeGround(ground);
  const store = place.store();
  await store.open({ nowMs: NOW_MS, maxUnfinished: 100, mostPassed: 1 });
  await store.submit([newTask('first', { ...LOCKS, orderKey: 'k' }), newTask('second', { ...LOCKS, orderKey: 'k' })], NOW_MS);
  const first = await claim(store);
  await store.start([first], NOW_MS);
  // It waits for an event, which lets the second one by.
  const waits = { at: 'parked', reason: 'event', children: [], wakeAtMs: null, events: [{ name: 'go', n: 0 }] } as const;
  await store.settle([{ ...first, outcome: waits }], NOW_MS);
  const second = await claim(store);
  await store.submit([newTask('other', LOCKS), newTask('passing', LOCKS)], NOW_MS);
  let other = await claim(store);
  // The second stands in line for what another has; and then so does the first, behind it.
  expect((await store.start([other, second], NOW_MS)).map(({ at }) => at)).toEqual(['started', 'blocked']);
  if (passed > 0) {
    const passing = await claim(store);
    await complete(store, other);
    const woken = await claim(store);
    expect(woken.id).toBe('second');
    expect((await store.start([passing, woken], NOW_MS)).map(({ at }) => at)).toEqual(['started', 'blocked']);
    other = passing;
  }
  await store.signal([{ id: 'first', name: 'go', value: '1' }], LATER_MS);
  if (when === 'before') await complete(store, other);
  const again = await claim(store);
  expect(again.id).toBe('first');
  const [outcome] = await store.start([again], LATER_MS);
  if (when === 'after') await complete(store, other);
  // Nobody holds anything, or it does: somebody has to be there to be run.
  const [standing] = await store.get(['first']);
  expect([outcome!.at, standing!.status]).toEqual(when === 'before' ? ['started', 'running'] : ['blocked', 'queued']);
  await store.close();
  await place.remove();
}

describe.each(GROUNDS)(
  'over the %s store, of one order key the one whose turn it is gets the locks that its follower stands in line for',
  (ground) => {
    test('when it comes and they are free', () => meet(ground, 0, 'before'));

    test('when it comes, they are free, and the follower has a reservation', () => meet(ground, 1, 'before'));
    test('when they are let go after it came', () => meet(ground, 0, 'after'));
    test('when they are let go after it came, and the follower has a reservation', () => meet(ground, 1, 'after'));
  },
);
