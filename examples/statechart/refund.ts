/**
 * A refund as a statechart: a letter is drafted while the order is looked up; above a limit a person is asked,
 * and reminded; then the money goes back, and should anything fail after that, it is taken again.
 */
import { assign, setup } from 'xstate';
import { agent, defineFleet, dependency, operations } from 'drover';
import { z } from 'zod';

export interface Claim {
  readonly order: string;
  readonly reason: string;
}

interface Refund {
  readonly claim: Claim;
  readonly letter: string;
  readonly cents: number;
  readonly by: string;
  readonly reminders: number;
}

/** Stands for a language model. */
export const model = dependency({
  limits: { concurrency: 4 },
  perform: async ({ prompt }: { readonly prompt: string }) => `Dear customer, ${prompt}`,
});

/** Stands for a shop. */
const shop = dependency({ perform: async (order: string) => ({ cents: order.length * 1_000 }) });

/** What was paid out, by the id of the task. */
export const ledger = new Map<string, number>();

const declared = { uses: { model, shop }, events: { approve: z.object({ by: z.string() }), reject: z.object({ by: z.string() }) } };
const does = operations(declared);

export const refundMachine = setup({
  types: {
    input: {} as Claim,
    context: {} as Refund,
    output: {} as Omit<Refund, 'claim'>,
    events: {} as { type: 'approve' | 'reject'; by: string },
  },
  actors: {
    draft: does(({ reason }: Claim, ctx) => ctx.call('model', { prompt: `we are sorry: ${reason}` })),
    lookUp: does(({ order }: Claim, ctx) => ctx.call('shop', order)),
    pay: does(async ({ cents }: { readonly cents: number }, ctx) => {
      await ctx.compensate('pay', () => ledger.delete(ctx.task.id));
      await ctx.step('pay', () => void ledger.set(ctx.task.id, cents));
    }),
  },
  guards: { isSmall: ({ context }) => context.cents <= 5_000 },
  delays: { reminder: 200 },
}).createMachine({
  id: 'refund',
  context: ({ input }) => ({ claim: input, letter: '', cents: 0, by: 'nobody', reminders: 0 }),
  initial: 'preparing',
  states: {
    preparing: {
      type: 'parallel',
      states: {
        letter: {
          initial: 'drafting',
          states: {
            drafting: {
              invoke: {
                id: 'draft',
                src: 'draft',
                input: ({ context }) => context.claim,
                onDone: { target: 'drafted', actions: assign({ letter: ({ event }) => event.output }) },
              },
            },
            drafted: { type: 'final' },
          },
        },
        amount: {
          initial: 'lookingUp',
          states: {
            lookingUp: {
              invoke: {
                id: 'lookUp',
                src: 'lookUp',
                input: ({ context }) => context.claim,
                onDone: { target: 'known', actions: assign({ cents: ({ event }) => event.output.cents }) },
              },
            },
            known: { type: 'final' },
          },
        },
      },
      onDone: [{ guard: 'isSmall', target: 'paying' }, { target: 'asking' }],
    },
    asking: {
      after: { reminder: { target: 'asking', reenter: true, actions: assign({ reminders: ({ context }) => context.reminders + 1 }) } },
      on: {
        approve: { target: 'paying', actions: assign({ by: ({ event }) => event.by }) },
        reject: { target: 'refused', actions: assign({ by: ({ event }) => event.by, cents: 0 }) },
      },
    },
    paying: { invoke: { id: 'pay', src: 'pay', input: ({ context }) => ({ cents: context.cents }), onDone: 'paid' } },
    paid: { type: 'final' },
    refused: { type: 'final' },
  },
  output: ({ context: { letter, cents, by, reminders } }) => ({ letter, cents, by, reminders }),
});

export const topology = defineFleet({ name: 'refunds', staggerMs: 0, agents: { refund: agent({ ...declared, machine: refundMachine }) } });
