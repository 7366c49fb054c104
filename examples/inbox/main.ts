/**
 * The main job: a supervised fleet triages an inbox of real mails, under the limits of a provider,
 * on an embedded store. `npm start`, or `npm start -- --help`.
 *
 *   1. The provider starts to learn in a process of its own while the mails are read here.
 *   2. One digest task per section is submitted; an id that the store has already is the same task.
 *   3. The fleet works. Ctrl-C drains it, a second one stops it at once.
 *   4. Store and provider are counted: the report, and the digest.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { startFleet } from 'drover';
import type { Fleet, FleetStats, Store, TaskQuery, TaskRecord } from 'drover';
import { memoryStore } from 'drover/stores/memory';
import { sqlite } from 'drover/stores/sqlite';
import { writeInboxDigest } from './inbox-digest.ts';
import { sectionsOf } from './job.ts';
import { findLocalProvider, ProviderGoneError, startLocalProvider } from './local-provider.ts';
import type { LocalProvider } from './local-provider.ts';
import { loadInbox } from './mails.ts';
import type { Inbox } from './mails.ts';
import { HELP, readOptions, UsageError } from './options.ts';
import type { Options } from './options.ts';
import { showProgress } from './progress.ts';
import { printReport, reportOf } from './report.ts';
import type { JobTask, JobTasks, Usage } from './report.ts';
import { inboxTopology } from './topology.ts';

const DRAIN_MS = 10_000;
const PAGE = 500;
const STARTED_AT_MS = performance.timeOrigin;

process.exitCode = await main(process.argv.slice(2)).catch(explain);

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args, process.env);
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (options.providerUrl !== undefined) {
    const found = await findLocalProvider(options.providerUrl, options);
    return work(options, readMails(options), found);
  }
  const starting = options.provider === 'local' ? startLocalProvider(options) : undefined;
  // The reading takes seconds and yields to nobody: a provider that fails meanwhile is heard afterwards.
  starting?.catch(() => {});
  const inbox = readMails(options);
  if (starting !== undefined) say('the local provider learns from the mails that this run does not use');
  const provider = await starting;
  try {
    return await work(options, inbox, provider);
  } finally {
    await provider?.stop();
  }
}

function readMails(options: Options): Inbox {
  say('reading the mails');
  return loadInbox(options);
}

/** Without a provider of ours it is OpenAI itself. */
async function work(options: Options, inbox: Inbox, provider: LocalProvider | undefined): Promise<number> {
  const { agents, uncontrolled } = options;
  const at = provider === undefined ? ({ at: 'openai' } as const) : ({ at: 'local', url: provider.url, model: provider.model } as const);
  const topology = inboxTopology({ agents, provider: at, uncontrolled });
  const usage = await meter(provider);
  const path = options.store ?? freshStore();
  const fleet = await startFleet(topology, { store: storeAt(path) });
  try {
    say(`${inbox.run.length} mails, ${agents} agents, store ${path}`);
    const interrupted = await runJob(fleet, inbox, provider, usage);
    const tasks = await tasksAfter(fleet, path, interrupted);
    const report = reportOf({
      mails: inbox.run,
      tasks,
      calls: (await provider?.calls()) ?? [],
      usage: await usage(fleet.stats),
      restarts: fleet.stats.restarts,
      interrupted,
      startedAtMs: STARTED_AT_MS,
      wallMs: Math.round(performance.now()),
    });
    if (!interrupted) write(options.out, writeInboxDigest(inbox.run, tasks));
    if (options.json) process.stdout.write(`${JSON.stringify({ ...report, store: path, digest: interrupted ? null : options.out })}\n`);
    else process.stdout.write(`${printReport(report)}\n${interrupted ? '' : `${'digest'.padEnd(12)}${options.out}\n`}`);
    if (interrupted) {
      sayHowToGoOn(path);
      return 130;
    }
    return report.completed === report.submitted && report.duplicates === 0 && report.lost === 0 ? 0 : 1;
  } catch (error) {
    if (!isUsage(error)) sayHowToGoOn(path);
    throw error;
  } finally {
    await fleet.close({ deadlineMs: 0 });
  }
}

type InboxFleet = Fleet<ReturnType<typeof inboxTopology>['agents']>;

