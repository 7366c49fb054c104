/**
 * A run does not know that it is over: its write is on its way when its time runs out, another task gets the lock and
 * writes, and then the late write arrives. With `--unfenced` it is taken, and the deposit of the other task is lost.
 *
 * The accounts and the fleet's store begin anew with each run of this program. What stays is in `killed.ts`.
 */
import { setTimeout } from 'node:timers/promises';
import { agent, defineFleet, startFleet } from 'drover';
import { pino } from 'pino';
import { Accounts } from './accounts.ts';

const isFenced = !process.argv.includes('--unfenced');
const accounts = new Accounts();
accounts.open('savings', 100);

let isStuck = true;
const late: Promise<void>[] = [];

const deposit = agent({
  // Nobody else writes this account while a run does.
  writes: ({ account }: { account: string; cents: number }) => [`account:${account}`],
  attempts: 1,
  runTimeoutMs: 200,
  run: ({ account, cents }, ctx) =>
    ctx.step('deposit', async ({ idempotencyKey }) => {
      const fence = isFenced ? ctx.task.lockFence : Number.MAX_SAFE_INTEGER;
      // Before it reads what it is going to write: from now on no older run writes that.
      accounts.claim(account, fence);
      const sum = accounts.cents(account) + cents;
      const set = (): number => accounts.set(account, sum, fence, idempotencyKey);
      if (isStuck) {
        isStuck = false;
        // A write that gets stuck on its way, of code that does not listen to `ctx.signal`.
        late.push(setTimeout(600).then(() => tell('the late write of the first run', set)));
        await late[0];
      }
      return set();
    }),
});

function tell(what: string, set: () => void): void {
  try {
    set();
    console.log(`${what}: taken`);
  } catch (error) {
    console.log(`${what}: refused, ${(error as Error).message}`);
  }
}

await using fleet = await startFleet(defineFleet({ name: 'bank', agents: { deposit } }), { logger: pino({ level: 'silent' }) });
const first = await fleet.submit('deposit', { account: 'savings', cents: 10 }, { id: 'first' });
const second = await fleet.submit('deposit', { account: 'savings', cents: 5 }, { id: 'second' });
console.log(`the second task says ${await second.result()}`);
await Promise.all(late);
await first.result().catch(() => {
  console.log('the first task is dead, and put back');
});
await fleet.requeue('first');
const again = await fleet.submit('deposit', { account: 'savings', cents: 10 }, { id: 'first' });
console.log(`the first task says ${await again.result()}, the account says ${accounts.cents('savings')}`);
