/**
 * Two runs of one task, and one of them does not know that it is over: its write is on its way when its time runs out, the
 * task is run again, and then the late write arrives. With `--unfenced` it is taken, and the deposit of the second run is lost.
 */
import { setTimeout } from 'node:timers/promises';
import { agent, defineFleet, startFleet } from 'drover';
import { pino } from 'pino';
import { Accounts } from './accounts.ts';

const isFenced = !process.argv.includes('--unfenced');
const accounts = new Accounts();
accounts.open('savings', 100);

const late: Promise<void>[] = [];

const deposit = agent({
  // Nobody else writes this account while a run does.
  writes: ({ account }: { account: string; cents: number }) => [`account:${account}`],
  runTimeoutMs: 200,
  backoff: { baseMs: 10, capMs: 10 },
  async run({ account, cents }, ctx) {
    const { attempt, lockFence } = ctx.task;
    const fence = isFenced ? lockFence : Number.MAX_SAFE_INTEGER;
    // Before it reads what it is going to write: from now on no older run writes that.
    accounts.claim(account, fence);
    const sum = accounts.cents(account) + cents * attempt;
    if (attempt === 1) {
      // A write that gets stuck on its way, of code that does not listen to `ctx.signal`.
      late.push(setTimeout(600).then(() => write('the late write of the first run', () => accounts.set(account, sum, fence))));
      await late[0];
    } else write('the write of the second run', () => accounts.set(account, sum, fence));
    return sum;
  },
});

function write(what: string, set: () => void): void {
  try {
    set();
    console.log(`${what}: taken`);
  } catch (error) {
    console.log(`${what}: refused, ${(error as Error).message}`);
  }
}

await using fleet = await startFleet(defineFleet({ name: 'bank', agents: { deposit } }), { logger: pino({ level: 'silent' }) });
const handle = await fleet.submit('deposit', { account: 'savings', cents: 10 });
const sum = await handle.result();
await Promise.all(late);
console.log(`the task says ${sum}, the account says ${accounts.cents('savings')}`);
