/** Wait scene: what the tasks of a simulated process wait for, as far as one can see it while nothing moves. */
import type { ClaimedTask } from '../../../actors/ports/store.ts';
import { waitingIn } from '../../../actors/queue/line.ts';
import type { Topology } from '../../topology/fleet.ts';
import type { Look } from '../invariants/fact.ts';
import type { WaitingTask, WaitScene } from '../waits/wait-graph.ts';
import type { WatchedRun } from './watched-run.ts';

export function waitSceneOf(topology: Topology, look: Look, runs: ReadonlyMap<string, WatchedRun>, parking: boolean): WaitScene {
  const tasks = new Map<string, WaitingTask>();
  const workers = new Map<string, { readonly worker: string; readonly task: string | undefined }[]>();
  /** Where a task is that this process holds: it may have been given back and claimed again under another fence. */
  const slots = new Map<string, { readonly worker: string; readonly at: 'run' | 'mailbox'; readonly task: ClaimedTask }>();
  /** By id: under which fence it stands in a line. */
  const lines = new Map<string, number>();
  for (const kind of Object.keys(topology.kinds)) {
    const state = look.queue(kind);
    for (const { id, fence } of state === undefined ? [] : waitingIn(state.line)) lines.set(id, fence);
    const own = (state?.slots ?? []).filter(({ leaving }) => !leaving);
    workers.set(
      kind,
      // What a worker runs under a fence that is no more is not its task's run: the news frees it.
      own.map(({ worker, run }) => ({ worker, task: run !== null && look.task(run.id)?.fence === run.fence ? run.id : undefined })),
    );
    for (const { worker, run, mailbox } of own) {
      for (const task of mailbox) slots.set(task.id, { worker, at: 'mailbox', task });
      if (run !== null) slots.set(run.id, { worker, at: 'run', task: run });
    }
  }
  const children = childrenOf(look);
  for (const id of look.unfinished) {
    const task = look.task(id);
    if (task === undefined) continue;
    const slot = slots.get(id);
    const holds = slot?.at === 'run' && slot.task.fence === task.fence ? slot.worker : undefined;
    tasks.set(id, { id, kind: task.kind, wait: waitOf(), holds });

    function waitOf(): WaitingTask['wait'] {
      switch (task!.status) {
        case 'queued':
          // Taken back from a run that has not heard of it yet: the news frees its worker.
          return holds === undefined ? { at: 'worker' } : { at: 'going' };
        case 'leased':
          if (lines.get(id) === task!.fence) return { at: 'worker' };
          return slot?.at === 'mailbox' && slot.task.fence === task!.fence ? { at: 'mailbox', worker: slot.worker } : { at: 'going' };
        case 'running': {
          const run = runs.get(id);
          const ids = run?.task.fence === task!.fence ? run.run.waitsOnlyFor : undefined;
          return ids === undefined ? { at: 'going', doing: run?.last } : { at: 'children', ids };
        }
        case 'parked': {
          const ids = children.get(id);
          // Without any that has not ended, what wakes it is on its way.
          return task!.parkedFor === 'child' && ids !== undefined
            ? { at: 'children', ids }
            : { at: 'going', doing: `rest, parked for ${task!.parkedFor}` };
        }
        case 'retrying':
          return { at: 'going', doing: 'rest, to be tried again' };
        default:
          return { at: 'going' };
      }
    }
  }
  return { tasks, workers, parking };
}

/** Children that have not ended, by parent. */
function childrenOf(look: Look): ReadonlyMap<string, readonly string[]> {
  const children = new Map<string, string[]>();
  for (const id of look.unfinished) {
    const parent = look.task(id)?.parentId ?? null;
    if (parent === null) continue;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [id]);
    else siblings.push(id);
  }
  return children;
}
