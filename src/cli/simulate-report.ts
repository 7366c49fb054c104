/** Simulate report: what many seeds have come to. Pure. */
import type { ErrorRecord } from '../../actors/kernel/errors.ts';
import type { SimulationStatistics } from '../testing/index.ts';
import { noStatistics } from '../testing/simulate/result.ts';
import { testExitCode } from './exit-codes.ts';
import type { TestExit } from './exit-codes.ts';
import type { SeedResult } from './simulate-worker.ts';
import { count, duration, plural, printable, rate } from './text.ts';

const HOUR_MS = 3_600_000;

/** What decides how the command ends. */
export type SimulateEnding = 'finished' | 'interrupted' | 'unread' | 'failed';

export interface SimulateReport {
  readonly fleet: string;
  readonly ended: SimulateEnding;
  /** Seeds that were simulated, of so many that were wanted. */
  readonly seeds: number;
  readonly wanted: number;
  /** Virtual time of all seeds, their healing included. */
  readonly fleetHours: number;
  readonly wallMs: number;
  /** Fleet-hours in one second. */
  readonly hoursPerSecond: number;
  readonly statistics: SimulationStatistics;
  /** Seeds in which an invariant was seen broken. */
  readonly violated: number;
  /** How many seeds broke it, by the name of the invariant. */
  readonly broken: Readonly<Record<string, number>>;
  /** Places in the user's code that a replay could not repeat. */
  readonly nondeterminism: number;
  /** Runs that rejected, by what they said and where in your code: faults make runs reject too. */
  readonly rejections: Readonly<Record<string, number>>;
  /** What kept a seed from being simulated. */
  readonly error: ErrorRecord | null;
  /** With no violation in n seeds, one comes in less than 3/n of them, 19 times out of 20. Null with fewer than 3, or with any. */
  readonly missedBelow: number | null;
  readonly exit: TestExit;
  readonly exitCode: number;
}

/** Adds up results as they come. */
export class SimulateTally {
  seeds = 0;
  virtualMs = 0;
  violated = 0;
  readonly broken: Record<string, number> = {};
  readonly places = new Set<string>();
  /** Runs that rejected, by what they said and where. */
  readonly rejections: Record<string, number> = {};
  readonly statistics = noStatistics();

  add({ virtualMs, violations, nondeterminism, rejections, statistics }: SeedResult): void {
    for (const { kind, error, place, count: times } of rejections) {
      const said = `${kind}: ${error}${place === undefined ? '' : ` (${place})`}`;
      this.rejections[said] = (this.rejections[said] ?? 0) + times;
    }
    this.seeds += 1;
    this.virtualMs += virtualMs;
    if (violations.length > 0) this.violated += 1;
    for (const name of new Set(violations.map(({ invariant }) => invariant))) this.broken[name] = (this.broken[name] ?? 0) + 1;
    for (const { api, place, task } of nondeterminism) this.places.add(`${api} ${place ?? task?.kind ?? ''}`);
    const { faults, ends, ...numbers } = statistics;
    for (const [name, value] of Object.entries(numbers) as [Exclude<keyof SimulationStatistics, 'faults' | 'ends'>, number][])
      this.statistics[name] += value;
    addAll(this.statistics.faults, faults);
    addAll(this.statistics.ends, ends);
  }
}

function addAll(sums: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + value;
}

/** How the command ends: what was found weighs most, then what stopped it. A simulation without tasks has shown nothing. */
export function simulateExit({ violated, places, statistics, seeds }: SimulateTally, ended: SimulateEnding): TestExit {
  if (violated > 0 || places.size > 0) return 'violated';
  if (ended === 'interrupted' || ended === 'unread') return ended;
  return ended === 'failed' || seeds === 0 || statistics.tasks === 0 ? 'inconclusive' : 'clean';
}