/** Submits the inbox and waits until all of it is over, or somebody interrupts. True: interrupted, and drained. */
async function runJob(fleet: InboxFleet, inbox: Inbox, provider: LocalProvider | undefined, usage: Meter): Promise<boolean> {
  const progress = showProgress(inbox.run.length, () => look(fleet, usage));
  const { promise: interrupt, resolve: interrupted } = Promise.withResolvers<true>();
  const { promise: broken, reject: breaks } = Promise.withResolvers<never>();
  // It may break when nobody races for it any more.
  broken.catch(() => {});
  void provider?.died.then((why) => breaks(new ProviderGoneError(why)));
  fleet.events.on('fleet.failed', ({ error }) =>
    breaks(Object.assign(new Error(`the fleet cannot go on: ${error.message}`), { code: error.code })),
  );
  const stop = (): void => {
    interrupted(true);
    process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(130));
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    const handles = await Promise.all(sectionsOf(inbox.run).map(({ id, section }) => fleet.submit('digest', section, { id })));
    // A section that fails for good is for the report to tell.
    const over = Promise.allSettled(handles.map((handle) => handle.result()));
    const cut = await Promise.race([over.then(() => false), interrupt, broken]);
    if (cut) {
      say(`draining for up to ${DRAIN_MS / 1_000} s; interrupt again to stop at once`);
      await fleet.close({ deadlineMs: DRAIN_MS });
    }
    return cut;
  } finally {
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
    await progress.stop();
  }
}

async function look(fleet: InboxFleet, usage: Meter) {
  const [counts, { inputTokens, outputTokens, rejected429 }] = await Promise.all([fleet.counts(), usage(fleet.stats)]);
  const queued = Object.values(counts).reduce(
    (sum, { queued: ready, leased, retrying, parked }) => sum + ready + leased + retrying + parked,
    0,
  );
  return { triage: counts['triage'], queued, running: fleet.load.running, tokens: inputTokens + outputTokens, rejected429 };
}

type Meter = (stats: FleetStats) => Promise<Usage>;

/** What is used from now on: by the provider's own account, or by ours where it keeps none for us. */
async function meter(provider: LocalProvider | undefined): Promise<Meter> {
  const before = await provider?.stats();
  return async ({ calls, rateLimited, inputTokens, outputTokens }) => {
    const after = await provider?.stats();
    if (before === undefined || after === undefined) return { calls, rejected429: rateLimited, inputTokens, outputTokens };
    const rejected429 = after.rejected429 - before.rejected429;
    return {
      calls: after.accepted - before.accepted + rejected429,
      rejected429,
      inputTokens: after.inputTokens - before.inputTokens,
      outputTokens: after.outputTokens - before.outputTokens,
    };
  };
}

function freshStore(): string {
  mkdirSync('out', { recursive: true });
  return `out/inbox-${new Date(STARTED_AT_MS).toISOString().slice(0, 19).replaceAll(':', '')}-${process.pid}.db`;
}

function storeAt(path: string): Store {
  return path === 'memory' ? memoryStore() : sqlite(path);
}

/** A fleet that was drained has closed its store: it is opened once more, to see what the drain has still finished. */
async function tasksAfter(fleet: InboxFleet, path: string, closed: boolean): Promise<JobTasks> {
  if (!closed) return readTasks((query) => fleet.tasks(query));
  if (path === 'memory') return { triage: [], digest: [] };
  const store = storeAt(path);
  await store.open({ nowMs: Date.now(), maxUnfinished: Infinity });
  try {
    return await readTasks(async (query) => (await store.list(query)).map(readRecord));
  } finally {
    await store.close();
  }
}

/** A store without its fleet gives texts. */
function readRecord({ input, result, ...rest }: TaskRecord): JobTask {
  return { ...rest, input: JSON.parse(input) as unknown, result: result === null ? undefined : (JSON.parse(result) as unknown) };
}

type List = (query: Pick<TaskQuery, 'kind' | 'after'> & { readonly limit: number }) => Promise<readonly JobTask[]>;

async function readTasks(list: List): Promise<JobTasks> {
  const all = async (kind: string): Promise<JobTask[]> => {
    const found: JobTask[] = [];
    for (;;) {
      const last = found.at(-1);
      const page = await list({ kind, limit: PAGE, ...(last === undefined ? {} : { after: last.id }) });
      found.push(...page);
      if (page.length < PAGE) return found;
    }
  };
  return { triage: await all('triage'), digest: await all('digest') };
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** The store holds another job: its sections have these ids already. */
function isUsage(error: unknown): boolean {
  return error instanceof UsageError || (error as { code?: unknown }).code === 'DROVER_TASK_CONFLICT';
}

/** What went wrong, for a person; and the exit status. */
function explain(error: unknown): number {
  const { code, message } = error as { code?: unknown; message?: string };
  if (error instanceof UsageError) say(`${message}\n--help shows all options`);
  else if (isUsage(error))
    say(`this store holds another job; give the --mails and --seed it was begun with, or another --store (${message})`);
  // A coded error says all by itself; of any other the stack is wanted.
  else if (typeof code === 'string' && /^(?:DROVER|INBOX)_/.test(code)) say(`${message} [${code}]`);
  else console.error(error);
  return isUsage(error) ? 2 : 1;
}

function sayHowToGoOn(path: string): void {
  say(
    path === 'memory'
      ? 'the memory store is gone with this process'
      : `what is done is in the store; to go on: the same command with --store ${path}`,
  );
}

function say(text: string): void {
  process.stderr.write(`inbox: ${text}\n`);
}
