/** Faulty store: a store with the faults of a disk and of the way there. What it keeps, it keeps right. */
import { StoreFailedError } from '../../../actors/ports/store-errors.ts';
import type { Store } from '../../../actors/ports/store.ts';

export type Command = Exclude<keyof Store, 'name'>;

/** What happens to a command; each may be changed while the fleet runs. */
export interface StoreFaults {
  /** Virtual ms on the way there, and on the way back. */
  delays?: ((command: Command) => readonly [thereMs: number, backMs: number]) | undefined;
  /** `before`: it fails and has not happened. `after`: it fails, though it happened. An error: rejects with that. */
  fault?: ((command: Command, items: unknown) => 'before' | 'after' | Error | undefined) | undefined;
  /** Told what has been committed, at once. */
  committed?: ((command: Command, items: unknown, reply: unknown) => void) | undefined;
  /** One command after the other, as one connection has it. Default false: whichever comes first. */
  ordered?: boolean | undefined;
  /** Whether the process that asks is gone: then nothing comes of a command, and nobody is answered. */
  isGone?: (() => boolean) | undefined;
}

const NO_DELAYS = [0, 0] as const;

export function faultyStore(store: Store, faults: StoreFaults, sleep: (ms: number) => Promise<void>): Store {
  let last: Promise<unknown> = Promise.resolve();
  const faulty = <A extends unknown[], R>(command: Command, perform: (...args: A) => Promise<R>) => {
    const carry = async (args: A): Promise<R> => {
      const [thereMs, backMs] = faults.delays?.(command) ?? NO_DELAYS;
      const fault = faults.fault?.(command, args[0]);
      if (thereMs > 0) await sleep(thereMs);
      if (faults.isGone?.() === true) return never();
      if (fault instanceof Error) throw fault;
      if (fault === 'before') throw failed(command);
      const reply = await perform.apply(store, args);
      faults.committed?.(command, args[0], reply);
      if (backMs > 0) await sleep(backMs);
      if (faults.isGone?.() === true) return never();
      if (fault === 'after') throw failed(command);
      return reply;
    };
    return (...args: A): Promise<R> => {
      if (faults.ordered !== true) return carry(args);
      const mine = last.then(() => carry(args));
      last = mine.catch(() => {});
      return mine;
    };
  };
  return {
    name: store.name,
    open: faulty('open', store.open),
    submit: faulty('submit', store.submit),
    claim: faulty('claim', store.claim),
    start: faulty('start', store.start),
    remember: faulty('remember', store.remember),
    renew: faulty('renew', store.renew),
    settle: faulty('settle', store.settle),
    sweep: faulty('sweep', store.sweep),
    get: faulty('get', store.get),
    list: faulty('list', store.list),
    counts: faulty('counts', store.counts),
    takeBudget: faulty('takeBudget', store.takeBudget),
    returnBudget: faulty('returnBudget', store.returnBudget),
    readBudgets: faulty('readBudgets', store.readBudgets),
    registerIntents: faulty('registerIntents', store.registerIntents),
    withdrawIntents: faulty('withdrawIntents', store.withdrawIntents),
    close: faulty('close', store.close),
  };
}

function never(): Promise<never> {
  return new Promise(() => {});
}

function failed(command: Command): StoreFailedError {
  return new StoreFailedError({ store: 'faulty', command }, { cause: new Error('the disk has a bad day') });
}
