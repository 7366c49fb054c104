/**
 * chaos80: eighty agents and three thousand tasks under everything that goes wrong at that scale: a provider
 * whose limits fall and that is down for a while, crashes, restarts, and one agent that turns bad. With all
 * layers, with each one left out alone, and naively, in virtual time. What was published without orchestration:
 * 34 % duplicated tasks, 12 write conflicts a minute, 60 % of the fleet's share lost to one bad agent in 90 s.
 *
 * The same seed gives the same table.
 */
import type { Outcome } from './chaos80-ledger.ts';
import { playAll } from './chaos80-run.ts';
import { BAD_FROM_MS, BAD_WINDOW_MS, LAYERS, layersBut, LONGEST_MS, WORKERS } from './chaos80-scene.ts';
import type { Layer, Play } from './chaos80-scene.ts';
import { atLeast, atMost, median, report, row } from './report.ts';
import type { Goal, Report, Row } from './report.ts';

const SEEDS = [1, 2, 3] as const;
/**
 * So many scenes with and without the bad agent, for what it costs a fleet with all layers. Two plays of one scene
 * that differ in nothing but the order of messages are up to 0.6 % of the window's tasks apart (one standard
 * deviation, twelve plays each), which is half of what is looked for: no single pair can tell.
 */
const PAIRS = 40;
const EVERY_LAYER_BUT_LEASES = LAYERS.filter((layer) => layer !== 'leases');

/** How a fleet did, with the share of its throughput that one bad agent has cost. */
type Judged = Outcome & { readonly shareLost: number };

interface Variant {
  readonly name: string;
  readonly fleet: Play['fleet'];
}

const ALL: Variant = { name: 'all layers', fleet: layersBut() };
const without = (layer: Layer): Variant => ({ name: `without ${layer}`, fleet: layersBut(layer) });
const NAIVE: Variant = { name: 'naive', fleet: 'naive' };
const VARIANTS: readonly Variant[] = [ALL, ...LAYERS.map(without), NAIVE];
/** Nothing goes wrong. The runtime without its layers does nothing twice, which the naive fleet does at its own cost. */
const HEALTHY: readonly Variant[] = [ALL, { name: 'the runtime alone', fleet: layersBut(...EVERY_LAYER_BUT_LEASES) }, NAIVE];

interface Measure {
  readonly name: string;
  readonly short: string;
  readonly unit: string;
  readonly of: (judged: Judged) => number;
  /** Of this, more is better. Default false. */
  readonly isGood?: boolean;
}

const DUPLICATED: Measure = { name: 'duplicated tasks', short: 'dup %', unit: '% of tasks', of: ({ duplicated }) => duplicated };
const CONFLICTS: Measure = {
  name: 'write conflicts',
  short: 'confl/min',
  unit: 'a minute',
  of: ({ conflictsAMinute }) => conflictsAMinute,
};
const PREVENTED: Measure = {
  name: 'write conflicts prevented',
  short: 'prevented/min',
  unit: 'a minute',
  of: ({ preventedAMinute }) => preventedAMinute,
};
const LOST_UPDATES: Measure = { name: 'lost updates', short: 'lost upd', unit: 'updates', of: ({ lostUpdates }) => lostUpdates };
const SHARE_LOST: Measure = {
  name: 'lost to one bad agent in 90 s',
  short: 'bad agent %',
  unit: '% of throughput',
  of: ({ shareLost }) => shareLost,
};
const WHILE_DOWN: Measure = { name: 'calls into an outage', short: 'into outage', unit: 'calls', of: ({ whileDown }) => whileDown };
const OVERSPENT: Measure = { name: 'spent above the budget', short: 'overspent %', unit: '% of it', of: ({ overspent }) => overspent };
const AWAY: Measure = { name: 'workers away', short: 'away %', unit: '% of their time', of: ({ away }) => away };
const REFUSED: Measure = { name: '429s', short: '429 %', unit: '% of tries', of: ({ refused }) => refused };
const TASKS_LOST: Measure = { name: 'tasks lost', short: 'lost %', unit: '% of tasks', of: ({ tasksLost }) => tasksLost };
const MAKESPAN: Measure = { name: 'makespan', short: 'makespan s', unit: 's', of: ({ makespanS }) => makespanS };
const PER_MINUTE: Measure = { name: 'throughput', short: 'tasks/min', unit: 'tasks/min', of: ({ perMinute }) => perMinute, isGood: true };

