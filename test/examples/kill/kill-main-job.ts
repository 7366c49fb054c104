/**
 * Kills the main job with SIGKILL at random moments, starts it again each time, and judges from the
 * store and from the provider's log whether anything was lost, doubled or paid twice.
 *
 *     node --conditions=drover-source test/examples/kill/kill-main-job.ts [--kills 20] [--mails 600] [--seed 1] [--keep]
 *
 * The provider is a separate process that survives. Exit status 1 when a promise was broken.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { LogLine } from 'drover/fake-provider';
import { loadInbox } from '../../../examples/inbox/mails.ts';
import { seeded } from '../../../examples/inbox/random.ts';
import { judge } from './evidence.ts';
import type { Kill } from './evidence.ts';
import { start, startProvider } from './processes.ts';
import { readSnapshot } from './snapshot.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    mails: { type: 'string', default: '600' },
    seed: { type: 'string', default: '1' },
    /** Leaves store and log where they are. */
    keep: { type: 'boolean', default: false },
  },
});
const [wantedKills, mails, seed] = [Number(values.kills), Number(values.mails), Number(values.seed)];

/** About how long one mail takes when the limits bind, and a fleet until its first mails are done. */
const MS_PER_MAIL = 110;
const WARM_UP_MS = 2_500;
/** Every so many kills one may also strike while the process is starting. */
const BOOT_KILL_EVERY = 5;
const BOOT_MS = 3_000;
/** So that the provider has read what the dead process had sent: it counts for the life that sent it. */
const SETTLE_MS = 200;
/** A life that neither ends nor can be killed is a finding, not a reason to wait for ever. */
const LIFE_TIMEOUT_MS = 300_000;

const folder = mkdtempSync(join(tmpdir(), 'drover-kill-'));
const store = join(folder, 'inbox.db');
const logFile = join(folder, 'provider.jsonl');
const random = seeded(seed);
const started = performance.now();

const { child: provider, url } = await startProvider(['--mails', String(mails), '--log', logFile]);
try {
  process.exitCode = await main();
} finally {
  provider.kill();
  if (values.keep) console.log(`kept in ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<number> {
  const kills: Kill[] = [];
  let report: Record<string, unknown> | undefined;
  let status: number | null = null;
  while (report === undefined) {
    const ended = await live(kills.length < wantedKills ? killDelay(kills) : undefined);
    if (ended.at === 'killed') {
      await sleep(SETTLE_MS);
      kills.push({ atMs: performance.timeOrigin + performance.now(), logLines: readLog().length, store: readSnapshot(store) });
      console.error(
        `kill ${kills.length} of ${wantedKills}: ${[...kills.at(-1)!.store.tasks.values()].filter((task) => task.status === 'completed').length} tasks completed`,
      );
    } else {
      status = ended.status;
      report = JSON.parse(ended.stdout === '' ? '{}' : ended.stdout) as Record<string, unknown>;
    }
  }
  const { violations, facts } = judge({
    mailIds: loadInbox({ mails }).run.map(({ id }) => id),
    kills,
    end: readSnapshot(store),
    log: readLog(),
  });
  const more = [
    ...(status === 0 ? [] : [`the last life ended with status ${status}: ${JSON.stringify(report)}`]),
    ...(['duplicates', 'lost', 'unfinished'] as const).flatMap((field) =>
      report[field] === 0 ? [] : [`its report says ${field} ${String(report[field])}`],
    ),
    ...(kills.length === wantedKills ? [] : [`expected ${wantedKills} kills, but the job was done after ${kills.length}`]),
  ];
  const rows = [
    ...facts,
    ['seed', seed],
    ['seconds, all in all', Math.round((performance.now() - started) / 1_000)],
    ['violations', violations.length + more.length],
  ] as const;
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, fact] of rows) console.log(`${name.padEnd(width)}  ${fact}`);
  for (const violation of [...violations, ...more]) console.log(`VIOLATION: ${violation}`);
  return violations.length + more.length === 0 ? 0 : 1;
}

/**
 * When to kill: after the process began, or (`fromWork`) after its fleet began to work. The kills that
 * are left are spread over the mails that are left, so that each finds a job that is not done.
 */
function killDelay(kills: readonly Kill[]): { readonly fromWork: boolean; readonly ms: number } {
  if (kills.length % BOOT_KILL_EVERY === BOOT_KILL_EVERY - 1) return { fromWork: false, ms: random() * BOOT_MS };
  const done = [...(kills.at(-1)?.store.tasks.values() ?? [])].filter(
    ({ kind, status }) => kind === 'triage' && status === 'completed',
  ).length;
  const shareMs = ((mails - done) * MS_PER_MAIL) / (wantedKills - kills.length + 1);
  return { fromWork: true, ms: random() * (WARM_UP_MS + 1.5 * shareMs) };
}

type LifeEnd = { readonly at: 'killed' } | { readonly at: 'ended'; readonly status: number | null; readonly stdout: string };

/** One life of the main job, up to its end or its kill. */
async function live(kill: { readonly fromWork: boolean; readonly ms: number } | undefined): Promise<LifeEnd> {
  const args = ['--mails', String(mails), '--store', store, '--provider-url', url, '--json', '--out', join(folder, 'digest.md')];
  const { child, ended, line } = start('examples/inbox/main.ts', args);
  const timeout = setTimeout(() => child.kill('SIGKILL'), LIFE_TIMEOUT_MS);
  if (kill !== undefined) {
    if (kill.fromWork) await line('agents, store');
    await Promise.race([sleep(kill.ms), ended]);
    child.kill('SIGKILL');
  }
  const { status, signal, stdout, stderr } = await ended;
  clearTimeout(timeout);
  if (signal === 'SIGKILL') {
    if (kill === undefined) throw new Error(`the main job did not end within ${LIFE_TIMEOUT_MS} ms: ${stderr}`);
    return { at: 'killed' };
  }
  if (status !== 0) console.error(stderr);
  return { at: 'ended', status, stdout };
}

/** Whole lines only: the provider may be writing the next one. */
function readLog(): LogLine[] {
  const text = readFileSync(logFile, 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LogLine);
}
