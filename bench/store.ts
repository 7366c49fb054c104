/**
 * store: what the SQLite store costs end to end, beside a loop by hand that writes the same rows with the
 * same commits, and beside plainjob; for plain tasks, for tasks with all that a task can have, and for
 * tasks that ask others. The goal is a share of the floor in groups of 100; how much of what is missing is
 * that a fleet's groups are smaller is told beside it. And whether that depends on how much is stored.
 */
import { atLeast, atMost, ratio, report, row } from './report.ts';
import type { Goal, Report, Row } from './report.ts';
import { MeasuredFleet, MOST_OPEN } from './store-fleet.ts';
import type { FleetRate } from './store-fleet.ts';
import { batchFor, floorRate } from './store-floor.ts';
import type { FloorRate } from './store-floor.ts';
import { plainjobRate } from './store-plainjob.ts';
import { storedCosts } from './store-stored.ts';
import type { Mix } from './store-tasks.ts';

const ROUNDS = 4;
/** Windows of a fleet that are not counted: for so long V8 compiles. The floor is SQLite's code, and as fast at once. */
const WARM_UP = 4;
const JOBS = 500;
const MIXES: readonly { readonly mix: Mix; readonly name: string; readonly tasks: number; readonly batch: number }[] = [
  { mix: 'plain', name: 'plain tasks', tasks: 30_000, batch: 100 },
  { mix: 'full', name: 'tasks with everything', tasks: 10_000, batch: 100 },
  // A batch is of those that ask.
  { mix: 'asks', name: 'one that asks three', tasks: 16_000, batch: 25 },
];
const SIZES = [1_000, 10_000, 100_000, 1_000_000] as const;

/** Takes about three minutes on two free cores. */
export async function storeBench(say: (text: string) => void): Promise<Report> {
  const rows: Row[] = [];
  const goals: Goal[] = [];
  const jobs: Record<'full' | 'normal', number[]> = { full: [], normal: [] };
  const plainRates: number[] = [];
  for (const { mix, name, tasks, batch } of MIXES) {
    const floors: FloorRate[] = [];
    const fleets: FleetRate[] = [];
    const smallFloors: FloorRate[] = [];
    const orderedFloors: FloorRate[] = [];
    const fleet = await MeasuredFleet.start(mix);
    say(`${name}, warm-up`);
    for (let window = 0; window < WARM_UP; window += 1) await fleet.window(tasks);
    floorRate(mix, { tasks, synchronous: 'full', batch });
    for (let round = 1; round <= ROUNDS; round += 1) {
      say(`${name}, round ${round} of ${ROUNDS}`);
      const before = floorRate(mix, { tasks, synchronous: 'full', batch });
      const measured = await fleet.window(tasks);
      const after = floorRate(mix, { tasks, synchronous: 'full', batch });
      floors.push(meanOf(before, after));
      fleets.push(measured);
      smallFloors.push(floorRate(mix, { tasks, synchronous: 'full', batch: batchFor(mix, { tasks, commits: measured.commits }) }));
      if (mix === 'full') orderedFloors.push(floorRate(mix, { tasks, synchronous: 'full', batch, open: MOST_OPEN }));
      if (mix !== 'plain') continue;
      for (const synchronous of ['full', 'normal'] as const) jobs[synchronous].push(await plainjobRate({ jobs: JOBS, synchronous }));
      plainRates.push(measured.tasksPerSecond);
    }
    const bytes = await fleet.close();
    const rates = fleets.map(({ tasksPerSecond }) => tasksPerSecond);
    const floorRates = floors.map(({ tasksPerSecond }) => tasksPerSecond);
    const of = <T>(list: readonly T[], pick: (one: T) => number): number[] => list.map(pick);
    const smallRates = smallFloors.map(({ tasksPerSecond }) => tasksPerSecond);
    rows.push(
      row(`${name}: raw floor`, floorRates, 'tasks/s'),
      row(`${name}: raw floor in groups as small as drover's`, smallRates, 'tasks/s'),
      { name: `${name}: drover / that`, value: ratio(rates, smallRates), unit: 'of the floor in small groups' },
      row(`${name}: drover`, rates, 'tasks/s'),
      row(
        `${name}: raw floor`,
        of(floors, ({ cpuUsATask }) => cpuUsATask),
        'us of CPU a task',
      ),
      row(
        `${name}: drover, both threads`,
        of(fleets, ({ cpuUsATask }) => cpuUsATask),
        'us of CPU a task',
      ),
      row(
        `${name}: raw floor`,
        of(floors, ({ commits }) => commits),
        'commits',
      ),
      row(
        `${name}: drover`,
        of(fleets, ({ commits }) => commits),
        'commits',
      ),
      { name: `${name}: drover`, value: bytes, unit: 'bytes of file a task' },
    );
    goals.push(atLeast(`${name}: drover / raw floor`, ratio(rates, floorRates), 0.5));
    if (orderedFloors.length === 0) continue;
    const orderedRates = of(orderedFloors, ({ tasksPerSecond }) => tasksPerSecond);
    rows.push(row(`${name}: raw floor that takes them in the fleet's order`, orderedRates, 'tasks/s'));
    goals.push(atLeast(`${name}: drover / raw floor that takes them in the fleet's order`, ratio(rates, orderedRates), 0.5));
  }
  rows.push(
    row('plainjob, as it comes (NORMAL)', jobs.normal, 'tasks/s'),
    row('plainjob, with the same promise (FULL)', jobs.full, 'tasks/s'),
  );
  goals.push(atLeast('plain tasks: drover (FULL) / plainjob (FULL)', ratio(plainRates, jobs.full), 1));
  goals.push(atLeast('plain tasks: drover (FULL) / plainjob (NORMAL)', ratio(plainRates, jobs.normal), 1));
  await addStored(rows, goals, say);
  return report('store', rows, goals);
}

async function addStored(rows: Row[], goals: Goal[], say: (text: string) => void): Promise<void> {
  const costs = await storedCosts(SIZES, say);
  for (const { stored, wallUs, cpuUs, bytes } of costs) {
    const name = `${stored.toLocaleString('en')} stored`;
    rows.push(row(name, wallUs, 'us a task'), row(name, cpuUs, 'us of CPU a task'), { name, value: bytes, unit: 'bytes of file a task' });
  }
  goals.push(atMost('cost a task, 1,000 to 1,000,000 stored: worst / best', spreadOf(costs.map(({ wallUs }) => wallUs)), 1.25));
  goals.push(atMost('CPU a task, 1,000 to 1,000,000 stored: worst / best', spreadOf(costs.map(({ cpuUs }) => cpuUs)), 1.25));
}

/** Each window beside those of the same round: what drifts in the machine hits them alike. Of the medians of that, the worst over the best. */
function spreadOf(costs: readonly (readonly number[])[]): number {
  const rounds = costs[0]!.map((_, round) => costs.reduce((sum, windows) => sum + windows[round]!, 0));
  const shares = costs.map((windows) => ratio(windows, rounds));
  return Math.max(...shares) / Math.min(...shares);
}

/** What drifts in the machine drifts on both sides of what is between. */
function meanOf(a: FloorRate, b: FloorRate): FloorRate {
  return {
    tasksPerSecond: (a.tasksPerSecond + b.tasksPerSecond) / 2,
    cpuUsATask: (a.cpuUsATask + b.cpuUsATask) / 2,
    commits: a.commits,
  };
}