const MEASURES: readonly Measure[] = [
  DUPLICATED,
  CONFLICTS,
  PREVENTED,
  LOST_UPDATES,
  SHARE_LOST,
  WHILE_DOWN,
  OVERSPENT,
  AWAY,
  REFUSED,
  TASKS_LOST,
  MAKESPAN,
  PER_MINUTE,
];

/** What a fleet suffers without the layer, and how much of it counts as the failure being back. */
const OWN: Readonly<Record<Layer, { readonly measure: Measure; readonly atLeast: number }>> = {
  leases: { measure: DUPLICATED, atLeast: 5 },
  registry: { measure: LOST_UPDATES, atLeast: 5 },
  breaker: { measure: WHILE_DOWN, atLeast: 250 },
  budget: { measure: OVERSPENT, atLeast: 20 },
  supervision: { measure: AWAY, atLeast: 10 },
  limiter: { measure: REFUSED, atLeast: 10 },
};

interface Played {
  readonly variant: Variant;
  /** One for each seed. */
  readonly judged: readonly Judged[];
}

export async function chaos80(say: (text: string) => void): Promise<Report> {
  const play =
    (
      troubles: Play['troubles'],
      untilMs: number,
      { outage = 'broken', seeds = SEEDS }: { outage?: Play['outage']; seeds?: readonly number[] } = {},
    ) =>
    ({ fleet }: Variant) =>
      seeds.map((seed): Play => ({ seed, fleet, troubles, outage, untilMs }));
  const lookedAtMs = BAD_FROM_MS + BAD_WINDOW_MS;
  const chaos = VARIANTS.flatMap(play('chaos', LONGEST_MS));
  // Its twin, in which the agent stays well: only until the looking is over.
  const spared = VARIANTS.flatMap(play('spared', lookedAtMs));
  const healthy = HEALTHY.flatMap(play('healthy', LONGEST_MS));
  const overloaded = play('chaos', LONGEST_MS, { outage: 'overloaded' })(ALL);
  const scenes = { seeds: Array.from({ length: PAIRS }, (_, at) => at + 1) };
  const pairs = [...play('chaos', lookedAtMs, scenes)(ALL), ...play('spared', lookedAtMs, scenes)(ALL)];
  const plays = [...chaos, ...spared, ...healthy, ...overloaded, ...pairs];
  say(`${plays.length} plays of ${WORKERS} agents in virtual time, seeds ${SEEDS.join(', ')}`);
  const outcomes = await playAll(plays, (played) => played % 10 === 0 && say(`${played} of ${plays.length} played`));
  const take = inTurn(outcomes);
  const [ill, twins, well, whenOverloaded] = [take(chaos), take(spared), take(healthy).map(unjudged), take(overloaded).map(unjudged)];
  const judged = ill.map((outcome, at): Judged => ({ ...outcome, shareLost: shareLost(outcome, twins[at]!) }));
  const paired = take(pairs);
  const sharesLost = paired.slice(0, PAIRS).map((outcome, at) => shareLost(outcome, paired[PAIRS + at]!));
  const played = (variants: readonly Variant[], all: readonly Judged[]): Played[] =>
    variants.map((variant, at) => ({ variant, judged: all.slice(at * SEEDS.length, (at + 1) * SEEDS.length) }));
  const inChaos = played(VARIANTS, judged);
  const inHealth = played(HEALTHY, well);
  for (const line of tableOf(inChaos)) say(line);
  const rows = [
    ...inChaos.flatMap(({ variant, judged: each }) => MEASURES.map((measure) => rowOf(variant.name, measure, each))),
    ...inHealth.map(({ variant, judged: each }) => rowOf(`nothing goes wrong, ${variant.name}`, PER_MINUTE, each)),
    rowOf('an outage that answers 503, all layers', MAKESPAN, whenOverloaded),
    row(`all layers, ${PAIRS} scenes: ${SHARE_LOST.name}`, sharesLost, SHARE_LOST.unit),
  ];
  const slower = middleOf(whenOverloaded.map(({ makespanS }, seed) => makespanS / judged[seed]!.makespanS));
  return report('chaos80', rows, [
    ...goalsOf(inChaos, inHealth),
    ...shareGoals(sharesLost),
    atMost('all layers: makespan with an outage that answers 503, over one that breaks calls off, median', slower, 1.2),
  ]);
}

