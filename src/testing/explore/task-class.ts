/** Task class: what a task of one kind, asked for at one depth, may do, as a class of processes. */
import type { Topology } from '../../topology/fleet.ts';
import { listNeeds } from './locals.ts';
import type { Locking, LockSet } from './locking.ts';
import { acquire, crash, end, go, join, park, release, resume, spawn } from './skeleton.ts';
import type { ProcessClass, SkeletonMove } from './skeleton.ts';
import type { AllSizes, Construction } from './topology.ts';

export interface TaskClass {
  readonly kind: string;
  readonly depth: number;
}

export interface TaskClassOptions extends TaskClass {
  readonly topology: Topology;
  /** Tasks of it from the start. */
  readonly count: number;
  readonly sizes: AllSizes;
  readonly locking: Locking;
  readonly without: readonly Construction[];
}

export function taskClass(options: TaskClassOptions): ProcessClass {
  return { name: className(options), count: options.count, start: 'queued', rests: [], states: new TaskStates(options).all };
}

export function className({ kind, depth }: TaskClass): string {
  return depth === 0 ? kind : `${kind} at depth ${depth}`;
}

export function workerOf(kind: string): string {
  return `worker of ${kind}`;
}

export function permitOf(dependency: string): string {
  return `permit of ${dependency}`;
}

export function lockOf(name: string): string {
  return `lock of ${name}`;
}

/** The states of a task: one set of them for each set of locks that it may want. */
class TaskStates {
  readonly all: Record<string, readonly SkeletonMove[]> = {};
  readonly #options: TaskClassOptions;
  readonly #worker: string;
  readonly #permits: readonly string[];
  readonly #asks: readonly string[];
  /** Operations of a run. */
  readonly #operations: number;
  readonly #parking: boolean;
  readonly #atOnce: boolean;
  readonly #lettingGo: boolean;
  /** What a run that has widened wants; undefined: none does. */
  readonly #widened: LockSet | undefined;
  readonly #isOnlySet: boolean;

