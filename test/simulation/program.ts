/** Program: what one run does, as the input of its task. What it says can be compared with what is remembered. */
import type { Random } from '../../actors/kernel/random.ts';

export type Op =
  | { readonly at: 'call'; readonly dependency: string; readonly request: number; readonly remember?: false; readonly key?: string }
  | { readonly at: 'step'; readonly name: string; readonly ms: number; readonly fails?: true }
  | { readonly at: 'ask'; readonly kind: string; readonly program: Program; readonly key?: string; readonly priority?: number }
  /** An ask that has so long; what comes then has the name of how that went, and another one is undone under it. */
  | {
      readonly at: 'timely';
      readonly ask: Extract<Op, { at: 'ask' }>;
      readonly ms: number;
      readonly sleepsFirst: boolean;
      readonly name: string;
    }
  /** Several at once; what comes then has the name of how they went: which was first (`race`), or did well first (`any`), or how each did. */
  | { readonly at: 'several'; readonly how: 'race' | 'any' | 'all'; readonly ops: readonly Op[]; readonly name: string }
  /** So many at a time, the next as soon as one has ended. */
  | { readonly at: 'pool'; readonly width: number; readonly ops: readonly Op[] }
  /** Whatever it fails with is caught, and what comes then has the name of how it went; or something is done in any case. */
  | { readonly at: 'rescue' | 'finally'; readonly op: Op; readonly name: string }
  /** It may take a day: long enough for whoever waits for that by mistake to be found. */
  | { readonly at: 'within'; readonly op: Op }
  /** Tried again by the run itself. */
  | { readonly at: 'insist'; readonly op: Op }
  /** So many steps as a row says that it has read. */
  | { readonly at: 'loop'; readonly row: string; readonly name: string; readonly ms: number }
  /** A step for each of a set, by its key. `varies`: other runs find the set in another order, and less of it or more. */
  | { readonly at: 'each'; readonly name: string; readonly ms: number; readonly varies: boolean }
  | { readonly at: 'send'; readonly kind: string; readonly program: Program; readonly priority?: number }
  | { readonly at: 'both'; readonly ops: readonly Op[] }
  /** With a place of the lower bulkhead in hand, and in it of the higher one. */
  | { readonly at: 'hold'; readonly deep: boolean; readonly ms: number; readonly op: Op }
  | { readonly at: 'progress' }
  /** A sleep that the runtime does not see. */
  | { readonly at: 'pause'; readonly ms: number }
  | { readonly at: 'sleep'; readonly ms: number; readonly key?: string }
  | { readonly at: 'event'; readonly name: EventName; readonly withinMs?: number }
  | { readonly at: 'approval'; readonly name: string; readonly withinMs?: number }
  /** Counts one more in a row: over what is there when it commits, or over what was read. */
  | { readonly at: 'count'; readonly row: string; readonly how: 'update' | 'set' }
  /** Registered, then made: what a failed task takes back. */
  | { readonly at: 'undoable'; readonly name: string; readonly ms: number; readonly fails: number }
  | { readonly at: 'widen'; readonly rows: readonly string[] }
  /** Only code of this version, or of a later one, does it. */
  | { readonly at: 'since'; readonly version: number; readonly op: Op };

export interface Program {
  readonly ops: readonly Op[];
  /** Throws before its end in its first so many attempts. */
  readonly rejects: number;
  /** Throws before its end, for good. */
  readonly hopeless?: true;
  /** A statechart is told `paid` so often before it ends. */
  readonly payments?: number;
  readonly writes: readonly string[];
  readonly reads: readonly string[];
  readonly key?: string;
  readonly affinity?: string;
}

export const EVENTS = ['go', 'paid'] as const;
export type EventName = (typeof EVENTS)[number];

export const ROWS = ['row:a', 'row:b', 'row:c'] as const;

