/** Faulty store: a store with the faults of a disk and of the way there. What it keeps, it keeps right. */
import { StoreFailedError } from '../../../actors/ports/store-errors.ts';
import type { Store } from '../../../actors/ports/store.ts';

export type Command = Exclude<keyof Store, 'name'>;

/**
 * What happens to one command. `before`: it fails and has not happened. `after`: it fails, though it happened. An error:
 * rejects with that. `dies-before`, `dies-after`: the process that asks dies at this point, and nobody is answered.
 */
export type StoreFault = 'before' | 'after' | 'dies-before' | 'dies-after' | Error;

/** What happens to commands; each part may be changed while the fleet runs. */
export interface StoreFaults {
  /** Virtual ms on the way there, and on the way back. */
  delays?: ((command: Command) => readonly [thereMs: number, backMs: number]) | undefined;
  fault?: ((command: Command, items: unknown) => StoreFault | undefined) | undefined;
  /** Told what has been committed, at once. `nowMs`: what the command says, where it takes a time beside its items. */
  committed?: ((command: Command, items: unknown, reply: unknown, nowMs: number) => void) | undefined;
  /** One command after the other, as one connection has it. Default false: whichever comes first. */
  ordered?: boolean | undefined;
  /** Whether the process that asks is gone: then nothing comes of a command, and nobody is answered. */
  isGone?: (() => boolean) | undefined;
  /** Ends the process that asks, at once. */
  die?: (() => void) | undefined;
}

const NO_DELAYS = [0, 0] as const;

/** Every command of the port: one that is missing here does not compile. */
const COMMANDS: Readonly<Record<Command, true>> = {
  open: true,
  submit: true,
  claim: true,
  start: true,
  remember: true,
  renew: true,
  settle: true,
  sweep: true,
  unbox: true,
  forget: true,
  readState: true,
  getState: true,
  listState: true,
  setState: true,
  signal: true,
  askApproval: true,
  withdrawApproval: true,
  decideApproval: true,
  approvals: true,
  steer: true,
  pauseKinds: true,
  pausedKinds: true,
  story: true,
  putSchedules: true,
  removeSchedules: true,
  schedules: true,
  fireSchedules: true,
  get: true,
  list: true,
  counts: true,
  takeBudget: true,
  returnBudget: true,
  readBudgets: true,
  registerIntents: true,
  withdrawIntents: true,
  takeLeases: true,
  renewLeases: true,
  releaseLeases: true,
  readLeases: true,
  close: true,
};

/** Commands that change something: each has a commit point, with a moment before it and one after it. */
export const COMMIT_POINTS = [
  'submit',
  'claim',
  'start',
  'remember',
  'renew',
  'settle',
  'sweep',
  'unbox',
  'forget',
  'readState',
  'setState',
  'signal',
  'askApproval',
  'withdrawApproval',
  'decideApproval',
  'steer',
  'pauseKinds',
  'putSchedules',
  'removeSchedules',
  'fireSchedules',
  'takeBudget',
  'returnBudget',
  'registerIntents',
  'withdrawIntents',
] as const satisfies readonly Command[];

export function faultyStore(store: Store, faults: StoreFaults, sleep: (ms: number) => Promise<void>): Store {
  let last: Promise<unknown> = Promise.resolve();
  const faulty = (command: Command, perform: (...args: unknown[]) => Promise<unknown>) => {
    const carry = async (args: unknown[]): Promise<unknown> => {
      const [thereMs, backMs] = faults.delays?.(command) ?? NO_DELAYS;
      const fault = faults.fault?.(command, args[0]);
      if (thereMs > 0) await sleep(thereMs);
      if (faults.isGone?.() === true) return never();
      if (fault instanceof Error) throw fault;
      if (fault === 'before') throw failed(command);
      if (fault === 'dies-before') return die();
      const reply = await perform.apply(store, args);
      faults.committed?.(command, args[0], reply, args[1] as number);
      if (fault === 'dies-after') return die();
      if (backMs > 0) await sleep(backMs);
      if (faults.isGone?.() === true) return never();
      if (fault === 'after') throw failed(command);
      return reply;
    };
    return (...args: unknown[]): Promise<unknown> => {
      if (faults.ordered !== true) return carry(args);
      const mine = last.then(() => carry(args));
      last = mine.catch(() => {});
      return mine;
    };
  };
  const die = (): Promise<never> => {
    faults.die?.();
    return never();
  };
  const commands = (Object.keys(COMMANDS) as Command[]).map((command) => [command, faulty(command, store[command] as never)]);
  return { name: store.name, ...Object.fromEntries(commands) };
}

function never(): Promise<never> {
  return new Promise(() => {});
}

/** One for all: it says nothing of where it was, and a stack costs as much as a command. */
const BAD_DAY = new Error('the disk has a bad day');

function failed(command: Command): StoreFailedError {
  return new StoreFailedError({ store: 'faulty', command }, { cause: BAD_DAY });
}
