/** Report: what a run has come to. Pure. */
import type { FleetStats } from '../runtime/events.ts';
import { EXITS, exitOf } from './exit-codes.ts';
import type { Exit } from './exit-codes.ts';
import type { FeedTally } from './feed.ts';
import type { Unfinished } from './open-store.ts';
import { count, duration, plural, rate, shellWord } from './text.ts';

/** What a run has come to. Tasks are counted as they end in this process, children included. */
export interface Report {
  readonly fleet: string;
  readonly store: string;
  /** Lines of input that are not blank. */
  readonly lines: number;
  /** Lines whose task was new to the store. */
  readonly submitted: number;
  /** Lines whose task the store had already, from a former run or an earlier line. */
  readonly known: number;
  /** Of the known ones, those that were over before this run. */
  readonly endedBefore: number;
  readonly refused: number;
  /** Unfinished tasks that the store held at the start. */
  readonly resumed: number;
  readonly completed: number;
  readonly failed: number;
  readonly dead: number;
  readonly retried: number;
  readonly calls: number;
  readonly callRetries: number;
  readonly rateLimited: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly usd: number;
  readonly restarts: number;
  readonly wallMs: number;
  readonly tasksPerSecond: number;
  /** What ended the run. */
  readonly ended: 'finished' | 'interrupted' | 'unread' | 'failed';
  /** Unfinished tasks in the store at the end; null when it did not say. */
  readonly left: number | null;
  /** Unfinished tasks in the store of kinds that this fleet does not have: they wait for one that does. */
  readonly otherKinds: number;
  /** The command that goes on with what is left; null when nothing is. */
  readonly resume: string | null;
  /** How the command ends, and with which code. */
  readonly exit: Exit;
  readonly exitCode: number;
}

/** What a report is made of. */
export interface ReportParts {
  readonly fleet: string;
  readonly store: string;
  readonly tally: FeedTally;
  readonly stats: FleetStats;
  readonly resumed: number;
  /** Undefined when the store did not say. */
  readonly left: Unfinished | undefined;
  readonly wallMs: number;
  readonly ended: Report['ended'];
  readonly brokeOff: boolean;
  readonly invocation: Invocation;
}

export function reportOf({ tally, stats, left, ended, brokeOff, wallMs, ...parts }: ReportParts): Report {
  const { lines, submitted, known, endedBefore, refused } = tally;
  const { completed, failed, dead, retried, calls, callRetries, rateLimited, inputTokens, outputTokens, usd, restarts } = stats;
  const exit = exitOf({ at: ended, endedBadly: failed + dead + tally.endedBadlyBefore, refusedLines: refused, brokeOff });
  const somethingLeft = ended !== 'finished' && (left === undefined || left.all > 0 || !tally.readAll);
  return {
    fleet: parts.fleet,
    store: parts.store,
    ended,
    exit,
    exitCode: EXITS[exit].code,
    lines,
    submitted,
    known,
    endedBefore,
    refused,
    resumed: parts.resumed,
    completed,
    failed,
    dead,
    retried,
    calls,
    callRetries,
    rateLimited,
    inputTokens,
    outputTokens,
    usd,
    restarts,
    wallMs: Math.round(wallMs),
    tasksPerSecond: wallMs <= 0 ? 0 : Number((((completed + failed + dead) * 1_000) / wallMs).toPrecision(4)),
    left: left?.all ?? null,
    otherKinds: left?.others ?? 0,
    resume: somethingLeft ? resumeCommand(parts.invocation, tally.readAll) : null,
  };
}

/** The report as people read it. */
export function reportText(report: Report): string {
  const { known, endedBefore, refused, resumed, usd } = report;
  const lines = [
    `${count(report.submitted)} submitted`,
    ...(known > 0 ? [`${count(known)} known${endedBefore > 0 ? ` (${count(endedBefore)} over before)` : ''}`] : []),
    `${count(refused)} refused`,
  ];
  const rows: [string, string][] = [
    ['lines', report.lines === 0 ? 'none' : `${count(report.lines)}: ${lines.join(', ')}`],
    ...(resumed > 0 ? [['resumed', `${plural(resumed, 'unfinished task')} from ${report.store}`] as [string, string]] : []),
    [
      'tasks',
      `${count(report.completed)} completed, ${count(report.failed)} failed, ${count(report.dead)} dead, ${count(report.retried)} retried`,
    ],
    ['calls', `${count(report.calls)}, ${count(report.callRetries)} retried, ${count(report.rateLimited)} rate limited`],
    ['tokens', `${count(report.inputTokens)} in, ${count(report.outputTokens)} out${usd > 0 ? `, $${usd.toFixed(usd < 1 ? 4 : 2)}` : ''}`],
    ['restarts', count(report.restarts)],
    [
      'time',
      `${report.wallMs < 60_000 ? `${(report.wallMs / 1_000).toFixed(1)} s` : duration(report.wallMs)}, ${rate(report.tasksPerSecond)}`,
    ],
  ];
  if (report.left !== null && report.left > 0) rows.push(['left', `${plural(report.left, 'task')} in ${report.store}`]);
  if (report.otherKinds > 0)
    rows.push(['others', `${plural(report.otherKinds, 'unfinished task')} of kinds that this fleet does not have`]);
  if (report.resume !== null) rows.push(['resume', report.resume]);
  const table = rows.map(([name, value]) => `  ${name.padEnd(9)} ${value}`);
  return `${report.fleet}: ${report.ended}\n${table.join('\n')}\n`;
}

/** What was given on the command line, as far as going on depends on it. */
export interface Invocation {
  readonly topology: string;
  readonly tasks: string | undefined;
  readonly store: string | undefined;
  /** Where the lines came from. */
  readonly input: 'file' | 'stream' | 'none';
}

/**
 * The command that goes on with what a run left. A file is given again: ids make that safe. Lines of
 * a stream are gone, so whoever has them must send those again that were not read. Null for a store
 * in memory, which is gone with its process.
 */
export function resumeCommand({ topology, tasks, store, input }: Invocation, readAll: boolean): string | null {
  if (store === 'memory') return null;
  const words = ['drover', 'run', topology];
  if (input === 'file') words.push('--tasks', tasks!);
  if (store !== undefined) words.push('--store', store);
  const command = words.map(shellWord).join(' ');
  if (input !== 'stream') return command;
  return readAll ? `${command} </dev/null` : `${command} --tasks - <THE_SAME_LINES`;
}
