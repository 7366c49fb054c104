/** Execute: the `run` of every kind of a drawn topology. */
import type { Context, StepContext } from 'drover';
import type { Op, Program } from './program.ts';

/** What an operation brought: its key, and what only its own effect can have said. */
export type Said = readonly [key: string, value: number];

/** What a row counts, and who counted last. */
export interface Count {
  readonly n: number;
  readonly by: string;
}

/** Failures that follow from what is remembered, so that a run may catch them and go on. */
const CAUGHT = ['DROVER_CHILD_FAILED', 'DROVER_WAIT_TIMEOUT', 'DROVER_APPROVAL_REJECTED'];

export class Executor {
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #nonce: () => number;

  /** @param sleep a sleep that the runtime does not see @param nonce another number each time */
  constructor(sleep: (ms: number) => Promise<void>, nonce: () => number) {
    this.#sleep = sleep;
    this.#nonce = nonce;
  }

  /** @param version of the code that does it */
  async execute(program: Program, ctx: Context<never, never>, version = 1): Promise<readonly Said[]> {
    const said: Said[] = [];
    for (const op of program.ops) {
      if (op.at !== 'since') said.push(...(await this.perform(op, ctx)));
      else if (op.version <= version) said.push(...(await this.perform(op.op, ctx)));
    }
    this.finish(program, ctx);
    return said;
  }

  /** Throws where it does not end well. */
  finish({ hopeless, rejects }: Program, ctx: Context<never, never>): void {
    if (hopeless === true) throw Object.assign(new Error('hopeless'), { retryable: false });
    if (ctx.task.attempt <= rejects) throw new Error(`rejected at attempt ${ctx.task.attempt}`);
  }

