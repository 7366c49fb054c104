/**
 * stealing: dedicated mailboxes, a shared line, and stealing past a threshold, on work that is even,
 * skewed, sticky, or both: how close each comes to the least possible makespan, and how much work stays
 * where its prefix is. The queue's own decisions, in virtual time.
 *
 * Each workload comes in two ways: all of it at once, and over time at nine tenths of what the workers can do.
 *
 * Option `--data DIR`: the folder of `mooncake_synthetic.csv.gz`. Without it a stand-in of the same lengths.
 */
import type { Mailboxes } from '../actors/queue.ts';
import { atMost, median, report, row } from './report.ts';
import type { Goal, Report, Row } from './report.ts';
import { worksIn } from './stealing-work.ts';
import type { Job, Work } from './stealing-work.ts';
import { lowerBoundMs, outcomeOf } from './stealing-world.ts';
import type { Outcome } from './stealing-world.ts';

const WORKERS = 16;
const LOAD = 0.9;
const SEEDS = [1, 2, 3] as const;
/** As a topology has it by default. */
const CAPACITY = 16;
const DEFAULT = 4;
const THRESHOLDS = [1, 2, DEFAULT, 8] as const;

type Coming = 'at once' | 'over time';

interface Cell {
  readonly work: Work['name'];
  readonly coming: Coming;
  readonly mailboxes: Mailboxes;
  /** One for each seed, with the least makespan possible and the longest task. */
  readonly outcomes: readonly (Outcome & { readonly boundMs: number; readonly longestMs: number })[];
}

export async function stealing(say: (text: string) => void, { data }: { readonly data?: string | undefined }): Promise<Report> {
  const works = worksIn(data);
  say(`virtual time: ${WORKERS} workers, ${works.trace}`);
  const seeded = SEEDS.map((seed) => ({ seed, works: works.of(seed) }));
  const disciplines: Mailboxes[] = [
    { mode: 'dedicated', capacity: CAPACITY, stealAbove: DEFAULT },
    { mode: 'shared', capacity: CAPACITY, stealAbove: DEFAULT },
    ...THRESHOLDS.map((stealAbove): Mailboxes => ({ mode: 'steal', capacity: CAPACITY, stealAbove })),
  ];
  const cells = seeded[0]!.works.flatMap(({ name }, at) =>
    (['at once', 'over time'] as const).flatMap((coming) => {
      const given = seeded.map(({ seed, works: own }) => {
        const jobs = timed(own[at]!.jobs, coming);
        const longestMs = Math.max(...jobs.map(({ warmMs, coldMs }) => warmMs + coldMs));
        return { seed, jobs, longestMs, boundMs: lowerBoundMs(jobs, WORKERS) };
      });
      return disciplines.map((mailboxes): Cell => {
        const outcomes = given.map(({ seed, jobs, ...known }) => ({ ...outcomeOf(jobs, WORKERS, mailboxes, seed), ...known }));
        return { work: name, coming, mailboxes, outcomes };
      });
    }),
  );
  return report('stealing', cells.flatMap(rowsOf), goalsOf(cells));
}

/** The trace at a speed at which the workers have just enough to do; its order stays. */
function timed(jobs: readonly Job[], coming: Coming): readonly Job[] {
  if (coming === 'at once') return jobs.map((job) => ({ ...job, atMs: 0 }));
  const work = jobs.reduce((sum, { warmMs }) => sum + warmMs, 0);
  const beganMs = jobs[0]!.atMs;
  const stretch = work / (LOAD * WORKERS * (jobs.at(-1)!.atMs - beganMs));
  return jobs.map((job) => ({ ...job, atMs: (job.atMs - beganMs) * stretch }));
}

function rowsOf({ work, coming, mailboxes, outcomes }: Cell): Row[] {
  const { mode, stealAbove } = mailboxes;
  const name = `${work}, ${coming}, ${mode === 'steal' ? `steal above ${stealAbove}` : mode}`;
  const of = (what: string, value: (outcome: Cell['outcomes'][number]) => number, unit: string): Row =>
    row(`${name}: ${what}`, outcomes.map(value), unit);
  return [
    of('makespan', ({ makespanMs, boundMs }) => makespanMs / boundMs, 'of the lower bound'),
    of('kept their affinity', ({ warm }) => 100 * warm, '% of those with a place'),
    of('mean wait', ({ meanWaitMs }) => meanWaitMs / 1_000, 's'),
    of('p99 wait', ({ p99WaitMs }) => p99WaitMs / 1_000, 's'),
    of('steals', ({ stolen }) => stolen, 'tasks'),
    of('spills', ({ spilled }) => spilled, 'tasks'),
  ];
}

/** Of the default threshold, in the worst of what is meant, by the median of the seeds. */
function goalsOf(cells: readonly Cell[]): Goal[] {
  const others = (cell: Cell): Cell[] =>
    cells.filter(({ work, coming, mailboxes }) => work === cell.work && coming === cell.coming && mailboxes.mode !== 'steal');
  const stealers = cells.filter(({ mailboxes: { mode, stealAbove } }) => mode === 'steal' && stealAbove === DEFAULT);
  /** Makespan, without `spared` of the longest tasks, over that of the better pure discipline; seed by seed. */
  const overBetter = (cell: Cell, spared: number): number =>
    middle(
      cell.outcomes.map(({ makespanMs, longestMs }, seed) => {
        const better = Math.min(...others(cell).map(({ outcomes }) => outcomes[seed]!.makespanMs));
        return (makespanMs - spared * longestMs) / better;
      }),
    );
  const overBound = ({ outcomes }: Cell): number => middle(outcomes.map(({ makespanMs, boundMs }) => makespanMs / boundMs));
  const worst = (is: (cell: Cell) => boolean, value: (cell: Cell) => number): number => Math.max(...stealers.filter(is).map(value));
  const isSticky = ({ work }: Cell): boolean => work === 'sticky' || work === 'skewed sticky';
  const isHomogeneous = ({ work }: Cell): boolean => work === 'homogeneous';
  const isSkewed = ({ work }: Cell): boolean => work === 'skewed';
  return [
    atMost(
      'sticky: makespan over that of the better pure discipline',
      worst(isSticky, (cell) => overBetter(cell, 0)),
      1,
    ),
    atMost(
      'nothing sticky: makespan over that of the better pure discipline',
      worst(isHomogeneous, (cell) => overBetter(cell, 0)),
      1,
    ),
    atMost(
      'an affinity that is worth nothing: makespan over that of the better pure discipline',
      worst(isSkewed, (cell) => overBetter(cell, 0)),
      1,
    ),
    atMost(
      `an affinity that is worth nothing: the same, but for the ${DEFAULT} tasks that nobody may steal`,
      worst(isSkewed, (cell) => overBetter(cell, DEFAULT)),
      1,
    ),
    // Clearly, not by chance.
    atMost(
      'skewed sticky: makespan over that of the better pure discipline',
      worst(
        ({ work }) => work === 'skewed sticky',
        (cell) => overBetter(cell, 0),
      ),
      0.98,
    ),
    atMost('homogeneous: makespan over the lower bound', worst(isHomogeneous, overBound), 1.1),
  ];
}

const middle = (values: readonly number[]): number => median(values.toSorted((a, b) => a - b));
