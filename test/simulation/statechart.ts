/** Statechart: a drawn program as a machine of the user's own: two regions side by side, each of which performs every other operation. */
import { operation } from 'drover';
import type { Context } from 'drover';
import { assign, setup } from 'xstate';
import type { AnyStateMachine } from 'xstate';
import type { Executor, Said } from './execute.ts';
import type { Op, Program } from './program.ts';

type Free = Context<never, never>;

/** Which operation each region has come to, and what has been said. */
interface Progress {
  readonly program: Program;
  readonly at: readonly number[];
  readonly said: readonly Said[];
  /** What it was told of, one after the other. */
  readonly paid: readonly string[];
}

const REGIONS = [0, 1] as const;

const PAYMENTS = {
  initial: 'waits',
  states: {
    waits: {
      always: { guard: ({ context }: { context: Progress }) => context.paid.length >= (context.program.payments ?? 0), target: 'done' },
      on: {
        paid: {
          actions: assign<Progress, { readonly type: string; readonly payload?: unknown }, undefined, never, never>({
            paid: ({ context, event }) => [...context.paid, JSON.stringify(event)],
          }),
        },
      },
    },
    done: { type: 'final' as const },
  },
};

export function statechartOf(executor: Executor): AnyStateMachine {
  const region = (which: number) => ({
    initial: 'pick',
    states: {
      pick: {
        always: [{ guard: ({ context }: { context: Progress }) => opOf(context, which) !== undefined, target: 'do' }, { target: 'done' }],
      },
      do: {
        after: { [`limit${which}`]: { target: 'pick', actions: goesOn(which) } },
        invoke: {
          src: 'perform' as const,
          input: ({ context }: { context: Progress }) => ({ op: opOf(context, which)! }),
          onDone: {
            target: 'pick',
            actions: goesOn(which),
          },
        },
      },
      done: { type: 'final' as const },
    },
  });
  const delays = Object.fromEntries(
    REGIONS.map((which) => [`limit${which}`, ({ context }: { context: Progress }) => limitOf(context, which)]),
  );
  return setup({
    delays,
    types: { context: {} as Progress, input: {} as Program },
    actors: {
      perform: operation(({ op }: { readonly op: Op }, ctx) => executor.perform(op, ctx as unknown as Free)),
      finish: operation(async ({ program }: { readonly program: Program }, ctx) => executor.finish(program, ctx as unknown as Free)),
    },
  }).createMachine({
    context: ({ input }: { input: Program }): Progress => ({ program: input, at: REGIONS.map(() => 0), said: [], paid: [] }),
    initial: 'work',
    states: {
      work: { type: 'parallel', onDone: 'finish', states: { left: region(0), right: region(1), told: PAYMENTS } },
      finish: { invoke: { src: 'finish', input: ({ context }: { context: Progress }) => ({ program: context.program }), onDone: 'end' } },
      end: { type: 'final' },
    },
    output: ({ context }: { context: Progress }) => context.said,
  } as never) as unknown as AnyStateMachine;
}

/** With what the operation has said; nothing where it was cut off. */
function goesOn(which: number) {
  return assign<Progress, { readonly type: string; readonly output?: readonly Said[] }, undefined, never, never>({
    at: ({ context }) => context.at.map((n, its) => (its === which ? n + 1 : n)),
    said: ({ context, event }) => [...context.said, ...(event.output ?? [])],
  });
}

/** One of three operations is cut off when it takes long. */
function limitOf({ program, at }: Progress, which: number): number {
  return (program.ops.length + at[which]! + which) % 3 === 0 ? 1_500 : 86_400_000;
}

function opOf({ program, at }: Progress, which: number): Op | undefined {
  return program.ops[at[which]! * REGIONS.length + which];
}
