/**
 * admission: how much of a limit that nobody has told Drover gets, how little it annoys the provider,
 * how fair it is and how quickly it follows; in virtual time through its own limiter, and over HTTP
 * beside what a user would take instead. And what one admission costs.
 *
 * It takes about a quarter of an hour, almost all of it over HTTP: first Drover, in all scenes at once, then all
 * the others: beside clients that send each call five times, milliseconds would be measured that are theirs.
 *
 * Option `--data DIR`: the folder of `azure_llm_2023_conv.csv.gz`. Without it a stand-in of the same rates and lengths.
 */
import { costs } from './admission-cost.ts';
import { elevenAtOnce, overHttp, SUBJECTS } from './admission-http.ts';
import type { Subject } from './admission-http.ts';
import { outcomeOf, sceneOf, WORLDS } from './admission-scenes.ts';
import type { Accounting, Outcome, World } from './admission-scenes.ts';
import { bestWhenTold } from './admission-told.ts';
import { AGENTS, traceOf } from './admission-traces.ts';
import type { Replay } from './admission-traces.ts';
import { inVirtualTime } from './admission-virtual.ts';
import { atLeast, atMost, median, report, row } from './report.ts';
import type { Goal, Report, Row } from './report.ts';

const SMALL_BURST_MS = 100;
const BURST_MS = 1_000;
const BURSTS = [SMALL_BURST_MS, BURST_MS, 60_000] as const;
const ACCOUNTINGS: readonly Accounting[] = ['free', 'charged'];
const SEEDS = [1, 2, 3] as const;
/** Four such deployments share the limit. */
const VIRTUAL = { from: 0, every: 1, speed: 4, shrink: 1, forMs: Infinity };
/** One alone: some four calls a second, so each refusal weighs more. */
const ALONE = { ...VIRTUAL, speed: 1 };
/**
 * With short prompts: many providers live in this one process. Long enough for a change and a minute to follow
 * it to be a part of the scene and not all of it.
 */
const HTTP = { from: 0.3, every: 1, speed: 2, shrink: 8, forMs: 400_000 };

interface Cell {
  readonly world: World;
  readonly burstMs: number;
  readonly accounting: Accounting;
  readonly speed: number;
  /** One for each seed. */
  readonly outcomes: readonly Outcome[];
}

export async function admissionBench(say: (text: string) => void, { data }: { readonly data?: string | undefined }): Promise<Report> {
  say('the cost of one admission');
  const cost = await costs();
  const cells = inVirtual(say, data, VIRTUAL);
  const alone = inVirtual(say, data, ALONE);
  say('beside a neighbour at bursts of 0.1 s: who is told everything but the moment of its calls');
  const told = [VIRTUAL, ALONE].flatMap((replay) => toldBesideNeighbour(data, replay));
  say(`over HTTP: ${HTTP.forMs / 1_000} s, all scenes at once, and the same for the others`);
  const http = await allOverHttp(data);
  const rows = [
    row('cost: drover, limiter and breaker and budget', cost.drover, 'us a call'),
    row('cost: drover, with a learned rate', cost.learning, 'us a call'),
    row('cost: cockatiel, bulkhead and breaker', cost.cockatiel, 'us a call'),
    row('cost: a bare token bucket', cost.bucket, 'us a call'),
    ...[...cells, ...alone].flatMap((cell) => rowsOf(`virtual, ${named(cell)}`, cell.outcomes, cell.world)),
    ...told,
    ...http.cells.flatMap(({ subject, ...cell }) => rowsOf(`http, ${named(cell)}, ${subject}`, cell.outcomes, cell.world)),
    ...http.eleven.map(([subject, finished]) => row(`http, ${AGENTS} at once on one a second, ${subject}`, [finished], 'finish')),
  ];
  const mine = http.cells.filter(({ subject }) => subject === 'drover');
  return report('admission', rows, [
    atMost('cost of one admission, us', median(cost.drover.toSorted((a, b) => a - b)), 2),
    ...goalsOf(`virtual, speed ${VIRTUAL.speed}`, cells),
    ...goalsOf(`virtual, speed ${ALONE.speed}`, alone),
    ...goalsOf('http', mine),
    atLeast(`${AGENTS} at once: finish`, new Map(http.eleven).get('drover')!, AGENTS),
  ]);
}

function inVirtual(say: (text: string) => void, data: string | undefined, replay: Replay): Cell[] {
  const { speed } = replay;
  const trace = traceOf(data, replay);
  say(`virtual time: ${trace.name}, ${speed} times as fast, ${trace.jobs.length} requests`);
  return BURSTS.flatMap((burstMs) =>
    WORLDS.flatMap((world) =>
      ACCOUNTINGS.map((accounting): Cell => {
        const scene = sceneOf(world, burstMs, accounting, trace);
        return { world, burstMs, accounting, speed, outcomes: SEEDS.map((seed) => outcomeOf(scene, inVirtualTime(scene, seed))) };
      }),
    ),
  );
}

/** For comparison, where Drover misses its goals. */
function toldBesideNeighbour(data: string | undefined, replay: Replay): Row[] {
  const trace = traceOf(data, replay);
  return ACCOUNTINGS.map((accounting) => {
    const scene = sceneOf('neighbour', SMALL_BURST_MS, accounting, trace);
    const name = `virtual, ${named({ ...scene, speed: replay.speed })}, fixed rates that are told: goodput with at most 1 % of 429s`;
    return row(name, [bestWhenTold(scene, SEEDS[0], 0.01)], 'of the optimum');
  });
}

interface HttpCell extends Cell {
  readonly subject: Subject;
}

