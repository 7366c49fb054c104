/** Events: what a fleet tells observers. Facts, in the past tense; nothing depends on them. */
import type { EventEmitter } from 'eventemitter3';
import type { Logger } from 'pino';
import type { BreakerLook } from '../../actors/breaker/breaker.ts';
import type { ErrorRecord } from '../../actors/kernel/errors.ts';
import type { SteerAction } from '../../actors/ports/store.ts';
import type { ExitReason } from '../../actors/kernel/effects.ts';
import type { MetaAgentFact } from '../../supervisors/meta-agent/meta-agent.ts';
import type { Decision } from '../../supervisors/meta-agent/watch.ts';
import type { BudgetFact } from '../admission/budgets.ts';
import type { LoopBlocked } from '../isolation/watchdog.ts';
import type { CallFailure } from '../topology/dependency.ts';

/** A task, as events name it. */
export interface TaskRef {
  readonly id: string;
  readonly kind: string;
}

/** Every event with what it carries. Times are `atMs` of the fleet's clock. */
export interface FleetEvents {
  'task.submitted': (event: TaskRef & { readonly atMs: number }) => void;
  'task.started': (event: TaskRef & { readonly atMs: number; readonly attempt: number; readonly worker: string }) => void;
  'task.parked': (event: TaskRef & { readonly atMs: number; readonly reason: string }) => void;
  'task.retrying': (
    event: TaskRef & { readonly atMs: number; readonly attempt: number; readonly inMs: number; readonly error: ErrorRecord },
  ) => void;
  /** `worker`: who ran it last, in `ms`. `quality`: what the run said of it, by `ctx.score`. */
  'task.completed': (
    event: TaskRef & {
      readonly atMs: number;
      readonly attempt: number;
      readonly ms: number;
      readonly worker: string;
      readonly quality?: number;
    },
  ) => void;
  /** `failed`: no use in trying again. `dead`: attempts or losses used up. */
  'task.failed': (
    event: TaskRef & { readonly atMs: number; readonly status: 'failed' | 'dead'; readonly error: ErrorRecord | null },
  ) => void;
  /** It has ended as cancelled; what it had registered to be undone has been. Its story, and `task.steered`, say by whom and why. */
  'task.cancelled': (event: TaskRef & { readonly atMs: number }) => void;
  /** An operator's word on a task: done at once, or noted until its run lets go. */
  'task.steered': (
    event: TaskRef & {
      readonly atMs: number;
      readonly action: SteerAction;
      readonly by: string;
      readonly reason: string | null;
      readonly at: 'done' | 'noted';
    },
  ) => void;
  /**
   * It was begun under other code, and its kind goes on over what that has brought (`onVersionChange: 'replay'`): code of
   * version `version` has not come by `places`, which version `of` has brought, by the time that it has done something new of
   * that sort for the first time (`did`: its place), or has completed (null), or that operation of its statechart has. What has only got another name is done twice.
   */
  'task.left-aside': (
    event: TaskRef & {
      readonly atMs: number;
      readonly version: string;
      readonly of: string;
      readonly places: readonly string[];
      readonly did: string | null;
    },
  ) => void;
  /** It is kept from running until somebody says otherwise. */
  'task.paused': (event: TaskRef & { readonly atMs: number }) => void;
  /** It was about to start, but `holder`, another task, has `resource`: it waits for that without a worker. */
  'task.blocked': (event: TaskRef & { readonly atMs: number; readonly resource: string; readonly holder: string }) => void;
  /** It was told of an outside event; not of one that it had been told of under the same key before. */
  'task.signalled': (event: TaskRef & { readonly atMs: number; readonly name: string }) => void;
  /** A run waits for a person. */
  'approval.asked': (event: TaskRef & { readonly atMs: number; readonly name: string; readonly expiresAtMs: number | null }) => void;
  'approval.decided': (
    event: TaskRef & { readonly atMs: number; readonly name: string; readonly approved: boolean; readonly by: string },
  ) => void;
  /**
   * The turn of a schedule at `turnMs` is over. `task`: what it has made; null when it let the turn pass, as `why` says:
   * the task before it has not ended (`overlap`), no fleet ran then (`missed`), its kind or input is none any more (`invalid`), or
   * another kind or input was submitted under the id of the turn (`taken`).
   */
  'schedule.fired': (event: {
    readonly atMs: number;
    readonly schedule: string;
    readonly kind: string;
    readonly turnMs: number;
    readonly task: string | null;
    readonly why: 'overlap' | 'missed' | 'invalid' | 'taken' | null;
  }) => void;
  /** Nothing of the kind is begun until it is unpaused, over restarts too. */
  'kind.paused': (event: { readonly atMs: number; readonly kind: string }) => void;
  'kind.unpaused': (event: { readonly atMs: number; readonly kind: string }) => void;
  'task.progressed': (event: TaskRef & { readonly atMs: number; readonly done: number; readonly total?: number }) => void;
  /** This node no longer holds a task that it held: its lease ran out, or another owner came. */
  'lease.lost': (event: TaskRef & { readonly atMs: number; readonly fence: number }) => void;
  'call.completed': (event: {
    readonly atMs: number;
    readonly dependency: string;
    readonly inputTokens: number;
    readonly outputTokens: number;
    readonly usd: number;
    readonly ms: number;
  }) => void;
  'call.failed': (event: {
    readonly atMs: number;
    readonly dependency: string;
    readonly failure: CallFailure['at'];
    readonly error: ErrorRecord;
    readonly again: boolean;
  }) => void;
  /** The breaker of a dependency is in another condition now. */
  'breaker.moved': (event: BreakerLook & { readonly atMs: number; readonly dependency: string }) => void;
  /** So much of a budget is spent: told once a share and period. */
  'budget.warned': (event: Omit<Extract<BudgetFact, { readonly at: 'warned' }>, 'at'> & { readonly atMs: number }) => void;
  /** A budget has run out: until `untilMs`, or (null) until somebody raises it. Its workers are suspended; a task's call is refused. */
  'budget.exhausted': (event: Omit<Extract<BudgetFact, { readonly at: 'exhausted' }>, 'at'> & { readonly atMs: number }) => void;
  /** There is something to spend again. */
  'budget.replenished': (event: { readonly atMs: number; readonly scope: string }) => void;
  'worker.started': (event: { readonly atMs: number; readonly worker: string; readonly incarnation: number }) => void;
  'worker.ended': (event: {
    readonly atMs: number;
    readonly worker: string;
    readonly incarnation: number;
    readonly reason: ExitReason;
  }) => void;
  'worker.restarting': (event: { readonly atMs: number; readonly worker: string; readonly inMs: number }) => void;
  /** It has no incarnation until the last of its reasons goes. Also when only the reasons have changed. */
  'worker.suspended': (event: { readonly atMs: number; readonly worker: string; readonly reasons: readonly string[] }) => void;
  /** A health check of a suspended worker; without an error it has passed. */
  'worker.checked': (event: { readonly atMs: number; readonly worker: string; readonly error: ErrorRecord | null }) => void;
  'worker.resumed': (event: { readonly atMs: number; readonly worker: string }) => void;
  /** What the meta-agent decided, with its evidence. */
  'meta.decided': (event: Decision) => void;
  /** A command of the meta-agent was answered, or it could not keep up and dropped observations. */
  'meta.noted': (event: { readonly atMs: number; readonly fact: MetaAgentFact }) => void;
  /** The meta-agent has nothing left that helps. */
  'person.needed': (event: {
    readonly atMs: number;
    readonly kind: string;
    readonly worker: string | undefined;
    readonly why: string;
  }) => void;
  /** Unfinished tasks of a kind that the topology does not have: nobody runs them. Told once after a start. */
  'kind.unknown': (event: { readonly atMs: number; readonly kind: string; readonly unfinished: number }) => void;
  /** The autoscaler asks for so many workers. */
  'kind.scaling': (event: { readonly atMs: number; readonly kind: string; readonly replicas: number; readonly why: string }) => void;
  'supervisor.gave-up': (event: {
    readonly atMs: number;
    readonly supervisor: string;
    readonly child: string;
    readonly intensity: number;
    readonly periodMs: number;
  }) => void;
  /** A full mailbox: so many tasks went back to the store, into its worker's box, and come from there when there is room. */
  'mailbox.spilled': (event: { readonly atMs: number; readonly kind: string; readonly worker: string; readonly count: number }) => void;
  'mailbox.stolen': (event: { readonly atMs: number; readonly thief: string; readonly victim: string; readonly count: number }) => void;
  /** The event loop did not turn for longer than the watchdog allows. Told once it turns again. */
  'loop.blocked': (event: LoopBlocked & { readonly atMs: number }) => void;
  /** A command of the store failed (locked by another process, a full disk) and is sent again, after up to 5 s. */
  'store.retrying': (event: { readonly atMs: number; readonly error: ErrorRecord }) => void;
  /** The fleet cannot go on. Accepted tasks are safe in the store, unless `error` says that it is damaged or gone. */
  'fleet.failed': (event: { readonly atMs: number; readonly error: ErrorRecord }) => void;
}

