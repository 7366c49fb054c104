/** A machine as a user has it: delays, an invoked actor, parallel states, guards, effects, a final state. */
import { assign, emit, fromPromise, setup } from 'xstate';
import { emit as emitEffect, send } from '../../../actors/kernel/effects.ts';

export type OrderEvent =
  | { readonly type: 'add'; readonly sku: string }
  | { readonly type: 'pay'; readonly cents: number }
  | { readonly type: 'cancel' }
  | { readonly type: 'xstate.done.actor.charge'; readonly output: boolean };

export const orderMachine = setup({
  types: {
    context: {} as { readonly items: number; readonly most: number; readonly charged: boolean },
    events: {} as OrderEvent,
    input: {} as { readonly most: number },
    emitted: {} as { readonly type: 'reminded' },
  },
  actors: {
    // Were it run, the test would not end.
    charge: fromPromise<boolean, { readonly cents: number }>(() => new Promise(() => {})),
  },
  delays: { patience: 60_000, reminder: 10_000 },
  guards: { hasRoom: ({ context }) => context.items < context.most, hasItems: ({ context }) => context.items > 0 },
  actions: {
    ship: () => emitEffect(send('warehouse', { type: 'ship' })),
    remind: emit({ type: 'reminded' }),
  },
}).createMachine({
  id: 'order',
  context: ({ input }) => ({ items: 0, most: input.most, charged: false }),
  initial: 'open',
  states: {
    open: {
      after: { patience: 'expired' },
      initial: 'quiet',
      states: {
        quiet: { after: { reminder: { target: 'reminded', actions: 'remind' } } },
        reminded: { after: { reminder: 'quiet' } },
      },
      on: {
        add: { guard: 'hasRoom', actions: assign({ items: ({ context }) => context.items + 1 }) },
        pay: { guard: 'hasItems', target: 'paying' },
        cancel: 'cancelled',
      },
    },
    paying: {
      invoke: {
        id: 'charge',
        src: 'charge',
        input: { cents: 1 },
        onDone: [{ guard: ({ event }) => event.output, target: 'paid', actions: assign({ charged: true }) }, { target: 'open' }],
        onError: 'cancelled',
      },
    },
    paid: { type: 'final', entry: 'ship' },
    expired: { type: 'final' },
    cancelled: { type: 'final' },
  },
});

/** Whatever a test of it needs to cover it. */
export const order = {
  input: { most: 2 },
  events: [
    { type: 'add', sku: 'a' },
    { type: 'pay', cents: 1 },
    { type: 'xstate.done.actor.charge', output: true },
    { type: 'xstate.done.actor.charge', output: false },
  ],
} as const;

/** Counts without end. */
export const counterMachine = setup({
  types: { context: {} as { readonly count: number; readonly name: string }, events: {} as { readonly type: 'more' } },
}).createMachine({
  id: 'counter',
  context: { count: 0, name: 'it' },
  on: { more: { actions: assign({ count: ({ context }) => context.count + 1 }) } },
});