interface OverHttp {
  readonly cells: readonly HttpCell[];
  readonly eleven: readonly (readonly [Subject, number])[];
}

/** Every world and accounting at a burst of a second, and the other bursts where nothing changes; Drover, the first of the subjects, for itself. */
async function allOverHttp(data: string | undefined): Promise<OverHttp> {
  const trace = traceOf(data, HTTP);
  const scenes = [
    ...WORLDS.flatMap((world) => ACCOUNTINGS.map((accounting) => sceneOf(world, BURST_MS, accounting, trace))),
    ...BURSTS.filter((burstMs) => burstMs !== BURST_MS).map((burstMs) => sceneOf('constant', burstMs, 'free', trace)),
  ];
  const all = async (subjects: readonly Subject[]): Promise<OverHttp> => {
    const cells = scenes.flatMap((scene) =>
      subjects.map(async (subject): Promise<HttpCell> => ({
        ...scene,
        speed: HTTP.speed,
        subject,
        outcomes: [await overHttp(subject, scene)],
      })),
    );
    const eleven = subjects.map(async (subject) => [subject, await elevenAtOnce(subject)] as const);
    return { cells: await Promise.all(cells), eleven: await Promise.all(eleven) };
  };
  const mine = await all(SUBJECTS.slice(0, 1));
  const theirs = await all(SUBJECTS.slice(1));
  return { cells: [...mine.cells, ...theirs.cells], eleven: [...mine.eleven, ...theirs.eleven] };
}

function named({ world, burstMs, accounting, speed }: Omit<Cell, 'outcomes'>): string {
  return `speed ${speed}, ${world}, burst ${burstMs / 1_000} s, 429s ${accounting}`;
}

function rowsOf(name: string, outcomes: readonly Outcome[], world: World): Row[] {
  const of = (value: (outcome: Outcome) => number): number[] => outcomes.map(value);
  return [
    row(
      `${name}: goodput`,
      of(({ goodput }) => goodput),
      'of the optimum',
    ),
    row(
      `${name}: 429s`,
      of(({ refused }) => 100 * refused),
      '% of tries',
    ),
    row(
      `${name}: fairness`,
      of(({ jain }) => jain),
      'Jain',
    ),
    ...(world === 'constant'
      ? []
      : [
          row(
            `${name}: a lower limit followed in`,
            of(({ followedSeconds }) => followedSeconds),
            's',
          ),
        ]),
    ...(world === 'restored' || world === 'neighbour'
      ? [
          row(
            `${name}: a restored one in`,
            of(({ restoredSeconds }) => restoredSeconds),
            's',
          ),
        ]
      : []),
  ];
}

/** The worst of the cells, each by the median of its seeds. A neighbour comes at any moment: at a burst of 0.1 s it is met by chance alone. */
function goalsOf(where: string, cells: readonly Cell[]): Goal[] {
  const middle = ({ outcomes }: Cell, value: (outcome: Outcome) => number): number =>
    median(outcomes.map(value).toSorted((a, b) => (Number.isNaN(a) ? 1 : a - b)));
  const over = (is: (cell: Cell) => boolean, value: (outcome: Outcome) => number): number[] =>
    cells.filter(is).map((cell) => middle(cell, value));
  const least = (is: (cell: Cell) => boolean, value: (outcome: Outcome) => number): number => Math.min(...over(is, value));
  const most = (is: (cell: Cell) => boolean, value: (outcome: Outcome) => number): number =>
    Math.max(...over(is, value).map((each) => (Number.isNaN(each) ? Infinity : each)));
  const isLarge = ({ burstMs }: Cell): boolean => burstMs >= BURST_MS;
  const isMixed = ({ burstMs, world }: Cell): boolean => world === 'neighbour' && burstMs === SMALL_BURST_MS;
  const goodput = ({ goodput: share }: Outcome): number => share;
  const goals = [
    atLeast(
      `${where}: goodput, constant, bursts of 1 s and more`,
      least((cell) => isLarge(cell) && cell.world === 'constant', goodput),
      0.95,
    ),
    atLeast(
      `${where}: goodput over changes`,
      least((cell) => isLarge(cell) && cell.world !== 'constant', goodput),
      0.9,
    ),
    atLeast(
      `${where}: goodput at bursts of 0.1 s`,
      least((cell) => !isLarge(cell) && !isMixed(cell), goodput),
      0.9,
    ),
    atMost(
      `${where}: 429s, % of tries`,
      most(
        (cell) => !isMixed(cell),
        ({ refused }) => 100 * refused,
      ),
      1,
    ),
    atLeast(
      `${where}: Jain`,
      least(
        () => true,
        ({ jain }) => jain,
      ),
      0.98,
    ),
    atMost(
      `${where}: a lower limit followed, s`,
      most(
        ({ world }) => world !== 'constant',
        ({ followedSeconds }) => followedSeconds,
      ),
      10,
    ),
    atMost(
      `${where}: a restored limit followed, s`,
      most(
        (cell) => (cell.world === 'restored' || cell.world === 'neighbour') && !isMixed(cell),
        ({ restoredSeconds }) => restoredSeconds,
      ),
      60,
    ),
  ];
  if (!cells.some(isMixed)) return goals;
  return [
    ...goals,
    atLeast(`${where}: goodput beside a neighbour at bursts of 0.1 s`, least(isMixed, goodput), 0.9),
    atMost(
      `${where}: 429s beside a neighbour at bursts of 0.1 s, %`,
      most(isMixed, ({ refused }) => 100 * refused),
      1,
    ),
  ];
}
