/** Claims that no row tells of yet: whatever comes between a claim and its start, it is as if they had been written. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ClaimedTask, NewTask, Store } from '../../actors/ports/store.ts';
import { SqlitePlace } from './conformance/sqlite-place.ts';

const KIND = 'k';
const LEASE_MS = 50;

describe('a claim from memory', () => {
  let place: SqlitePlace;
  let store: Store;

  beforeEach(async () => {
    place = new SqlitePlace();
    store = place.store();
    await store.open({ nowMs: 0, maxUnfinished: 9 });
    // From here on the kind is known to have nothing to claim.
    await claim(0);
  });

  afterEach(async () => {
    await store.close();
    await place.remove();
  });

  async function submit(...ids: readonly string[]): Promise<void> {
    await store.submit(ids.map(task), 1);
  }

  async function claim(nowMs: number, limit = 9): Promise<readonly ClaimedTask[]> {
    return store.claim({ wants: [{ kind: KIND, limit }], leaseUntilMs: nowMs + LEASE_MS, nowMs });
  }

  test('is not given twice, also where the next claim looks into the rows', async () => {
    await submit('a');
    const [first] = await claim(2);
    await submit('b', 'c');
    // What was put back is looked for in the rows.
    const [b] = await claim(3, 1);
    await store.settle([{ ...held(b!), outcome: { at: 'released' } }], 4);
    expect(first!.id).toBe('a');
    expect((await claim(5)).map(({ id }) => id).toSorted()).toEqual(['b', 'c']);
  });

  test('is told of by whoever looks at the task', async () => {
    await submit('a');
    const [a] = await claim(2);
    expect((await store.get(['a']))[0]).toMatchObject({ status: 'leased', fence: a!.fence });
    expect((await store.counts())[KIND]).toMatchObject({ queued: 0, leased: 1 });
  });

  test('runs out with its lease, and the task is claimed again under a higher fence', async () => {
    await submit('a');
    const [first] = await claim(2);
    expect((await store.sweep(2 + LEASE_MS)).expired).toEqual([{ id: 'a', fence: first!.fence, status: 'queued' }]);
    expect(await store.start([{ ...held(first!), worker: 'w' }], 60)).toEqual([{ at: 'stale' }]);
    expect((await claim(61))[0]!.fence).toBeGreaterThan(first!.fence);
  });

  test('of a former owner is forgotten, and its fence is not given again', async () => {
    await submit('a');
    const [first] = await claim(2);
    await place.crash(store);
    await store.close();
    store = place.store();
    expect(await store.open({ nowMs: 3, maxUnfinished: 9 })).toEqual({ epoch: 2, recovered: 0 });
    expect((await claim(4))[0]).toMatchObject({ id: 'a', fence: first!.fence + 1 });
  });

  test('does not hide what was told, or remembered, before the run starts', async () => {
    await submit('a');
    const [a] = await claim(2);
    await store.signal([{ id: 'a', name: 'go', value: '1' }], 3);
    await store.remember([{ ...held(a!), place: 'p', hash: 'h', value: 'v' }], 4);
    const [started] = await store.start([{ ...held(a!), worker: 'w' }], 5);
    expect(started).toMatchObject({
      at: 'started',
      attempt: 1,
      memory: [{ place: 'p', value: 'v' }],
      events: [{ name: 'go', value: '1' }],
    });
  });

  test('takes the most urgent first, whenever it has come', async () => {
    await submit('a', 'b');
    await store.submit([{ ...task('urgent'), priority: 1 }], 2);
    expect((await claim(3)).map(({ id }) => id)).toEqual(['urgent', 'a', 'b']);
  });

  test('is cancelled as one that is written', async () => {
    await submit('a');
    const [a] = await claim(2);
    const { outcomes } = await store.steer([{ id: 'a', action: 'cancel', by: 'ann', reason: null }], 3);
    expect(outcomes).toEqual([{ at: 'noted', fence: a!.fence }]);
    await store.settle([{ ...held(a!), outcome: { at: 'released' } }], 4);
    expect((await store.get(['a']))[0]!.status).toBe('cancelled');
  });
});

function task(id: string): NewTask {
  return { id, kind: KIND, version: '1', input: '1', priority: 0, maxAttempts: 3, maxLosses: 3, depth: 0 };
}

function held({ id, fence }: ClaimedTask): { readonly id: string; readonly fence: number } {
  return { id, fence };
}
