/**
 * A skeleton played with names: every process is somebody, a reply goes to who asked, a child's end to
 * its own parent. For comparison with the nets, which only count.
 */
import { needsOf } from '../../../src/testing/explore/skeleton.ts';
import type { Skeleton, SkeletonMove } from '../../../src/testing/explore/skeleton.ts';

interface One {
  readonly process: string;
  readonly state: string;
  readonly held: Readonly<Record<string, number>>;
  /** Whom it serves, who spawned it: places in the list of all. */
  readonly customer: number | null;
  readonly parent: number | null;
  readonly open: number;
  readonly asking: boolean;
  readonly over: boolean;
}

interface Named {
  readonly all: readonly One[];
  readonly mail: readonly number[];
  readonly faults: number;
}

/** Distances from the start; undefined beyond `most` states. */
export function playNamed(skeleton: Skeleton, most: number): { readonly dead: number | undefined; readonly doomed: boolean } | undefined {
  const all = skeleton.processes.flatMap(({ name, start, count = 1 }) =>
    Array.from({ length: count }, (): One => ({
      process: name,
      state: start,
      held: {},
      customer: null,
      parent: null,
      open: 0,
      asking: false,
      over: false,
    })),
  );
  const start = JSON.stringify({ all, mail: [], faults: skeleton.faults ?? 0 } satisfies Named);
  const distance = new Map([[start, 0]]);
  const edges = new Map<string, readonly string[]>();
  const open = [start];
  for (const state of open) {
    const named = JSON.parse(state) as Named;
    const moves = successors(skeleton, named).map((next) => JSON.stringify(next));
    edges.set(state, moves);
    for (const next of [...moves, ...crashes(skeleton, named).map((one) => JSON.stringify(one))]) {
      if (distance.has(next)) continue;
      distance.set(next, distance.get(state)! + 1);
      open.push(next);
      if (open.length > most) return undefined;
    }
  }
  const isHome = (state: string) => {
    const { all: ones, mail } = JSON.parse(state) as Named;
    return (
      mail.length === 0 &&
      ones.every(({ process, state: at, asking, over }) => over || (!asking && restsOf(skeleton, process).includes(at)))
    );
  };
  const dead = open.find((state) => !isHome(state) && edges.get(state)!.every((next) => next === state));
  const hopeful = new Set(open.filter(isHome));
  for (let before = -1; before < hopeful.size;) {
    before = hopeful.size;
    for (const state of open) if (edges.get(state)!.some((next) => hopeful.has(next))) hopeful.add(state);
  }
  return { dead: dead === undefined ? undefined : distance.get(dead), doomed: hopeful.size < open.length };
}

function restsOf({ processes }: Skeleton, name: string): readonly string[] {
  return processes.find((process) => process.name === name)!.rests!;
}

function successors(skeleton: Skeleton, named: Named): readonly Named[] {
  return named.all.flatMap((one, at) => {
    if (one.over || one.asking) return [];
    const moves = skeleton.processes.find(({ name }) => name === one.process)!.states[one.state]!;
    return moves.flatMap((move) => movesOf(skeleton, named, at, move));
  });
}

function movesOf(skeleton: Skeleton, named: Named, at: number, move: SkeletonMove): readonly Named[] {
  const { all, mail } = named;
  const one = all[at]!;
  const become = (change: Partial<One>): Named => ({ ...named, all: all.with(at, { ...one, ...change }) });
  switch (move.does) {
    case 'go':
      return [become({ state: move.to })];
    case 'acquire': {
      const needs = needsOf(move.needs);
      const out = (name: string) => all.reduce((sum, { held }) => sum + (held[name] ?? 0), 0);
      if (Object.entries(needs).some(([name, count]) => out(name) + count > skeleton.resources![name]!)) return [];
      const held = { ...one.held };
      for (const [name, count] of Object.entries(needs)) held[name] = (held[name] ?? 0) + count;
      // Sorted, so that the order of taking makes no other state.
      return [become({ state: move.to, held: Object.fromEntries(Object.entries(held).toSorted()) })];
    }
    case 'release':
      return [become({ state: move.to, held: {} })];
    case 'ask':
      return mail.length >= skeleton.mailboxes!['mail']! ? [] : [{ ...become({ state: move.to, asking: true }), mail: [...mail, at] }];
    case 'receive':
      return mail.map((customer, index) => ({ ...become({ state: move.to, customer }), mail: mail.toSpliced(index, 1) }));
    case 'reply':
      return [{ ...named, all: answered(all, one).with(at, { ...one, state: move.to, customer: null }) }];
    case 'spawn': {
      if (one.open >= move.most) return [];
      const { name, start } = skeleton.processes.find((process) => process.name === move.process)!;
      const child: One = { process: name, state: start, held: {}, customer: null, parent: at, open: 0, asking: false, over: false };
      const after = become({ state: move.to, open: one.open + 1 });
      // A place of one who is over is used again, or there would be no end of names.
      const free = all.findIndex((other) => other.over && other.process === name);
      return [{ ...after, all: free === -1 ? [...after.all, child] : after.all.with(free, child) }];
    }
    case 'join':
      return one.open === 0 ? [become({ state: move.to })] : [];
    case 'end': {
      if (one.open > 0) return [];
      const over = become({ over: true, held: {}, parent: null, state: '' });
      const parent = one.parent === null ? undefined : all[one.parent]!;
      if (parent === undefined) return [over];
      const joins = parent.asking
        ? []
        : skeleton.processes.find(({ name }) => name === parent.process)!.states[parent.state]!.filter((other) => other.does === 'join');
      const states = joins.length === 0 ? [parent.state] : joins.map((other) => (other as { readonly to: string }).to);
      return states.map((state) => ({ ...over, all: over.all.with(one.parent!, { ...parent, state, open: parent.open - 1 }) }));
    }
    default:
      throw new Error(`${move.does} is not played with names`);
  }
}

/** Whoever waits for this one goes on; one who has crashed meanwhile waits no more, or for another answer. */
function answered(all: readonly One[], { customer }: One): readonly One[] {
  return customer === null || !all[customer]!.asking ? all : all.with(customer, { ...all[customer]!, asking: false });
}

function crashes(skeleton: Skeleton, named: Named): readonly Named[] {
  if (named.faults === 0) return [];
  return named.all.flatMap((one, at) => {
    const { crash } = skeleton.processes.find(({ name }) => name === one.process)!;
    if (crash === undefined || one.over || (!one.asking && restsOf(skeleton, one.process).includes(one.state))) return [];
    const all = answered(named.all, one).with(at, { ...one, state: crash.to, held: {}, customer: null, asking: false });
    return [{ ...named, all, faults: named.faults - 1 }];
  });
}
