/** What a simulated process is seen to wait for. */
import { expect, test } from 'vitest';
import type { ClaimedTask, TaskRecord } from '../../../actors/ports/store.ts';
import type { QueueState } from '../../../actors/queue.ts';
import type { Look } from '../../../src/testing/invariants/fact.ts';
import { waitSceneOf } from '../../../src/testing/simulate/wait-scene.ts';
import { findStuck } from '../../../src/testing/waits/wait-graph.ts';
import type { Topology } from '../../../src/topology/fleet.ts';

const TOPOLOGY = { kinds: { clerk: {} } } as unknown as Topology;

/** One clerk, who runs `t` under a fence, while the store has `t` leased under another, in line for a clerk. */
function look(ran: number, stored: number): Look {
  const run = { id: 't', fence: ran } as ClaimedTask;
  const line = { tasks: [{ id: 't', fence: stored } as ClaimedTask], taken: 0 };
  return {
    unfinished: new Set(['t']),
    task: () => ({ id: 't', kind: 'clerk', status: 'leased', fence: stored, parentId: null }) as unknown as TaskRecord,
    queue: () => ({ line, slots: [{ worker: 'clerk/0', leaving: false, mailbox: [], run }] }) as unknown as QueueState,
  } as unknown as Look;
}

test('a run that was taken back and has not heard of it holds up nobody: the news frees its worker', () => {
  expect(findStuck(waitSceneOf(TOPOLOGY, look(3, 4), new Map(), true))).toBeUndefined();
});
