/** A process whose event loop is held for a while, as its arguments say: how, what then, for how long. Run by a test. */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { agent, defineFleet, dependency, startFleet } from 'drover';

const [how, onBlocked, ms, blockedMs] = [
  process.argv[2],
  process.argv[3] as 'report' | 'exit',
  Number(process.argv[4]),
  Number(process.argv[5]),
];

function spin(): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

/** Doubles with each letter: until it was long enough. */
function backtrack(): void {
  for (let letters = 20; ; letters += 1) {
    const beganMs = performance.now();
    /^(a+)+$/.test(`${'a'.repeat(letters)}b`);
    if (performance.now() - beganMs > ms) return;
  }
}

const held = dependency({
  perform: async (request: string) => {
    if (how === 'a call') spin();
    return request;
  },
});

/** Goes on all the while, so that there is somebody to be confused with. */
const busy = agent({
  replicas: 2,
  async run(_: null, ctx) {
    for (let at = 0; at < 60; at += 1) await ctx.step(`rest ${at}`, () => sleep(5));
  },
});

const culprit = agent({
  uses: { held },
  async run(_: null, ctx) {
    await ctx.step('first', () => 1);
    await sleep(50);
    await Promise.resolve();
    if (how === 'a loop') spin();
    if (how === 'a regular expression') backtrack();
    if (how === 'native code') execFileSync('sleep', [String(ms / 1_000)]);
    if (how === 'microtasks') for (const untilMs = performance.now() + ms; performance.now() < untilMs;) await Promise.resolve();
    if (how === 'a step') await ctx.step('second', spin);
    if (how === 'a call') await ctx.call('held', 'x');
    return 'done';
  },
});

const fleet = await startFleet(defineFleet({ name: 'watched', staggerMs: 0, agents: { busy, culprit } }), {
  watchdog: { blockedMs, onBlocked },
});
fleet.events.on('loop.blocked', (event) => process.stdout.write(`${JSON.stringify(event)}\n`));
process.stdout.write('ready\n');
const handles = [
  await fleet.submit('culprit', null, { id: 'the-culprit' }),
  await fleet.submit('busy', null, { id: 'busy-1' }),
  await fleet.submit('busy', null, { id: 'busy-2' }),
];
await Promise.all(handles.map((handle) => handle.result()));
if (how === 'nobody in particular') spin();
await sleep(300);
await fleet.close();
process.stdout.write('closed\n');