const shareLost = ({ inWindow }: Outcome, twin: Outcome): number => (100 * (twin.inWindow - inWindow)) / twin.inWindow;

/** Takes as many off the front as there are of these. */
function inTurn<T>(all: readonly T[]): (like: readonly unknown[]) => readonly T[] {
  let at = 0;
  return ({ length }) => all.slice(at, (at += length));
}

/** At most the bad agent itself, and that not by luck. */
function shareGoals(lost: readonly number[]): Goal[] {
  const mean = lost.reduce((sum, share) => sum + share, 0) / lost.length;
  const variance = lost.reduce((sum, share) => sum + (share - mean) ** 2, 0) / (lost.length - 1);
  const name = `all layers: ${SHARE_LOST.name}, %, mean of ${lost.length} scenes`;
  return [
    atMost(name, mean, 100 / WORKERS),
    atMost(`${name}, and two standard errors`, mean + 2 * Math.sqrt(variance / lost.length), 100 / WORKERS),
  ];
}

const unjudged = (outcome: Outcome): Judged => ({ ...outcome, shareLost: NaN });

function rowOf(name: string, { name: measured, unit, of }: Measure, judged: readonly Judged[]): Row {
  return row(`${name}: ${measured}`, judged.map(of), unit);
}

/** Medians, with the worst seed where it differs, and what each layer is there for. */
function tableOf(played: readonly Played[]): string[] {
  const cells = played.map(({ variant, judged }) => [
    variant.name,
    ...MEASURES.map((measure) => cellOf(measure, judged)),
    backOf(variant, judged),
  ]);
  const lines = [['median (worst)', ...MEASURES.map(({ short }) => short), 'its own failure is back'], ...cells];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column]!)).join('  '));
}

function cellOf({ of, isGood = false }: Measure, judged: readonly Judged[]): string {
  const values = judged.map(of);
  const [middle, worst] = [short(middleOf(values)), short(isGood ? Math.min(...values) : Math.max(...values))];
  return middle === worst ? middle : `${middle} (${worst})`;
}

/** In the mildest seed. */
function backOf({ name }: Variant, judged: readonly Judged[]): string {
  const layer = LAYERS.find((each) => name === without(each).name);
  if (layer === undefined) return '';
  const { measure, atLeast: least } = OWN[layer];
  return `${measure.name}: ${Math.min(...judged.map(measure.of)) >= least ? 'yes' : 'no'}`;
}

function goalsOf(inChaos: readonly Played[], inHealth: readonly Played[]): Goal[] {
  const of = ({ name }: Variant): readonly Judged[] => inChaos.find(({ variant }) => variant.name === name)!.judged;
  const all = of(ALL);
  const most = ({ of: value }: Measure): number => Math.max(...all.map(value));
  const [ours, ...others] = inHealth.map(({ judged }) => judged.map(({ perMinute }) => perMinute));
  const overBest = ours!.map((rate, seed) => rate / Math.max(...others.map((rates) => rates[seed]!)));
  return [
    ...[DUPLICATED, LOST_UPDATES, CONFLICTS, TASKS_LOST, OVERSPENT].map((measure) =>
      atMost(`all layers: ${measure.name}, ${measure.unit}, worst seed`, most(measure), 0),
    ),
    atLeast('nothing goes wrong: throughput over the best without layers, median', middleOf(overBest), 0.9),
    ...LAYERS.flatMap((layer) => {
      const { measure, atLeast: least } = OWN[layer];
      return [
        atLeast(`without ${layer}: ${measure.name}, ${measure.unit}, mildest seed`, Math.min(...of(without(layer)).map(measure.of)), least),
        // What is there with the layer too would prove nothing.
        atMost(`all layers: ${measure.name}, ${measure.unit}, worst seed, beside that`, most(measure), least / 2),
      ];
    }),
  ];
}

const middleOf = (values: readonly number[]): number => median(values.toSorted((a, b) => a - b));

const short = (value: number): string => (Number.isInteger(value) || Math.abs(value) >= 100 ? String(Math.round(value)) : value.toFixed(1));