/** Builds an event only when somebody listens. What a listener throws is logged, and its own affair. */
export function announce<N extends keyof FleetEvents>(
  events: EventEmitter<FleetEvents>,
  log: Logger,
  name: N,
  event: () => Parameters<FleetEvents[N]>[0],
): void {
  if (events.listenerCount(name) === 0) return;
  try {
    (events.emit as (name: N, event: Parameters<FleetEvents[N]>[0]) => boolean).call(events, name, event());
  } catch (error) {
    log.error({ err: error, event: name }, 'a listener threw');
  }
}

/** Sums since the fleet was started. */
export interface FleetStats {
  readonly submitted: number;
  readonly started: number;
  readonly completed: number;
  readonly failed: number;
  readonly dead: number;
  readonly cancelled: number;
  readonly retried: number;
  readonly parked: number;
  /** Leases that went to somebody else, of tasks whose run had not begun too (paused or cancelled while they waited for a worker, say), and runs whose worker died. */
  readonly lost: number;
  /** Tasks, each as often as it was. */
  readonly stolen: number;
  /** Tasks that went back to the store because the mailbox of their worker was full, each as often as it was. */
  readonly spilled: number;
  /** Tasks that have been deleted from the store, by the topology's `retention`. */
  readonly forgotten: number;
  readonly restarts: number;
  readonly calls: number;
  readonly callRetries: number;
  readonly rateLimited: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly usd: number;
}
