/** What a scene says of commands that the store has committed one beside the other. */
import { expect, test } from 'vitest';
import { inMemory } from '../../../src/testing/simulate/in-memory.ts';
import type { Fact } from '../../../src/testing/invariants/fact.ts';
import { faultyStore } from '../../../src/testing/simulate/faulty-store.ts';
import { Scene } from '../../../src/testing/simulate/scene.ts';
import { KIND, newTask } from '../../stores/tasks.ts';

test('what ends by a settlement of its own is told by that, though another one has fallen beside it', async () => {
  const said: string[] = [];
  const watch = {
    name: 'watch',
    promise: '',
    check: () => ({
      'store.settled': ({ settlement: { id } }: Extract<Fact, { at: 'store.settled' }>) => void said.push(`${id} was settled`),
      'store.ended': ({ id }: Extract<Fact, { at: 'store.ended' }>) => void said.push(`${id} has ended`),
    }),
  };
  const disk = inMemory();
  const scene = new Scene(undefined as never, [watch], disk, () => 0, false);
  const store = faultyStore(disk.store(), { committed: scene.committed.bind(scene) }, async () => {});
  await store.open({ nowMs: 0, maxUnfinished: 10 });
  await store.submit(
    ['a', 'b'].map((id) => newTask(id)),
    1,
  );
  await store.claim({ wants: [{ kind: KIND, limit: 2 }], leaseUntilMs: 1_000, nowMs: 2 });
  const held = ['a', 'b'].map((id) => ({ id, fence: 1 }));
  await store.start(held, 3);
  await store.submit([newTask('a/child', { parent: { ...held[0]!, place: 'ask:child#1' } })], 4);
  await Promise.all(held.map((one) => store.settle([{ ...one, outcome: { at: 'failed', error: '{}' } }], 5)));
  expect(said).toEqual(['a was settled', 'a/child has ended', 'b was settled']);
});
