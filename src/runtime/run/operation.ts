/** Operation: something that a run has begun on `ctx` and that has not ended. */
import type { LockWant } from '../../../actors/ports/store.ts';

/** What an operation may only wait for, and so could as well await in the store. */
export type WaitsFor = 'admission' | 'child' | 'sleep' | 'event' | 'approval' | 'locks';

/** Calls have one of their own kind (`Operation` of admission), which is one of these. */
export interface RunOperation {
  /** Undefined while it does something. */
  readonly waitsFor: WaitsFor | undefined;
  /** Of one that waits for admission: it will not go on before, for all that is known. */
  readonly notBeforeMs?: number | undefined;
  /** The priority of the run has grown. */
  raised?(): void;
  /** The run lets go soon: what is in flight aborts, and what it brings all the same is taken. */
  abort?(reason: unknown): void;
  /** The run is over: it gives back what it holds and never settles. */
  cancel(reason?: unknown): void;
}

/** An operation of the run itself: a step, or one that waits for something that the store knows of. */
export class Pending implements RunOperation {
  waitsFor: WaitsFor | undefined;
  /** Its end is on its way: nothing else ends it any more. */
  settling = false;
  /** By its id. */
  child: string | undefined;
  event: { readonly name: string; n: number } | undefined;
  /** Sleeps until then, or waits no longer. */
  untilMs = Infinity;
  locks: readonly LockWant[] | undefined;
  /** What ends the waiting from outside, such as an alarm. */
  stop: (() => void) | undefined;

  cancel(): void {
    this.stop?.();
    this.stop = undefined;
  }
}

/** What a run waits for when that is all that it does. */
export interface Waiting {
  readonly children: readonly string[];
  readonly events: readonly { readonly name: string; readonly n: number }[];
  /** When the first sleep, or the first deadline of a wait, is over. */
  readonly untilMs: number;
  /** When the first call that waits for admission may go on; undefined: none does. */
  readonly admittedMs: number | undefined;
  readonly locks: readonly LockWant[] | undefined;
  /** Who waits says what the park is called: whoever may go on by somebody's doing comes first. */
  readonly reason: WaitsFor;
}

const REASONS: readonly WaitsFor[] = ['sleep', 'child', 'event', 'approval', 'admission', 'locks'];

/** Undefined: nothing is open, or something is under way. */
export function waitingOf(open: readonly RunOperation[], nowMs: number): Waiting | undefined {
  if (open.length === 0) return undefined;
  const children: string[] = [];
  const events: { readonly name: string; readonly n: number }[] = [];
  let untilMs = Infinity;
  let admittedMs: number | undefined;
  /** By resource: of several that widen side by side each may want the same. */
  let locks: Map<string, LockWant> | undefined;
  let reason: WaitsFor = 'sleep';
  for (const operation of open) {
    const { waitsFor } = operation;
    if (waitsFor === undefined) return undefined;
    if (REASONS.indexOf(waitsFor) > REASONS.indexOf(reason)) reason = waitsFor;
    if (waitsFor === 'admission') {
      admittedMs = Math.min(admittedMs ?? Infinity, operation.notBeforeMs ?? nowMs);
      continue;
    }
    const wait = operation as Pending;
    if (wait.child !== undefined) children.push(wait.child);
    if (wait.event !== undefined) events.push({ name: wait.event.name, n: wait.event.n });
    if (wait.locks !== undefined) locks = new Map([...(locks ?? []), ...wait.locks.map((want) => [want.resource, want] as const)]);
    untilMs = Math.min(untilMs, wait.untilMs);
  }
  return { children, events, untilMs, admittedMs, locks: locks === undefined ? undefined : [...locks.values()], reason };
}
