/**
 * A process is killed with -9 when a run has written, and Drover has not heard of it: the next run of the task, in the next
 * process, would write again. It finds the key of its step, and does not.
 *
 *     killed.ts FOLDER --kill     deposits, and kills itself
 *     killed.ts FOLDER            goes on
 *
 * Both databases stay, and so do the tokens: those of a memory store would begin with 1 again, and the accounts refuse them.
 */
import { join } from 'node:path';
import { agent, defineFleet, startFleet } from 'drover';
import { sqlite } from 'drover/stores/sqlite';
import { pino } from 'pino';
import { Accounts } from './accounts.ts';

const [folder = '.', how] = process.argv.slice(2);
const accounts = new Accounts(join(folder, 'accounts.db'));
accounts.open('savings', 100);

const deposit = agent({
  writes: ({ account }: { account: string; cents: number }) => [`account:${account}`],
  run: ({ account, cents }, ctx) =>
    ctx.step('deposit', ({ idempotencyKey }) => {
      const { lockFence } = ctx.task;
      accounts.claim(account, lockFence);
      const sum = accounts.set(account, accounts.cents(account) + cents, lockFence, idempotencyKey);
      if (how === '--kill') process.kill(process.pid, 'SIGKILL');
      return sum;
    }),
});

await using fleet = await startFleet(defineFleet({ name: 'bank', agents: { deposit } }), {
  store: sqlite(join(folder, 'tasks.db')),
  logger: pino({ level: 'silent' }),
});
const handle = await fleet.submit('deposit', { account: 'savings', cents: 10 }, { id: 'deposit-1' });
console.log(`the task says ${await handle.result()}, the account says ${accounts.cents('savings')}`);
