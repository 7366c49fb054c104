/**
 * Begun: the operations that a run has begun, and what became of those that nobody awaits. A run that ends
 * while one of them is under way, or has failed unseen, has forgotten an `await`: it does not complete.
 *
 * Whether anybody looks at a promise is asked of the promise: `await`, `then`, `Promise.all` and their like read its
 * `constructor` first. So whatever is raced counts as awaited, and who loses a race is given up, as ever.
 */
import { OperationsOpenError } from './errors.ts';

/** The promise of one operation. To everybody else it is a plain one. */
export class Begun extends Promise<unknown> {
  readonly operation: string;
  readonly name: string | undefined;
  isAwaited = false;
  isSettled = false;
  /** Why it was rejected. */
  failure: { readonly error: unknown } | undefined;

  constructor(executor: ConstructorParameters<typeof Promise<unknown>>[0], operation: string, name: string | undefined) {
    super(executor);
    this.operation = operation;
    this.name = name;
  }

  /** That its rejection is not looked at ends no process; the run that has forgotten it is told. */
  quiet(): void {
    const { isAwaited } = this;
    this.catch(() => {});
    this.isAwaited = isAwaited;
  }

  /** E.g. `call model`, `state.set "stock"`. */
  get label(): string {
    return this.name === undefined ? this.operation : `${this.operation} ${JSON.stringify(this.name)}`;
  }
}

Reflect.defineProperty(Begun.prototype, 'constructor', {
  configurable: true,
  get(this: Begun) {
    this.isAwaited = true;
    // What is derived from it is of no interest.
    return Promise;
  },
});

/** One that is under way, with what ends it: the first word counts. */
export function newBegun(
  operation: string,
  name: string | undefined,
): { readonly promise: Begun; readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void } {
  let fulfil!: (value: unknown) => void;
  let refuse!: (error: unknown) => void;
  const promise = new Begun(
    (yes, no) => {
      fulfil = yes;
      refuse = no;
    },
    operation,
    name,
  );
  return {
    promise,
    resolve(value) {
      promise.isSettled = true;
      fulfil(value);
    },
    reject(error) {
      if (promise.isSettled) return;
      promise.isSettled = true;
      promise.failure = { error };
      promise.quiet();
      refuse(error);
    },
  };
}

/** Beyond so many, those that are done with are let go of. */
const FEW = 16;

/** All of one run, or of one invocation of a machine. */
export class Begins {
  #begun: Begun[] = [];
  #room = FEW;

  add(begun: Begun): void {
    this.#begun.push(begun);
    if (this.#begun.length < this.#room) return;
    this.#begun = this.#begun.filter((one) => isLoose(one) || isOpenWrite(one));
    this.#room = Math.max(FEW, 2 * this.#begun.length);
  }

  /** What keeps the run that has returned from completing; undefined: nothing. */
  failureOf(id: string): unknown {
    const failed = this.#begun.find((begun) => isLoose(begun) && begun.failure !== undefined);
    if (failed !== undefined) return failed.failure!.error;
    const open = this.#begun.filter((begun) => !begun.isSettled && (isLoose(begun) || isOpenWrite(begun)));
    return open.length === 0 ? undefined : new OperationsOpenError({ id, open: open.map(({ label }) => label) });
  }
}

/** Nobody awaits it, and it has not simply ended. */
function isLoose({ isAwaited, isSettled, failure }: Begun): boolean {
  return !isAwaited && (!isSettled || failure !== undefined);
}

/** A write that has lost a race, or is awaited by a branch that nobody awaits, would be lost. */
function isOpenWrite({ isSettled, operation }: Begun): boolean {
  return !isSettled && operation.startsWith('state.') && operation !== 'state.get';
}