  constructor(options: TaskClassOptions) {
    const { topology, kind, depth, sizes, locking, without } = options;
    const plan = topology.kinds[kind]!;
    this.#options = options;
    this.#worker = workerOf(kind);
    this.#permits = [...new Set(Object.values(plan.uses))].filter(
      (name) => topology.dependencies[name]!.spec.limits?.concurrency !== undefined,
    );
    this.#asks = depth < sizes.depth ? plan.asks : [];
    this.#parking = !without.includes('parking');
    this.#atOnce = !without.includes('all-or-nothing');
    this.#lettingGo = !without.includes('letting-go');
    const sets = locking.setsOf(kind);
    const widest = locking.widenedOf(kind);
    // One that has everything has nothing to widen to.
    this.#widened = widest === undefined || sets.every((set) => covers(set, widest)) ? undefined : widest;
    this.#isOnlySet = sets.length === 1 && this.#widened === undefined;
    const canDo = this.#permits.length + this.#asks.length > 0 || this.#widened !== undefined;
    this.#operations = canDo ? sizes.operations : 0;
    const known = this.#widened !== undefined && !sets.includes(this.#widened) ? [...sets, this.#widened] : sets;
    for (const set of known) this.#runsWith(set);
    if (sets.length === 1) this.#starts('queued', sets[0]!, this.#operations, 'starts');
    else
      this.all['queued'] = sets.map((set) => go(this.#wants(set), { says: set.size === 0 ? 'wants no locks' : `wants ${this.#say(set)}` }));
    if (sets.length > 1) for (const set of sets) this.#starts(this.#wants(set), set, this.#operations, 'starts');
  }

  #runsWith(set: LockSet): void {
    const { sizes, depth } = this.#options;
    for (let left = 0; left <= this.#operations; left += 1) {
      const moves: SkeletonMove[] = [];
      // A crash or a rejection ends the run; what it remembers stays, and so do its children.
      const again = this.#named('starts again', set, left);
      const woken = this.#lettingGo || set.size === 0 ? again : this.#named('starts again with its locks', set, left);
      const runs = this.#named('runs', set, left);
      const fails = [crash(again, { says: 'loses its worker to a crash' })];
      for (const name of left > 0 ? this.#permits : []) {
        const calls = this.#named(`calls ${name}`, set, left - 1);
        moves.push(acquire(permitOf(name), calls, { says: `calls ${name}` }));
        // No crash in here: giving the permit back and crashing then leads to the same state.
        this.all[calls] = [release(permitOf(name), this.#named('runs', set, left - 1), { says: `hears from ${name}` })];
      }
      for (const child of left > 0 ? this.#asks : []) {
        const asked = className({ kind: child, depth: depth + 1 });
        moves.push(spawn(asked, this.#named('runs', set, left - 1), { most: sizes.asks, says: `asks ${child}` }));
      }
      if (this.#asks.length > 0) moves.push(this.#waitsForChild(set, left, woken));
      // For a time, an event or an approval: it comes from outside, and is as good as there.
      if (set.size > 0) moves.push(this.#parks(woken, { says: 'parks until it is told, or a time has come' }));
      if (left > 0 && this.#widened !== undefined && set !== this.#widened) moves.push(this.#widens(set, this.#widened, left - 1));
      moves.push(end({ children: 'none' }), release('all', again, { spends: 'rejections', says: 'is rejected' }), ...fails);
      this.all[runs] = moves;
      this.#starts(again, set, left, 'starts again');
      if (woken !== again) this.all[woken] = [resume(this.#worker, runs, { says: `starts again on ${this.#worker}` })];
    }
  }

  #waitsForChild(set: LockSet, left: number, woken: string): SkeletonMove {
    if (!this.#parking) {
      const waits = this.#named('waits for a child', set, left);
      this.all[waits] = [join(this.#named('runs', set, left)), crash(this.#named('starts again', set, left))];
      return go(waits, { children: 'some', says: 'waits for a child on its worker' });
    }
    const parked = this.#named('parked', set, left);
    this.all[parked] = [join(woken)];
    return this.#parks(parked, { children: 'some' });
  }

  /** Gives everything back and starts again for more; or keeps what it has, and waits for the rest. */
  #widens(set: LockSet, wider: LockSet, left: number): SkeletonMove {
    const says = 'widens what it writes';
    if (this.#lettingGo || set.size === 0) return this.#parks(this.#named('starts again', wider, left), { says });
    const widens = this.#named('waits for more than its locks', set, left);
    const has = this.#needs(set);
    const lacks = Object.entries(this.#needs(wider)).flatMap(([name, count]) => {
      const more = count - (has[name] ?? 0);
      return more > 0 ? [[name, more] as const] : [];
    });
    const starts = `starts again on ${this.#worker} with ${this.#say(wider)}`;
    this.all[widens] = [resume({ [this.#worker]: 1, ...Object.fromEntries(lacks) }, this.#named('runs', wider, left), { says: starts })];
    return this.#parks(widens, { says });
  }

  #parks(to: string, options: { readonly children?: 'some'; readonly says?: string }): SkeletonMove {
    return park(this.#lettingGo ? 'all' : this.#worker, to, options);
  }

  /** The moves from `from` to a run: all that it needs at once, or one after the other. */
  #starts(from: string, set: LockSet, left: number, says: string): void {
    const runs = this.#named('runs', set, left);
    const locks = this.#needs(set);
    const starts = `${says} on ${this.#worker}`;
    if (set.size === 0) {
      this.all[from] = [acquire(this.#worker, runs, { says: starts })];
      return;
    }
    if (this.#atOnce) {
      this.all[from] = [acquire({ [this.#worker]: 1, ...locks }, runs, { says: `${starts} with ${this.#say(set)}` })];
      return;
    }
    let at = from;
    let needs = this.#worker;
    for (const [place, [name]] of [...set].entries()) {
      const next = this.#named(`${says} and has ${place} of its locks`, set, left);
      this.all[at] = [acquire(place === 0 ? needs : { [needs]: locks[needs]! }, next, { says: place === 0 ? starts : `takes ${needs}` })];
      at = next;
      needs = lockOf(name);
    }
    this.all[at] = [acquire({ [needs]: locks[needs]! }, runs, { says: `takes ${needs}` })];
  }

  #needs(set: LockSet): Readonly<Record<string, number>> {
    const { places } = this.#options.locking;
    return Object.fromEntries([...set].map(([name, mode]) => [lockOf(name), mode === 'read' ? 1 : places.get(name)!]));
  }

  #say(set: LockSet): string {
    return listNeeds(Object.fromEntries([...set].map(([name, mode]) => [mode === 'read' ? `${lockOf(name)} to read` : lockOf(name), 1])));
  }

  #wants(set: LockSet): string {
    return set.size === 0 ? 'queued, wants no locks' : `queued, wants ${this.#say(set)}`;
  }

  /** What a task wants and how many operations its run has left are part of a state. */
  #named(state: string, set: LockSet, left: number): string {
    const wants = this.#isOnlySet || set.size === 0 ? '' : ` (${this.#say(set)})`;
    return `${state}${wants}${left === 0 ? '' : `, ${left} to go`}`;
  }
}

function covers(set: LockSet, other: LockSet): boolean {
  return [...other].every(([name, mode]) => set.get(name) === 'write' || set.get(name) === mode);
}
