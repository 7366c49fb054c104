/**
 * Kills a fleet with SIGKILL, at random moments and at its commits, stops it for longer than its leases last, and starts it
 * again each time, under load; then judges from the store and from the logs of the world outside whether anything was lost,
 * doubled, or done by somebody who had been overtaken.
 *
 *     node --conditions=drover-source test/kill/kill-fleet.ts [--kills 200] [--stops 20] [--seed 1] [--keep]
 *
 * Each process loads the sources anew: who edits them meanwhile tests a mixture.
 *
 * The same seed plans the same kills and wants the same tasks; what a kill meets is the machine's affair. Exit status 1
 * when a promise was broken.
 */
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { LogLine } from 'drover/fake-provider';
import { seededRandom } from '../../actors/kernel/random.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import { Client } from './client.ts';
import type { LoggedEffect } from './effects.ts';
import { judge } from './evidence.ts';
import { Lives } from './lives.ts';
import { planEndings } from './plan.ts';
import { readSnapshot } from './snapshot.ts';
import type { Snapshot } from './snapshot.ts';
import { Witness } from './witness.ts';
import { Workload } from './workload.ts';
import { startWorld } from './world-process.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    stops: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    /** Leaves store and logs where they are. */
    keep: { type: 'boolean', default: false },
  },
});
const [kills, stops, seed] = [Number(values.kills), Number(values.stops), Number(values.seed)];

const LOOK_EVERY_MS = 25;
const TELL_EVERY = 20;
/** By then everything that was wanted has ended. */
const LONGEST_DRAIN_MS = 120_000;

const started = performance.now();
const folder = mkdtempSync(join(tmpdir(), 'drover-kill-'));
const path = join(folder, 'shop.db');
process.once('exit', () => {
  if (values.keep) console.log(`kept in ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
});
process.exitCode = await main();

async function main(): Promise<number> {
  await using world = await startWorld(folder);
  const client = new Client();
  const workload = new Workload(client, seededRandom(seed).fork('workload'));
  const witness = new Witness();
  const lives = new Lives({
    ...world.urls,
    path,
    cache: join(folder, 'cache'),
    log: openSync(join(folder, 'fleet.log'), 'a'),
    endings: planEndings({ kills, stops, seed }),
    client,
    ended: (id) => workload.ended(id),
  });
  await using _ = { [Symbol.asyncDispose]: () => lives.end() };
  // A process that is stopped just then would stay for ever.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void lives.end().then(() => process.exit(1)));
  const look = (): Snapshot | undefined => {
    const store = readSnapshot(path);
    for (const { id, status } of store?.tasks.values() ?? []) if (isTerminal(status)) workload.ended(id);
    witness.look(store, workload.accepted(), Date.now());
    return store;
  };

  const fromMs = Date.now();
  const scheduled = workload.schedule();
  let isBeginning = true;
  const load = setInterval(() => {
    if (isBeginning) workload.begin();
    workload.decide();
  }, LOOK_EVERY_MS);

  for (let at = 1; at <= kills + stops; at += 1) {
    await lives.play();
    const store = look();
    if (at % TELL_EVERY === 0) console.error(`${at} of ${kills + stops}: ${store?.tasks.size ?? 0} tasks`);
  }

  isBeginning = false;
  const drainingMs = performance.now();
  const life = await lives.last();
  let toMs = Date.now();
  const drained = (async () => {
    await scheduled;
    await workload.unschedule();
    toMs = Date.now();
    await workload.seenThrough();
    for (;;) {
      const outcome = await client.ask({ do: 'unfinished' });
      if (outcome.at === 'done' && outcome.value === 0) break;
      await sleep(LOOK_EVERY_MS);
    }
    clearInterval(load);
    await workload.seenThrough();
    await client.ask({ do: 'close' });
    return true;
  })();
  const isDrained = await Promise.race([drained, sleep(LONGEST_DRAIN_MS, false, { ref: false })]);
  const drainedMs = performance.now();
  clearInterval(load);
  life.signal('SIGKILL');
  await life.ended;

  const end = look()!;
  const effects = readLog('effects.jsonl') as readonly LoggedEffect[];
  const calls = readLog('calls.jsonl') as readonly LogLine[];
  const { wanted } = workload;
  const { endedAtMs, rememberedAtMs } = witness;
  const story = { wanted, end, effects, calls, stops: lives.stops, endedAtMs, rememberedAtMs, scheduled: { fromMs, toMs } };
  const violations = [
    ...(isDrained ? [] : [`not everything had ended after ${LONGEST_DRAIN_MS} ms`]),
    ...lives.problems,
    ...lives.notShown(),
    ...workload.problems,
    ...witness.violations,
    ...judge(story),
  ];
  const tasks = [...end.tasks.values()];
  const told = (verdict: LoggedEffect['verdict']): number => effects.filter((effect) => effect.verdict === verdict).length;
  print([
    ...Object.entries(lives.counts).map(([name, count]) => [`lives ${name}`, count] as const),
    ['epochs of the store', end.epoch],
    ['tasks from outside', wanted.length],
    ['tasks, all kinds', tasks.length],
    ...[...Map.groupBy(tasks, ({ kind, status }) => `${kind} ${status}`)]
      .toSorted()
      .map(([name, of]) => [`of them ${name}`, of.length] as const),
    ['runs lost', tasks.reduce((sum, { losses }) => sum + losses, 0)],
    ['leases given up after a stop', lives.leasesGivenUp],
    ['effects accepted', told('accepted')],
    ['effects made again, and known', told('known')],
    ['effects refused for an older fence', told('stale-fence')],
    ['effects refused for an older token of a lock', told('stale-lock')],
    ['effects that failed at first', told('failed')],
    ['model calls', calls.filter(({ line }) => line === 'accepted').length],
    ['seed', seed],
    ['seconds until all had ended, after the last kill', Math.round((drainedMs - drainingMs) / 1_000)],
    ['seconds, all in all', Math.round((performance.now() - started) / 1_000)],
    ['violations', violations.length],
  ]);
  for (const violation of violations) console.log(`VIOLATION: ${violation}`);
  return violations.length === 0 ? 0 : 1;
}

function readLog(name: string): readonly unknown[] {
  const lines = readFileSync(join(folder, name), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as unknown);
}

function print(rows: readonly (readonly [name: string, fact: number])[]): void {
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, fact] of rows) console.log(`${name.padEnd(width)}  ${fact}`);
}
