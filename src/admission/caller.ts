/** Who calls a dependency, what they hold meanwhile, and who watches. */
import type { BreakerLook } from '../../actors/breaker/breaker.ts';
import type { ActorId } from '../../actors/kernel/effects.ts';
import type { CallFailure, Usage } from '../topology/dependency.ts';

/** Something that somebody has begun and that has not ended. */
export interface Operation {
  /** What it only waits for, and so could as well await in the store; undefined while it does something. */
  readonly waitsFor: 'admission' | 'child' | undefined;
  /** It will not go on before, for all that is known; undefined: it may at any time. */
  readonly notBeforeMs?: number | undefined;
  /** By which the limiter knows it while it waits there. */
  readonly ticket?: number;
  /** Its caller's priority has grown: it is as urgent from now on, wherever it waits in an order of urgency. */
  raised?(): void;
  /** What is in flight aborts with `reason`, and is not tried again; what it answers all the same is taken. */
  abort(reason: unknown): void;
  /** Whoever began it is gone: it gives back what it holds and never settles. What is in flight aborts with `reason`. */
  cancel(reason?: unknown): void;
}

/** Who calls. */
export interface Caller {
  /** Whom to be fair to: first among tenants (default ''), then among flows: the kind. */
  readonly tenant?: string | undefined;
  readonly flow: string;
  /** Higher goes sooner within its flow. Default 0. One that grows is told to the operation. */
  readonly priority?: number | undefined;
  /** The budgets that pay. Default: none. */
  readonly scopes?: readonly string[] | undefined;
  /** Admitted within this time, each try, or refused. Default: waits as long as it takes. */
  readonly withinMs?: number | undefined;
  /** What to do while the breaker is open, or the money has run out until a later time. Default `wait`. */
  readonly whenShut?: 'wait' | 'refuse' | undefined;
  readonly idempotencyKey: string;
  /** Whose call it is, for whoever watches workers; undefined: no worker's. */
  readonly subject: CallSubject | undefined;
  /** Calls code of the user's on the caller's behalf. */
  within<T>(act: () => T): T;
  replied(reply: unknown): void;
  failed(error: unknown): void;
  /** It has to wait for long (`notBeforeMs` of the operation): whoever can, waits elsewhere and calls again. */
  postponed?(): void;
}

export interface CallSubject {
  readonly worker: ActorId;
  readonly kind: string;
  readonly task: string;
  /** Hash of the request; undefined when the reply is not remembered. */
  readonly request: string | undefined;
}

export type ReadField = 'usage' | 'price' | 'classify' | 'counts';

/** What observers and statistics are told. */
export interface CallObserver {
  completed(dependency: string, usage: Usage, ms: number, usd: number, caller: Caller): void;
  failed(dependency: string, failure: CallFailure, error: unknown, again: boolean, ms: number, caller: Caller): void;
  /** A function of the dependency threw, or gave what makes no sense: the call goes on without it. */
  misread(dependency: string, field: ReadField, error: unknown): void;
  /** The breaker is in another condition now. */
  breakerMoved?(dependency: string, breaker: BreakerLook): void;
}

/** Quality of a reply from 0 to 1; undefined: no opinion. Never throws. */
export type ReplyScore = (reply: unknown, request: unknown) => number | undefined;