export interface ProgramPlan {
  readonly kinds: readonly string[];
  readonly dependencies: readonly string[];
  /** Whether each kind has locks, by its place among the kinds. */
  readonly locks: readonly boolean[];
  /** Whether each kind is a statechart. */
  readonly charts: readonly boolean[];
  /** Whether later versions of the code do more. */
  readonly grows: boolean;
}

/** What a run may be doing meanwhile: everything; one of several at once; something with a bulkhead in hand. */
type Around = 'none' | 'both' | 'hold';

/** Draws programs whose runs do all that `ctx` can do. */
export class ProgramDrawer {
  readonly #plan: ProgramPlan;

  constructor(plan: ProgramPlan) {
    this.#plan = plan;
  }

  /** @param depth 0 for a task from outside: only those are told of events without end. */
  draw(random: Random, kind: number, depth: number): Program {
    const locks = this.#plan.locks[kind]!;
    const some = (one: number): string[] => (locks ? ROWS.filter(() => random.int(one) === 0) : []);
    const writes = some(3);
    const reads = some(4).filter((row) => !writes.includes(row));
    const ops = this.#drawOps(random, kind, depth, writes);
    const isUndoable = ops.some(({ at }) => at === 'undoable');
    // A sleep that has lost a race is open still, and who waits for nothing else is taken to wait for that.
    const isOvertaken = ops.some((op) => op.at === 'within' || (op.at === 'since' && op.op.at === 'within'));
    const program: Program = {
      // A run that is undone is replayed over what it remembers, and a sleep that nobody sees is not.
      ops: isUndoable || isOvertaken ? ops.map(seen) : ops,
      rejects: random.int(4) === 0 ? 1 + random.int(2) : 0,
      ...(random.int(isUndoable ? 4 : 30) === 0 ? { hopeless: true as const } : {}),
      writes,
      reads,
      ...(random.int(4) === 0 ? { key: `key ${random.int(2)}` } : {}),
      ...(random.int(3) === 0 ? { affinity: `affinity ${random.int(4)}` } : {}),
    };
    if (this.#plan.charts[kind] !== true) return program;
    // Nobody tells a child of anything.
    return { ...forStatechart(program), payments: depth > 0 ? 0 : random.int(3) };
  }

  #drawOps(random: Random, kind: number, depth: number, writes: readonly string[]): readonly Op[] {
    const { kinds, dependencies, locks } = this.#plan;
    const children = kinds.slice(kind + 1);
    /** Rows that it may write by then. */
    const mine = [...writes];
    let names = 0;
    const step = (): Op => {
      const fails = random.int(12) === 0 ? { fails: true as const } : {};
      return { at: 'step', name: `s${(names += 1)}`, ms: random.int(200), ...fails };
    };
    const call = (): Op => {
      const remember = random.int(8) === 0 ? { remember: false as const } : {};
      const dependency = dependencies[random.int(dependencies.length)]!;
      return { at: 'call', dependency, request: random.int(1_000), ...remember };
    };
    const child = (at: 'ask' | 'send'): Op => {
      if (children.length === 0 || depth > 2) return step();
      const its = kind + 1 + random.int(children.length);
      const priority = random.int(4) === 0 ? { priority: random.int(5) } : {};
      return { at, kind: kinds[its]!, program: this.draw(random, its, depth + 1), ...priority };
    };
    const wait = (): Op => {
      // Nobody tells a child of anything.
      const withinMs = depth > 0 || random.int(4) === 0 ? { withinMs: 100 + random.int(8_000) } : {};
      if (random.int(2) === 0) return { at: 'event', name: EVENTS[random.int(EVENTS.length)]!, ...withinMs };
      return { at: 'approval', name: `a${(names += 1)}`, ...(random.int(3) === 0 ? { withinMs: random.int(8_000) } : {}) };
    };
    const row = (): Op => {
      if (mine.length === 0) return step();
      return { at: 'count', row: mine[random.int(mine.length)]!, how: random.int(3) === 0 ? 'set' : 'update' };
    };
    const widen = (): Op => {
      if (!locks[kind]!) return step();
      const rows = ROWS.filter(() => random.int(2) === 0);
      mine.push(...rows.filter((one) => !mine.includes(one)));
      return { at: 'widen', rows };
    };
    const timely = (): Op => {
      const asked = child('ask');
      if (asked.at !== 'ask') return asked;
      const ms = random.int(2) === 0 ? random.int(500) : random.int(4_000);
      return { at: 'timely', ask: asked, ms, sleepsFirst: random.int(2) === 0, name: `t${(names += 1)}` };
    };
    const several = (): Op => {
      const how = (['race', 'any', 'all'] as const)[random.int(3)]!;
      const ops = Array.from({ length: 2 + random.int(2) }, () => drawOp('both')).map(remembered);
      return { at: 'several', how, ops, name: `v${(names += 1)}` };
    };
    // What an update brings is not remembered, so nothing may follow from that.
    const loop = (): Op => {
      const rows = ROWS.filter((one) => !mine.includes(one));
      return rows.length === 0
        ? step()
        : { at: 'loop', row: rows[random.int(rows.length)]!, name: `l${(names += 1)}`, ms: random.int(100) };
    };
    const guarded = (): Op => {
      const inner = random.int(2) === 0 ? step() : drawOp('both');
      return { at: random.int(2) === 0 ? 'rescue' : 'finally', op: remembered(inner), name: `g${(names += 1)}` };
    };
    const pool = (): Op => ({
      at: 'pool',
      width: 1 + random.int(3),
      ops: Array.from({ length: 2 + random.int(4) }, () => remembered(drawOp('both'))),
    });
    const within = (): Op => ({ at: 'within', op: remembered(drawOp('both')) });
    const each = (): Op => ({ at: 'each', name: `e${(names += 1)}`, ms: random.int(100), varies: random.int(2) === 0 });
    const insist = (): Op => {
      const tried = random.int(2) === 0 ? call() : child('ask');
      return tried.at === 'step' ? tried : { at: 'insist', op: remembered(tried) };
    };
    const drawOp = (around: Around): Op => {
      const choice = random.int(around === 'none' ? 35 : around === 'both' ? 14 : 7);
      if (choice <= 2) return call();
      if (choice <= 4) return step();
      if (choice <= 6) return child('ask');
      if (choice === 7) return child('send');
      if (choice === 8) return { at: 'sleep', ms: random.int(4) === 0 ? random.int(8_000) : random.int(300) };
      if (choice <= 10) return wait();
      if (choice <= 12) return row();
      if (choice === 13) return random.int(2) === 0 ? { at: 'progress' } : { at: 'pause', ms: random.int(300) };
      if (choice === 14) return { at: 'hold', deep: random.int(2) === 0, ms: random.int(100), op: drawOp('hold') };
      if (choice <= 17) return { at: 'both', ops: Array.from({ length: 2 + random.int(3) }, () => drawOp('both')) };
      if (choice <= 19) return { at: 'undoable', name: `u${(names += 1)}`, ms: random.int(200), fails: random.int(4) === 0 ? 1 : 0 };
      if (choice === 20) return widen();
      if (choice === 21) return timely();
      if (choice <= 24) return row();
      if (choice === 25) return several();
      if (choice === 26) return loop();
      if (choice <= 28) return guarded();
      if (choice === 29) return pool();
      if (choice <= 31) return each();
      return choice === 32 ? insist() : within();
    };
    const ops = Array.from({ length: 1 + random.int(5) }, () => drawOp('none'));
    if (!this.#plan.grows) return ops;
    // What stands in front of something else has a name or a key, so that the places behind it stay what they are.
    const named = (): Op => {
      const key = `n${(names += 1)}`;
      const choice = random.int(8);
      if (choice <= 2) return { at: 'step', name: key, ms: random.int(200) };
      if (choice <= 4) return { at: 'call', dependency: dependencies[random.int(dependencies.length)]!, request: random.int(1_000), key };
      if (choice === 5) return { at: 'sleep', ms: random.int(300), key };
      if (choice === 6) return { at: 'undoable', name: key, ms: random.int(200), fails: 0 };
      const asked = child('ask');
      return asked.at === 'ask' ? { ...asked, key } : asked;
    };
    // Behind all else whatever comes: what an older version does is then what a newer one does first.
    const last = (version: number): Op[] => {
      if (random.int(2) === 0) return [];
      const both = (): Op => ({ at: 'both', ops: [slowChild(), random.int(2) === 0 ? step() : { at: 'sleep', ms: random.int(2_000) }] });
      const op = [slowChild, slowChild, row, both, () => ({ at: 'sleep', ms: random.int(2_000) }) as const, timedWait][random.int(6)]!();
      return [{ at: 'since', version, op }];
    };
    // Long enough for the next deploy to come meanwhile.
    const slowly = (): Op => ({ at: 'sleep', ms: random.int(6_000) });
    const slowChild = (): Op => {
      const asked = child('ask');
      return asked.at === 'ask' ? { ...asked, program: { ...asked.program, ops: [slowly(), ...asked.program.ops] } } : asked;
    };
    const timedWait = (): Op => ({ at: 'event', name: EVENTS[random.int(EVENTS.length)]!, withinMs: 100 + random.int(3_000) });
    const grown = ops.flatMap((op): Op[] => (random.int(3) === 0 ? [{ at: 'since', version: 2 + random.int(2), op: named() }, op] : [op]));
    return [...grown, ...(random.int(2) === 0 ? [slowly()] : []), ...last(2), ...last(3)];
  }
}

/** With sleeps that the runtime sees, and sets that are the same in every run. */
function seen(op: Op): Op {
  if (op.at === 'pause') return { at: 'sleep', ms: op.ms };
  if (op.at === 'each') return { ...op, varies: false };
  return op.at === 'both' ? { ...op, ops: op.ops.map(seen) } : op;
}

/** What is over at the same place in every run: what is not remembered is faster where the rest is remembered. */
function remembered(op: Op): Op {
  if (op.at === 'pause') return { at: 'sleep', ms: op.ms };
  if (op.at === 'progress' || op.at === 'send' || op.at === 'count') return { at: 'sleep', ms: 0 };
  if (op.at !== 'call') return op;
  const { at, dependency, request } = op;
  return { at, dependency, request };
}

/** What an operation of a machine may not do is left out: rows are written by runs. */
function forStatechart(program: Program): Program {
  return { ...program, ops: program.ops.flatMap(fitting) };
}

function fitting(op: Op): readonly Op[] {
  switch (op.at) {
    case 'count':
      return [];
    // The other one is for the machine itself.
    case 'event':
      return [{ ...op, name: 'go' }];
    case 'since':
      return [];
    case 'rescue':
    case 'finally':
    case 'within':
      return fitting(op.op).map((inner) => ({ ...op, op: inner }));
    case 'both':
    case 'several':
    case 'pool':
      return [{ ...op, ops: op.ops.map((inner) => fitting(inner)[0] ?? ({ at: 'sleep', ms: 0 } as const)) }];
    default:
      return [op];
  }
}

/** Events that a task waits for without end, each as often as it is told of them at least. */
export function eventsOf({ ops, payments = 0 }: Pick<Program, 'ops' | 'payments'>): readonly EventName[] {
  return [...Array.from({ length: payments }, () => 'paid' as const), ...waitedFor(ops)];
}

function waitedFor(ops: readonly Op[]): readonly EventName[] {
  return ops.flatMap((op) => {
    if (op.at === 'event') return [op.name];
    if (op.at === 'both' || op.at === 'several' || op.at === 'pool') return waitedFor(op.ops);
    return op.at === 'rescue' || op.at === 'finally' || op.at === 'within' ? waitedFor([op.op]) : [];
  });
}
