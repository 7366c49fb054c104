/** Report: how a benchmark says what it measured. Medians with spread, ratios within one run, goals met or not. */
import { availableParallelism, cpus, totalmem } from 'node:os';

/** One measured thing: `value` is the median of the rounds. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly min?: number;
  readonly max?: number;
}

/** A goal is a bound on a ratio or a rate of this run. */
export interface Goal {
  readonly name: string;
  readonly goal: string;
  readonly got: number;
  readonly met: boolean;
}

export interface Report {
  readonly bench: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryGb: number;
    readonly node: string;
    readonly platform: string;
  };
  readonly rows: readonly Row[];
  readonly goals: readonly Goal[];
}

export function report(bench: string, rows: readonly Row[], goals: readonly Goal[]): Report {
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  };
  return { bench, machine, rows, goals };
}

/** Median, least and greatest of the rounds. */
export function row(name: string, values: readonly number[], unit: string): Row {
  const sorted = values.toSorted((a, b) => a - b);
  return { name, value: median(sorted), unit, min: sorted[0]!, max: sorted.at(-1)! };
}

export function median(sorted: readonly number[]): number {
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The median of the rounds' own ratios: what drifts in the machine hits both sides of a round alike. */
export function ratio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, at) => value / theirs[at]!).toSorted((a, b) => a - b));
}

export const atMost = (name: string, got: number, bound: number): Goal => ({
  name,
  goal: `<= ${bound}`,
  got: round(got),
  met: got <= bound,
});
export const atLeast = (name: string, got: number, bound: number): Goal => ({
  name,
  goal: `>= ${bound}`,
  got: round(got),
  met: got >= bound,
});

export function print({ bench, machine, rows, goals }: Report): void {
  console.log(`${bench}: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, Node ${machine.node}\n`);
  const width = Math.max(...rows.map(({ name }) => name.length));
  for (const { name, value, unit, min, max } of rows) {
    const spread = min === undefined || max === undefined ? '' : `  (${show(min)} to ${show(max)})`;
    console.log(`  ${name.padEnd(width)}  ${show(value).padStart(9)} ${unit}${spread}`);
  }
  console.log('');
  for (const { name, goal, got, met } of goals) console.log(`  ${met ? 'met   ' : 'missed'}  ${name}: ${got} (goal ${goal})`);
}

/** What a round does not have is a dash. */
function show(value: number): string {
  if (Number.isNaN(value)) return '-';
  return value >= 1_000 ? Math.round(value).toLocaleString('en') : value.toFixed(2);
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
