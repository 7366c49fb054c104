/** Running: the calls of a gate that are under way, so that it can wait for them when it closes, or drop those that only wait. */
import { CallError } from './call-errors.ts';
import type { Caller, Operation } from './caller.ts';
import type { AdmittedCall } from './gate-call.ts';

/** Calls under way, each linked to its neighbours: a Set that is filled and emptied all the time keeps what was in it alive. */
export class RunningList {
  first: Running | undefined;
  #whenEmpty: (() => void) | undefined;

  all(): readonly Running[] {
    const all: Running[] = [];
    for (let each = this.first; each !== undefined; each = each.next) all.push(each);
    return all;
  }

  /** Resolves when nothing is under way. */
  empty(): Promise<void> {
    return this.first === undefined ? Promise.resolve() : new Promise((resolve) => (this.#whenEmpty = resolve));
  }

  add(running: Running): void {
    running.next = this.first;
    if (this.first !== undefined) this.first.before = running;
    this.first = running;
  }

  remove(running: Running): void {
    const { before, next } = running;
    if (before === undefined) this.first = next;
    else before.next = next;
    if (next !== undefined) next.before = before;
    // Whoever keeps it does not keep the others.
    running.before = running.next = undefined;
    if (this.first === undefined) this.#whenEmpty?.();
  }
}

/** One call of a gate, under way: it settles its promise once. */
export class Running implements Caller {
  before: Running | undefined;
  next: Running | undefined;
  readonly scopes: readonly string[];
  readonly subject = undefined;
  readonly #list: RunningList;
  readonly #name: string;
  readonly #number: number;
  readonly #call: AdmittedCall<never>;
  readonly #resolve: (reply: unknown) => void;
  readonly #reject: (error: unknown) => void;
  readonly #aborted: (() => void) | undefined;
  #operation: Operation | undefined;
  #isOver = false;

  constructor(
    list: RunningList,
    scopes: readonly string[],
    name: string,
    number: number,
    call: AdmittedCall<never>,
    resolve: (reply: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.#list = list;
    this.scopes = scopes;
    this.#name = name;
    this.#number = number;
    this.#call = call;
    this.#resolve = resolve;
    this.#reject = reject;
    list.add(this);
    const { signal } = call;
    if (signal === undefined) return;
    this.#aborted = () => this.#drop(signal.reason);
    signal.addEventListener('abort', this.#aborted);
  }

  get idempotencyKey(): string {
    return `${this.#name}/${this.#number}`;
  }

  get tenant(): string | undefined {
    return this.#call.tenant;
  }

  get flow(): string {
    return this.#call.flow ?? '';
  }

  get priority(): number | undefined {
    return this.#call.priority;
  }

  get withinMs(): number | undefined {
    return this.#call.withinMs;
  }

  get whenShut(): 'wait' | 'refuse' {
    return this.#call.whenShut ?? 'refuse';
  }

  get ticket(): number | undefined {
    return this.#operation?.ticket;
  }

  began(operation: Operation): void {
    this.#operation = operation;
  }

  within<T>(act: () => T): T {
    return act();
  }

  replied(reply: unknown): void {
    if (this.#ends()) this.#resolve(reply);
  }

  failed(error: unknown): void {
    // The caller knows what it called: the error is the work's own, or says that nothing was sent.
    if (this.#ends()) this.#reject(error instanceof CallError ? error.cause : error);
  }

  dropIfWaiting(error: Error): void {
    if (this.#operation?.waitsFor !== undefined) this.#drop(error);
  }

  #drop(reason: unknown): void {
    this.#operation?.cancel(reason);
    if (this.#ends()) this.#reject(reason);
  }

  /** Once. */
  #ends(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    if (this.#aborted !== undefined) this.#call.signal!.removeEventListener('abort', this.#aborted);
    this.#list.remove(this);
    return true;
  }
}
