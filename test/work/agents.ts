/** Agents: two kinds whose runs do what a program says, and whom a witness watches. */
import { z } from 'zod';
import { agent, ChildFailedError, contract } from 'drover';
import type { MailboxMode } from 'drover';
import type { State } from '../../src/topology/context.ts';
import type { Op, Program } from './programs.ts';
import type { Witness } from './witness.ts';

export const LEASE_MS = 3_000;
/** It takes as long as a lease: that has to be renewed. */
const LONG_STEP = 's3';
/** So long an ask that is raced is waited for. */
const RACE_MS = 40;
/** Failures that a program may bring about. */
export const REJECTED = 'as the program says';

export function makeAgents(witness: Witness, sleep: (ms: number) => Promise<void>, mode: MailboxMode) {
  const helperContract = contract<Program, Program, readonly string[], readonly string[]>({});
  const common = {
    writes: ({ writes }: Program) => writes,
    reads: ({ reads }: Program) => reads,
    leaseMs: LEASE_MS,
    /** Rows that were read before a park may have to be read anew. */
    attempts: 6,
    losses: 1_000,
    backoff: () => 50,
    affinity: ({ affinity }: Program) => affinity ?? '',
    mailbox: { mode, capacity: 3, stealAbove: 1 },
    asks: { helper: helperContract },
    events: { go: z.string() },
  };
  const run = async (program: Program, ctx: RunContext): Promise<readonly string[]> => {
    const { id } = ctx.task;
    const live = witness.enters(ctx.task, program);
    const leave = (): void => witness.leaves(live);
    ctx.signal.addEventListener('abort', leave);
    const brought: string[] = [];
    const getting = (op: string, value: string): void => {
      witness.gets(id, op, value);
      brought.push(`${op} ${value}`);
    };
    const perform = async (op: Op, at: number): Promise<void> => {
      switch (op.at) {
        case 'step':
          return getting(op.name, await ctx.step(op.name, op.name === LONG_STEP ? executeLong : execute));
        case 'undoable':
          await ctx.compensate(op.name, async () => {
            await sleep(20);
            witness.triesToUndo(id, op.name, op.fails);
            witness.undoes(id, op.name);
          });
          witness.registers(id, op.name);
          return getting(op.name, await ctx.step(op.name, execute));
        case 'ask':
          return getting(
            `ask${at}`,
            await ctx.ask('helper', op.program).then(
              (value) => JSON.stringify(value),
              (error: unknown) => {
                if (error instanceof ChildFailedError) return 'failed';
                throw error;
              },
            ),
          );
        case 'race':
          return void (await Promise.race([ctx.ask('helper', op.program).catch(() => {}), ctx.sleep(RACE_MS)]));
        case 'sleep':
          return ctx.sleep(op.ms);
        case 'event':
          return getting(`event${at}`, await ctx.waitFor('go'));
        case 'approval':
          return getting(op.name, (await ctx.approval(op.name, null)).by);
        case 'widen':
          await ctx.widen(op.rows);
          return witness.widens(live, op.rows);
        case 'add':
          return add(op.row, op.by, ctx.state);
      }
    };
    /** Another value each time that it is made: who sees one twice has got what was remembered. */
    const execute = async (_?: unknown, ms = 30): Promise<string> => {
      const n = (witness.executions += 1);
      await sleep(ms);
      return `#${n}`;
    };
    const executeLong = (): Promise<string> => execute(undefined, LEASE_MS);
    try {
      for (const [at, op] of program.ops.entries()) await perform(op, at);
      if (program.ends === 'badly' || (program.ends === 'late' && !witness.rejected.has(id))) {
        witness.rejected.add(id);
        throw new Error(REJECTED);
      }
      return brought;
    } finally {
      leave();
    }
  };
  const helper = agent({ ...common, replicas: 2, run });
  const work = agent({ ...common, replicas: 3, orderKey: ({ key }: Program) => key, run });
  return { work, helper } as const;
}

/** Either way no other update is lost: over what is there when it commits, or over what was read, if that is still there. */
async function add(row: string, by: number, state: RunContext['state']): Promise<void> {
  if (by % 2 === 0) {
    await state.update<number>(row, (sum = 0) => sum + by);
    return;
  }
  const read = await state.get<number>(row);
  await state.set(row, (read?.value ?? 0) + by, read?.version ?? null);
}

/** What a program needs of `ctx`. */
interface RunContext {
  readonly task: { readonly id: string; readonly fence: number; readonly lockFence: number };
  readonly signal: AbortSignal;
  readonly state: Pick<State, 'get' | 'set' | 'update'>;
  step(name: string, fn: () => Promise<string>): Promise<string>;
  compensate(name: string, undo: () => Promise<void>): Promise<void>;
  ask(kind: 'helper', program: Program): Promise<unknown>;
  sleep(ms: number): Promise<void>;
  waitFor(name: 'go'): Promise<string>;
  approval(name: string, request: unknown): Promise<{ readonly by: string }>;
  widen(rows: readonly string[]): Promise<void>;
}
