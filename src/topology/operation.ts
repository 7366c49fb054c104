/**
 * Operation: what the statechart of an agent invokes. It does what a run does on `ctx`, and is remembered
 * like it.
 *
 * To XState it is an actor logic like a promise's. Who performs it is whoever runs the machine: the
 * runtime registers itself for the XState system that it has made.
 */
import type { ActorLogic, AnyActorRef, Snapshot } from 'xstate';
import { DroverError } from '../../actors/kernel/errors.ts';
import type { Context, ContractMap, DependencyMap, EventMap } from './context.ts';

/** Where an operation is, as XState shows it. */
export type OperationSnapshot<I, O> = Snapshot<O> & { readonly input: I | undefined };

/** How an operation ended. */
export type OperationEvent =
  | { readonly type: 'operation.done'; readonly output: unknown }
  | { readonly type: 'operation.failed'; readonly error: unknown }
  | { readonly type: 'xstate.stop' };

/** An actor logic for `setup({ actors })`, made by `operation(...)`. */
export interface OperationLogic<I, O> extends ActorLogic<OperationSnapshot<I, O>, OperationEvent, I> {
  readonly is: 'operation';
  // oxlint-disable-next-line typescript/no-explicit-any -- what it may use is held where it is defined
  readonly perform: (input: I, ctx: Context<any, any, any>) => Promise<O>;
}

// oxlint-disable-next-line typescript/no-explicit-any -- any input and any output
export type AnyOperation = OperationLogic<any, any>;

/** What the operations of one agent may use: the same that its `agent({ uses, asks, events })` declares. */
export interface Declared<U extends DependencyMap, A extends ContractMap, E extends EventMap> {
  readonly uses?: U;
  readonly asks?: A;
  readonly events?: E;
}

/** Performs the operations of a running machine. */
export interface Performer {
  begin(self: AnyActorRef, logic: AnyOperation, input: unknown): void;
}

/** An operation was begun by a machine that no run of an agent runs. */
export class OperationOutsideError extends DroverError {
  readonly code = 'DROVER_OPERATION_OUTSIDE';
  readonly retryable = false;
  override readonly detail: { readonly actor: string };
  constructor(actor: string) {
    super(`${actor}: an operation needs the run of an agent; give the machine to agent({ machine }), or other actors to machine.provide`);
    this.detail = { actor };
  }
}

const performers = new WeakMap<object, Performer>();

/** From now on `performer` performs the operations of that XState system. */
export function performIn(system: AnyActorRef['system'], performer: Performer): void {
  performers.set(system, performer);
}

/**
 * An actor logic for the statechart of an agent. `ctx` is that of the run, with places of its own: what it brings is
 * remembered under the id of the invocation and how often that was entered. It may be performed several times, like `run`.
 * What it is given, and what it brings, must be JSON.
 *
 * Here `ctx` takes any name; `operations({ uses, asks, events })` makes one that knows them.
 *
 * @example
 * const summarise = operation((input: { text: string }, ctx) => ctx.call('model', { prompt: input.text }));
 * const machine = setup({ actors: { summarise } }).createMachine({ ... });
 */
export function operation<I = undefined, O = unknown>(perform: (input: I, ctx: Context) => Promise<O>): OperationLogic<I, O> {
  const logic: OperationLogic<I, O> = {
    is: 'operation',
    perform,
    transition: next,
    getInitialSnapshot: (_scope, input) => ({ status: 'active', output: undefined, error: undefined, input }),
    getPersistedSnapshot: (snapshot) => snapshot,
    restoreSnapshot: (snapshot) => snapshot as OperationSnapshot<I, O>,
    start(snapshot, { self, system }) {
      if (snapshot.status !== 'active') return;
      const performer = performers.get(system);
      if (performer === undefined) throw new OperationOutsideError(self.id);
      performer.begin(self as AnyActorRef, logic, snapshot.input);
    },
  };
  return logic;
}

/**
 * `operation`, with a `ctx` that knows what the agent declares.
 *
 * @example
 * const declared = { uses: { model }, events: { approve: z.object({ by: z.string() }) } };
 * const does = operations(declared);
 * const summarise = does((input: { text: string }, ctx) => ctx.call('model', { prompt: input.text }));
 * agent({ ...declared, machine });
 */
export function operations<const U extends DependencyMap = {}, const A extends ContractMap = {}, const E extends EventMap = {}>(
  _declared: Declared<U, A, E>,
): <I = undefined, O = unknown>(perform: (input: I, ctx: Context<U, A, E>) => Promise<O>) => OperationLogic<I, O> {
  return (perform) => operation(perform as never) as never;
}

export function isOperation(logic: unknown): logic is AnyOperation {
  return (logic as { readonly is?: unknown } | null | undefined)?.is === 'operation';
}

function next<I, O>(snapshot: OperationSnapshot<I, O>, event: OperationEvent): OperationSnapshot<I, O> {
  if (snapshot.status !== 'active') return snapshot;
  switch (event.type) {
    case 'operation.done':
      return { ...snapshot, status: 'done', output: event.output as O, error: undefined, input: undefined };
    case 'operation.failed':
      return { ...snapshot, status: 'error', output: undefined, error: event.error, input: undefined };
    case 'xstate.stop':
      return { ...snapshot, status: 'stopped', output: undefined, error: undefined, input: undefined };
    default:
      return snapshot;
  }
}
