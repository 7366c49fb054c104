/** Onlooker: looks on at what a run does with its `ctx`, and the operations of its machine with theirs. */
import type { Context } from '../../topology/context.ts';
import { Run } from '../run.ts';
import type { Invocation } from './invocation.ts';

export interface Onlooker {
  readonly run: Run;
  /** Performs `act` with the `ctx` that it is to be given. */
  perform<T>(operation: Invocation, act: (ctx: Context) => T): T;
}

/** Of the run that `ctx` is of. */
export function onlookerOf(ctx: Context): Onlooker {
  return ctx instanceof Run
    ? { run: ctx, perform: (operation, act) => act(operation) }
    : (ctx as unknown as { readonly onlooker: Onlooker }).onlooker;
}