  /** What it brought. */
  async perform(op: Op, ctx: Context<never, never>, catches = true): Promise<readonly Said[]> {
    switch (op.at) {
      case 'call': {
        const { remember, key } = op;
        const options = { ...(remember === undefined ? {} : { remember }), ...(key === undefined ? {} : { key }) };
        const said: unknown = await ctx.call(op.dependency as never, op.request as never, options);
        return op.remember === false ? [] : [said as Said];
      }
      case 'step':
        return [await this.#step(op.name, op.ms, op.fails === true, ctx)];
      case 'ask':
        return this.#caught(
          catches,
          [],
          async () => (await ctx.ask(op.kind as never, op.program as never, { ...keyed(op), ...ranked(op) })) as readonly Said[],
        );
      case 'timely': {
        const { ask, ms, sleepsFirst, name } = op;
        const failed = (error: unknown): string => {
          if (!CAUGHT.includes((error as { readonly code?: string }).code ?? '')) throw error;
          return 'failed';
        };
        const answered = (): Promise<string> => ctx.ask(ask.kind as never, ask.program as never).then(() => 'answered', failed);
        const late = (): Promise<string> => ctx.sleep(ms).then(() => 'late');
        const how = await Promise.race(sleepsFirst ? [late(), answered()] : [answered(), late()]);
        await ctx.compensate(`${name} ${how}`, () => this.#sleep(10));
        return [await this.#step(`${name} ${how}`, 20, false, ctx)];
      }
      case 'several': {
        const how = await this.#several(op, ctx);
        await ctx.compensate(`${op.name} ${how}`, () => this.#sleep(10));
        return [await this.#step(`${op.name} ${how}`, 20, false, ctx)];
      }
      case 'rescue': {
        let how = 'fine';
        const said = await this.perform(op.op, ctx, false).catch((): readonly Said[] => {
          how = 'rescued';
          return [];
        });
        return [...said, await this.#step(`${op.name} ${how}`, 20, false, ctx)];
      }
      case 'finally':
        try {
          return await this.perform(op.op, ctx, catches);
        } finally {
          await this.#step(op.name, 20, false, ctx);
        }
      case 'within':
        return Promise.race([this.perform(op.op, ctx, catches), ctx.sleep(86_400_000).then((): readonly Said[] => [])]);
      case 'insist':
        return this.#insist(op.op, ctx);
      case 'pool': {
        const left = [...op.ops];
        const lane = async (): Promise<readonly Said[]> => {
          const said: Said[] = [];
          for (let next = left.shift(); next !== undefined; next = left.shift()) said.push(...(await this.perform(next, ctx, catches)));
          return said;
        };
        return (await Promise.all(Array.from({ length: op.width }, lane))).flat();
      }
      case 'loop': {
        const found = await ctx.state.get<Count>(op.row);
        const said: Said[] = [];
        for (let n = (found?.value.n ?? 0) % 4; n > 0; n -= 1) said.push(await this.#step(`${op.name} ${n}`, op.ms, false, ctx));
        return said;
      }
      case 'each': {
        const said: Said[] = [];
        for (const key of this.#set(op.varies)) said.push(await this.#step(op.name, op.ms, false, ctx, key));
        return said;
      }
      case 'send':
        ctx.send(op.kind as never, op.program as never, ranked(op));
        return [];
      case 'progress':
        ctx.progress(1, 2);
        return [];
      case 'pause':
        await this.#sleep(op.ms);
        return [];
      case 'sleep':
        await ctx.sleep(op.ms, keyed(op));
        return [];
      case 'event':
        await this.#caught(catches, undefined, () => ctx.waitFor(op.name as never, within(op)));
        return [];
      case 'approval':
        await this.#caught(catches, undefined, () => ctx.approval(op.name, { of: ctx.task.id }, within(op)));
        return [];
      case 'count':
        await this.#count(op, ctx);
        return [];
      case 'undoable':
        await ctx.compensate(op.name, async () => {
          await this.#sleep(op.ms);
          if (ctx.task.attempt <= op.fails) throw new Error('an undo fails');
        });
        return [await this.#step(op.name, op.ms, false, ctx)];
      case 'widen':
        await ctx.widen(op.rows);
        return [];
      case 'hold': {
        const inner = async (): Promise<readonly Said[]> => {
          await this.#sleep(op.ms);
          return this.perform(op.op, ctx);
        };
        const low = ctx.hold('low', () => (op.deep ? ctx.hold('high', inner) : inner()));
        return await low;
      }
      case 'since':
        throw new Error('versions differ in what a program does one after the other');
      case 'both':
    }
    return (await Promise.all(op.ops.map((inner) => this.perform(inner, ctx)))).flat();
  }

  async #insist(op: Op, ctx: Context<never, never>): Promise<readonly Said[]> {
    for (let left = 2; ; left -= 1) {
      try {
        return await this.perform(op, ctx, false);
      } catch (error) {
        if (left === 0) throw error;
        await ctx.sleep(50);
      }
    }
  }

  /** How it went, in few characters. */
  async #several({ how, ops }: Extract<Op, { at: 'several' }>, ctx: Context<never, never>): Promise<string> {
    const acts = ops.map((op, at) => this.perform(op, ctx, false).then(() => String(at)));
    switch (how) {
      case 'any':
        return Promise.any(acts);
      case 'race':
        return Promise.race(acts).catch(() => 'failed');
      case 'all':
        return (await Promise.allSettled(acts)).map(({ status }) => status[0]).join('');
    }
  }

  /** In an order of its own each time, and more or less of it. */
  #set(varies: boolean): readonly string[] {
    const all = ['a', 'b', 'c', 'd'];
    if (!varies) return all;
    const first = this.#nonce() % all.length;
    return [...all.slice(first), ...all.slice(0, first)].slice(0, 1 + (this.#nonce() % all.length));
  }

  #step(name: string, ms: number, fails: boolean, ctx: Context<never, never>, key?: string): Promise<Said> {
    const act = async ({ idempotencyKey }: StepContext): Promise<Said> => {
      await this.#sleep(ms);
      if (fails && ctx.task.attempt < 3) throw new Error('a step fails');
      return [idempotencyKey, this.#nonce()];
    };
    return ctx.step(name, act, key === undefined ? {} : { key });
  }

  async #count({ row, how }: Extract<Op, { at: 'count' }>, ctx: Context<never, never>): Promise<void> {
    const { id } = ctx.task;
    if (how === 'update') {
      await ctx.state.update<Count>(row, (count) => ({ n: (count?.n ?? 0) + 1, by: id }));
      return;
    }
    const found = await ctx.state.get<Count>(row);
    await ctx.state.set(row, { n: (found?.value.n ?? 0) + 1, by: id } satisfies Count, found?.version ?? null);
  }

  /** Only what is the same in every run may be caught. */
  async #caught<T>(catches: boolean, instead: T, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (!catches || !CAUGHT.includes((error as { readonly code?: string }).code ?? '')) throw error;
      return instead;
    }
  }
}

function keyed({ key }: { readonly key?: string }): { readonly key?: string } {
  return key === undefined ? {} : { key };
}

function ranked({ priority }: { readonly priority?: number }): { readonly priority?: number } {
  return priority === undefined ? {} : { priority };
}

function within({ withinMs }: { readonly withinMs?: number }): { readonly withinMs?: number } {
  return withinMs === undefined ? {} : { withinMs };
}
