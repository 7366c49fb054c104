/**
 * Shop: a fleet that does everything that a task can do: steps, calls, asks, sends, compensations, sleeps,
 * events, approvals, rows, write sets that grow, order keys, recurring tasks.
 */
import { agent, ApprovalRejectedError, defineFleet } from 'drover';
import { z } from 'zod';
import { model, Outside } from './outside.ts';
import type { OutsideUrls } from './outside.ts';

/** Names of its agents. */
export type ShopKind = keyof ReturnType<typeof shop>['agents'];

/** Longer than a busy machine stands still, shorter than a stop. */
export const LEASE_MS = 1_000;

/** Kills count as losses; nothing may die of them here. */
const SHARED = { leaseMs: LEASE_MS, losses: 1_000_000, attempts: 6, backoff: { baseMs: 10, capMs: 50 } } as const;

/** Whoever reads a row and is killed reads it anew, at the cost of an attempt when somebody else has written it. */
const READER = { ...SHARED, attempts: 50 } as const;

/** The row, and the lock, of an account. */
export const accountRow = (account: number): string => `account:${account}`;
/** The row, and the lock, of a ledger. */
export const ledgerRow = (key: string): string => `ledger:${key}`;

/** The fleet, over that world. */
export function shop({ effectsUrl, providerUrl }: OutsideUrls) {
  const payment = agent({
    ...READER,
    input: z.object({ account: z.int(), amount: z.int(), compares: z.boolean() }),
    replicas: 3,
    writes: ({ account }) => [accountRow(account)],
    async run({ account, amount, compares }, ctx) {
      const outside = new Outside(effectsUrl, ctx);
      const row = accountRow(account);
      await ctx.step('authorize', (step) => outside.make(step, { authorize: amount }, { lock: row }));
      const seen = compares ? await ctx.state.get<number>(row) : undefined;
      await ctx.step('capture', (step) => outside.make(step, { capture: amount }, { lock: row }));
      if (compares) await ctx.state.set(row, (seen?.value ?? 0) + amount, seen?.version ?? null);
      else await ctx.state.update<number>(row, (value = 0) => value + amount);
      return amount;
    },
  });

  const note = agent({
    ...SHARED,
    input: z.object({ of: z.int() }),
    async run({ of }, ctx) {
      const outside = new Outside(effectsUrl, ctx);
      await ctx.step('note', (step) => outside.make(step, { of }));
    },
  });

  const order = agent({
    ...SHARED,
    input: z.object({ n: z.int(), account: z.int(), amount: z.int(), fails: z.boolean() }),
    uses: { model: model(providerUrl) },
    asks: { payment, note },
    replicas: 3,
    async run({ n, account, amount, fails }, ctx) {
      const outside = new Outside(effectsUrl, ctx);
      await ctx.compensate('reserve', (step) => outside.make(step, { giveBack: n }));
      await ctx.step('reserve', (step) => outside.make(step, { reserve: n }));
      const { text } = await ctx.call('model', { about: `order ${n}` });
      await ctx.compensate('payment', (step) => outside.make(step, { refund: n }));
      const paid = await ctx.ask('payment', { account, amount, compares: n % 2 === 0 });
      await ctx.compensate('label', (step) => outside.make(step, { void: n }));
      await ctx.step('label', (step) => outside.make(step, { label: n, text }, { isHeedless: true }));
      if (fails) throw new Error('there is no such address');
      ctx.send('note', { of: n });
      return { paid, text };
    },
  });

  const transfer = agent({
    ...SHARED,
    input: z.object({ from: z.int(), to: z.int(), amount: z.int() }),
    replicas: 2,
    writes: ({ from }) => [accountRow(from)],
    async run({ from, to, amount }, ctx) {
      const outside = new Outside(effectsUrl, ctx);
      await ctx.widen([accountRow(to)]);
      await ctx.step('transfer', (step) => outside.make(step, { from, to, amount }, { lock: accountRow(to) }));
      await ctx.state.update<number>(accountRow(from), (value = 0) => value - amount);
      await ctx.state.update<number>(accountRow(to), (value = 0) => value + amount);
    },
  });

  const ledger = agent({
    ...SHARED,
    input: z.object({ key: z.string(), n: z.int(), fails: z.boolean(), sleepMs: z.int() }),
    replicas: 3,
    orderKey: ({ key }) => key,
    writes: ({ key }) => [ledgerRow(key)],
    async run({ key, n, fails, sleepMs }, ctx) {
      const outside = new Outside(effectsUrl, ctx);
      if (fails) throw new Error('a line that nobody can read');
      if (sleepMs > 0) await ctx.sleep(sleepMs);
      await ctx.step('append', (step) => outside.make(step, { key, n }, { lock: ledgerRow(key), isHeedless: n % 4 === 0 }));
      await ctx.state.update<readonly number[]>(ledgerRow(key), (lines = []) => [...lines, n]);
    },
  });

  const errand = agent({
    ...SHARED,
    input: z.object({ n: z.int(), sleepMs: z.int() }),
    events: { go: z.object({ turn: z.int() }) },
    replicas: 3,
    async run({ n, sleepMs }, ctx) {
      const outside = new Outside(effectsUrl, ctx);
      await ctx.step('before', (step) => outside.make(step, { before: n }));
      await ctx.sleep(sleepMs);
      await ctx.step('awake', (step) => outside.make(step, { awake: n }));
      const turns = [await ctx.waitFor('go'), await ctx.waitFor('go')].map(({ turn }) => turn);
      const decided = await ctx.approval('ok', { n }).then(
        ({ by }) => `approved by ${by}`,
        (error: unknown) => {
          if (error instanceof ApprovalRejectedError) return `rejected by ${error.detail.by}`;
          throw error;
        },
      );
      await ctx.step('after', (step) => outside.make(step, { turns, decided }));
      return { turns, decided };
    },
  });

  const tick = agent({
    ...SHARED,
    async run(_: unknown, ctx) {
      const outside = new Outside(effectsUrl, ctx);
      await ctx.step('tick', (step) => outside.make(step, { turn: ctx.task.id }));
    },
  });

  return defineFleet({ name: 'shop', staggerMs: 0, agents: { order, payment, note, transfer, ledger, errand, tick } });
}
