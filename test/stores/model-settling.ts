/** How a run of the model ends. */
import type { NewTask, SettledOutcome, SettleOutcome } from '../../actors/ports/store.ts';
import { isCompensated } from './model-task.ts';
import type { ModelTask } from './model-task.ts';
import type { ModelWorld } from './model-world.ts';

export type Refusal = Extract<SettleOutcome, { at: 'refused' }>;

/** Nothing has happened where it is refused. */
export function settleOne(world: ModelWorld, task: ModelTask, outcome: SettledOutcome): Refusal | undefined {
  const started = task.status === 'running';
  // Whoever was woken for locks and then does something else has left their line.
  if (outcome.at !== 'released' && outcome.at !== 'lost' && outcome.at !== 'completed') task.line = null;
  switch (outcome.at) {
    case 'completed': {
      const refusal = refusalOf(world, task, outcome);
      if (refusal !== undefined) return refusal;
      for (const write of outcome.writes ?? []) world.state.write(write);
      // Before the run ends: it may be the parent of what it sends.
      for (const send of outcome.sends) world.submit(send, false);
      task.noted = null;
      task.result = outcome.result;
      world.letGo(task, () => world.end(task, 'completed', null));
      return undefined;
    }
    case 'failed':
    case 'dead':
      if (!isCompensated(task) && !(outcome.at === 'failed' && outcome.keeps === true && task.undo === null && task.noted !== 'cancel'))
        forgetFailures(task, outcome.failures);
      world.letGo(task, () => {
        const keeps = outcome.at === 'failed' && outcome.keeps === true && task.undo === null;
        if (keeps) world.end(task, 'failed', outcome.error);
        else world.fall(task, outcome.at, outcome.error);
        task.kept = keeps;
      });
      return undefined;
    case 'undone':
      world.letGo(task, () => world.end(task, task.undo!.status, task.undo!.error, true));
      return undefined;
    case 'retry':
      task.error = outcome.error;
      forgetFailures(task, outcome.failures);
      if (outcome.forget === 'everything') task.memory = [];
      if (outcome.forget === 'state') task.memory = task.memory.filter(({ place }) => !place.startsWith('state:'));
      world.letGo(task, () => world.retryAt(task, outcome.readyAtMs));
      return undefined;
    case 'parked':
      if (started) task.attempt -= 1;
      // Who parks lets go, also of what it holds to be undone, and even where what it parks for is there.
      if (task.undo !== null) task.lockFence = 0;
      // Who is cancelled, and to be undone, needs no more than it has.
      if (task.noted !== 'cancel' || !isCompensated(task)) task.grown = [...task.grown, ...(outcome.locks ?? [])];
      world.letGo(task, () => park(world, task, outcome));
      return undefined;
    case 'released':
      if (started) task.attempt -= 1;
      world.letGo(task, () => world.queue(task, outcome.box ?? null));
      return undefined;
    case 'lost':
      if (started) world.lose(task, outcome.error);
      else world.letGo(task, () => world.wake(task));
      return undefined;
  }
}

function forgetFailures(task: ModelTask, places: readonly string[] = []): void {
  task.memory = task.memory.filter(({ place, failed }) => failed !== true || !places.includes(place));
}

function park(world: ModelWorld, task: ModelTask, outcome: Extract<SettledOutcome, { at: 'parked' }>): void {
  const { reason, children, events, gatherMs, wakeAtMs } = outcome;
  if (wakeAtMs !== null && wakeAtMs <= world.nowMs) return world.wake(task);
  const waitsForLocksOnly = outcome.locks !== undefined && wakeAtMs === null && children.length === 0 && (events ?? []).length === 0;
  if (waitsForLocksOnly) {
    if (world.locks.reasons(task).length === 0) return world.wake(task);
    world.park(task, 'locks');
    return world.locks.standInLine(task);
  }
  world.park(task, reason, wakeAtMs);
  task.waits = { children, ...(events === undefined ? {} : { events }), ...(gatherMs === undefined ? {} : { gatherMs }) };
  world.look();
}

function refusalOf(world: ModelWorld, task: ModelTask, outcome: Extract<SettledOutcome, { at: 'completed' }>): Refusal | undefined {
  const conflict = world.state.conflict([...(outcome.writes ?? []), ...(outcome.reads ?? [])]);
  if (conflict !== undefined) return { at: 'refused', why: 'conflict', ...conflict };
  const isNew = (send: NewTask): boolean =>
    world.find(send.id) === undefined && (send.parent === undefined || world.holding(send.parent) !== undefined);
  // Of several with one id the first is the one.
  const fresh = outcome.sends.filter(isNew).filter((send, at, sends) => sends.findIndex(({ id }) => id === send.id) === at);
  for (const rootId of new Set(fresh.map((send) => send.rootId))) {
    if (rootId === undefined) continue;
    const own = task.task.rootId === rootId ? 1 : 0;
    const sent = fresh.filter((send) => send.rootId === rootId).length;
    if (world.family(rootId) - own + sent > world.maxFamily) return { at: 'refused', why: 'full', limit: world.maxFamily };
  }
  return undefined;
}