export interface SimulateReportParts {
  readonly fleet: string;
  readonly tally: SimulateTally;
  readonly wanted: number;
  readonly ended: SimulateEnding;
  readonly error: ErrorRecord | null;
  readonly wallMs: number;
}

export function simulateReport({ fleet, tally, wanted, ended, error, wallMs }: SimulateReportParts): SimulateReport {
  const { seeds, virtualMs, violated, broken, places, rejections, statistics } = tally;
  const exit = simulateExit(tally, ended);
  const fleetHours = virtualMs / HOUR_MS;
  return {
    fleet,
    ended,
    seeds,
    wanted,
    fleetHours: rounded(fleetHours),
    wallMs: Math.round(wallMs),
    hoursPerSecond: wallMs <= 0 ? 0 : rounded((fleetHours * 1_000) / wallMs),
    statistics,
    violated,
    broken,
    nondeterminism: places.size,
    rejections,
    error,
    missedBelow: violated > 0 || seeds < 3 ? null : rounded(3 / seeds),
    exit,
    exitCode: testExitCode(exit),
  };
}

/** The report as people read it. */
export function simulateText(report: SimulateReport): string {
  const { seeds, wanted, statistics, violated, broken, nondeterminism, rejections, missedBelow } = report;
  const { tasks, completed, failed, dead, runs, parked, lost, calls, deliveries, processes, faults, ends } = statistics;
  const found = violated === 0 ? 'none' : `in ${plural(violated, 'seed')}: ${listed(broken)}`;
  const rows: [string, string][] = [
    ['violations', missedBelow === null ? found : `${found}; if there is any, it shows in fewer than ${percent(missedBelow)} of seeds`],
    ...(nondeterminism > 0
      ? [['nondeterm.', `${plural(nondeterminism, 'place')} in your code, which no replay can repeat`] as [string, string]]
      : []),
    ['seeds', seeds === wanted ? count(seeds) : `${count(seeds)} of ${count(wanted)}`],
    ['time', `${report.fleetHours.toFixed(2)} fleet-hours in ${duration(report.wallMs)}, ${report.hoursPerSecond} fleet-hours a second`],
    [
      'tasks',
      tasks === 0
        ? 'none was submitted: nothing has been tested'
        : `${count(tasks)}: ${count(completed)} completed, ${count(failed)} failed, ${count(dead)} dead`,
    ],
    ['runs', `${count(runs)}, ${count(parked)} parked, ${count(lost)} lost, in ${plural(processes, 'process').replace(/ss?s$/, 'sses')}`],
    ['calls', count(calls)],
    ['deliveries', `${count(deliveries)}${report.wallMs > 0 ? `, ${rate((deliveries * 1_000) / report.wallMs)}` : ''}`],
    ['faults', listed(faults) || 'none'],
    ...(Object.keys(ends).length > 0 ? [['ends', listed(ends)] as [string, string]] : []),
    ...mostOf(rejections).map(([said, times]) => ['rejected', `${plural(times, 'run')}: ${printable(said)}`] as [string, string]),
    ...(tasks > 0 && completed === 0 ? [['note', 'no task has completed: nothing but failure was tested'] as [string, string]] : []),
  ];
  const headline =
    report.exit === 'clean'
      ? 'clean'
      : report.exit === 'violated'
        ? violated > 0
          ? 'violated'
          : 'not repeatable: your code does what no replay can repeat'
        : report.ended === 'finished'
          ? 'nothing tested'
          : report.ended;
  return `${report.fleet}: ${headline}\n${rows.map(([name, value]) => `  ${name.padEnd(11)} ${value}`).join('\n')}\n`;
}

const MOST_REJECTIONS = 5;

function mostOf(rejections: Readonly<Record<string, number>>): readonly (readonly [string, number])[] {
  return Object.entries(rejections)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, MOST_REJECTIONS);
}

/** `store-after 12, kill 3`, the most frequent first. */
function listed(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, value]) => `${name} ${count(value)}`)
    .join(', ');
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`;
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
