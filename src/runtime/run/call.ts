/** Call: a run calls a dependency, or holds a place of a bulkhead. */
import { CallError } from '../../admission/call-errors.ts';
import type { Caller, CallSubject, Operation } from '../../admission/caller.ts';
import type { Holding } from '../../topology/bulkhead.ts';
import type { CallOptions, HoldOptions, StepContext } from '../../topology/context.ts';
import { UndeclaredError } from '../errors.ts';
import { checkHold, holding } from '../holding.ts';
import { checkFunction, hashText, textOf } from '../payload.ts';
import type { Run, Settle } from '../run.ts';
import { ReplayDivergedError } from './errors.ts';
import { idempotencyKeyOf } from './idempotency-key.ts';
import { placedIn } from './in-step.ts';

export function call(run: Run, name: string, request: unknown, options: CallOptions, resolve: Settle, reject: Settle): void {
  const { uses, kind, agent } = run.plan;
  const dependency = Object.hasOwn(uses, name) ? uses[name] : undefined;
  if (dependency === undefined || agent.spec.uses[name].spec.rank !== undefined)
    throw new UndeclaredError({ kind, field: 'uses', name }, Object.keys(uses));
  const placed = placedIn(run, `call:${name}`);
  if (options.remember === false) {
    const place = run.memory.nextCall(placed, undefined, options.key);
    if (!run.mayRepeat()) return;
    return begin(run, dependency, request, new Calling(run, place, undefined, resolve, reject));
  }
  // It is compared, and comes back to nobody: clients take what JSON cannot hold, such as tools with functions.
  const text = textOf(request, `request to ${name}`, Infinity);
  const hash = hashText(text);
  const at = (place: string): void => {
    const known = run.memory.recall(place, hash, () => text);
    if (known !== undefined) return run.give(known, resolve, reject);
    if (!run.mayAct(reject)) return;
    const caller = new Calling(run, place, hash, resolve, reject);
    if (run.memory.isBefore(place)) run.holdBack(place, () => begin(run, dependency, request, caller), reject);
    else begin(run, dependency, request, caller);
  };
  const place = run.memory.nextCall(placed, hash, options.key);
  try {
    at(place);
  } catch (error) {
    if (!(error instanceof ReplayDivergedError) || options.key !== undefined) throw error;
    run.otherwise(() => at(run.memory.elsewhere(place, hash)), error, reject);
  }
}

export function hold<T>(
  run: Run,
  name: string,
  fn: (place: StepContext) => Promise<T>,
  { slots = 1, key }: HoldOptions,
  resolve: Settle,
  reject: Settle,
): void {
  const held = checkHold(run, run.plan, name);
  checkFunction(`hold of ${name}`, fn);
  const place = run.memory.next(placedIn(run, `hold:${name}`), key);
  if (!run.mayRepeat()) return;
  const caller = new Calling(run, place, undefined, resolve, (error) => {
    // What is done with a place is the run's own: so are its errors.
    reject(error instanceof CallError && error.detail.failure !== 'refused' ? error.cause : error);
  });
  const request: Holding = { fn: (step) => holding(held, () => fn(step)), slots };
  begin(run, run.plan.uses[name]!, request, caller);
}

function begin(run: Run, dependency: string, request: unknown, caller: Calling): void {
  caller.operation = run.engine.callsOf(dependency).begin(request, caller);
  run.opened(caller.operation);
}

/** A call, seen from the run. */
class Calling implements Caller {
  operation: Operation | undefined;
  readonly #run: Run;
  readonly #place: string;
  /** Of the request; undefined when the reply is not to be remembered. */
  readonly #hash: string | undefined;
  readonly #resolve: Settle;
  readonly #reject: Settle;

  constructor(run: Run, place: string, hash: string | undefined, resolve: Settle, reject: Settle) {
    this.#run = run;
    this.#place = place;
    this.#hash = hash;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get tenant(): string | undefined {
    return this.#run.claimed.tenant ?? undefined;
  }

  get flow(): string {
    return this.#run.plan.kind;
  }

  get priority(): number {
    return this.#run.priority;
  }

  get scopes(): readonly string[] {
    return this.#run.scopes;
  }

  get idempotencyKey(): string {
    return idempotencyKeyOf(this.#run.task.id, this.#place);
  }

  get subject(): CallSubject {
    const { worker, task } = this.#run;
    return { worker, kind: task.kind, task: task.id, request: this.#hash };
  }

  within<T>(act: () => T): T {
    return this.#run.within(act);
  }

  replied(reply: unknown): void {
    const operation = this.operation!;
    if (this.#hash !== undefined) this.#run.keep(operation, this.#place, this.#hash, reply, this.#resolve, this.#reject);
    else if (this.#run.done(operation)) this.#resolve(reply);
  }

  failed(error: unknown): void {
    const operation = this.operation!;
    if (this.#hash !== undefined) this.#run.keepFailure(operation, this.#place, this.#hash, error, this.#reject);
    else if (this.#run.done(operation)) this.#reject(error);
  }

  postponed(): void {
    // While it is being begun the run does not have it yet: the next tick looks again.
    this.#run.parkIfPostponed();
  }
}
