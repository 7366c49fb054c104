/** Order machine: three operations, two of them in parallel, and a delay. */
import { assign, setup } from 'xstate';
import { operation } from 'drover';

/** Two drafts at once, each called for; a check after a rest of a minute; a result of all of them. */
export function orderMachine() {
  const call = (what: string) => operation((input: { text: string }, ctx) => ctx.call('service', `${what} ${input.text}`));
  return setup({
    types: {
      input: {} as { text: string },
      context: {} as { text: string; left: string; right: string; checked: string },
      output: {} as string[],
    },
    actors: { left: call('left'), right: call('right'), check: call('check') },
  }).createMachine({
    id: 'order',
    context: ({ input }) => ({ text: input.text, left: '', right: '', checked: '' }),
    initial: 'drafting',
    states: {
      drafting: {
        type: 'parallel',
        states: {
          left: {
            initial: 'asking',
            states: {
              asking: {
                invoke: {
                  id: 'left',
                  src: 'left',
                  input: ({ context }) => ({ text: context.text }),
                  onDone: { target: 'asked', actions: assign({ left: ({ event }) => String(event.output) }) },
                },
              },
              asked: { type: 'final' },
            },
          },
          right: {
            initial: 'asking',
            states: {
              asking: {
                invoke: {
                  id: 'right',
                  src: 'right',
                  input: ({ context }) => ({ text: context.text }),
                  onDone: { target: 'asked', actions: assign({ right: ({ event }) => String(event.output) }) },
                },
              },
              asked: { type: 'final' },
            },
          },
        },
        onDone: 'resting',
      },
      resting: { after: { 60_000: 'checking' } },
      checking: {
        invoke: {
          id: 'check',
          src: 'check',
          input: ({ context }) => ({ text: context.text }),
          onDone: { target: 'checked', actions: assign({ checked: ({ event }) => String(event.output) }) },
        },
      },
      checked: { type: 'final' },
    },
    output: ({ context }) => [context.left, context.right, context.checked],
  });
}
