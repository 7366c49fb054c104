/**
 * Standstill: how a run stood when it was given up, and for whom. What has not ended after the whole
 * time to heal is looked at in the second half of that time:
 *
 *   - Nothing moved: a deadlock.
 *   - Whoever has not ended began runs, calls or steps, over and over: a livelock.
 *   - Some moved, or even ended, and others did nothing: those starve.
 */
import type { Invariant } from '../invariants/invariant.ts';
import type { Look } from '../invariants/fact.ts';
import type { Violation } from '../simulate/result.ts';
import type { ViolationKind } from '../explore/check.ts';
import { sayWait } from '../waits/wait-graph.ts';

/** Who did not end is said of so many. */
const MOST_SAID = 12;

export class Standstill {
  readonly #afterMs: number;
  #healedMs = Infinity;
  /** In the second half of healing: runs, calls and steps that began, by task; tasks that ended; actors that were started. */
  readonly #moved = new Set<string>();
  #ended = 0;
  #spawned = 0;
  #stuck: readonly string[] = [];
  #says: readonly string[] = [];
  #isOver = false;
  #lastSpawned: string | undefined;
  #lastStopped: string | undefined;
  /** Who has asked a limiter and has no answer, and to whom its last permits went: by worker. */
  readonly #asking = new Map<number, { readonly who: string; readonly dependency: string }>();
  readonly #granted = new Map<string, string>();

  constructor(healMs: number) {
    this.#afterMs = healMs / 2;
  }

  /** Sees all of it, and is never broken. */
  readonly invariant: Invariant = {
    name: 'standstill',
    promise: 'none: it only looks',
    check: (topology) => {
      const moves = ({ task }: { readonly task: string }, atMs: number): void => {
        if (this.#isLate(atMs)) this.#moved.add(task);
      };
      return {
        'scene.healed': (_fact, atMs) => void (this.#healedMs = atMs),
        'run.began': moves,
        'call.began': moves,
        'step.began': moves,
        'client.told': (_fact, atMs) => {
          if (this.#isLate(atMs)) this.#ended += 1;
        },
        'actor.stopping': ({ id }) => void (this.#lastStopped = id),
        'actor.spawned': ({ id }, atMs) => {
          this.#lastSpawned = id;
          if (this.#isLate(atMs)) this.#spawned += 1;
        },
        'limiter.asked': ({ ask, who, dependency }) => void this.#asking.set(ask, { who, dependency }),
        'limiter.answered': ({ ask, dependency, reply }) => {
          const asked = this.#asking.get(ask);
          this.#asking.delete(ask);
          if (asked !== undefined && reply.at === 'granted') this.#granted.set(dependency, asked.who);
        },
        'process.killed': () => this.#asking.clear(),
        'scene.over': ({ look }) => {
          this.#isOver = true;
          this.#stuck = [...look.unfinished];
          this.#says = this.#sayAll(look, Object.keys(topology.dependencies));
        },
      };
    },
  };

  /** What each one that had not ended waits for, one sentence a task; of a fleet that did not start or close, who was the last to be told to. */
  tell({ invariant }: Violation): readonly string[] {
    if (invariant === 'L7') return [`the last one to be told to stop is ${this.#lastStopped ?? 'nobody'}`];
    if (invariant !== 'L1') return [];
    return this.#isOver ? this.#says : [`the last actor to be started is ${this.#lastSpawned ?? 'none'}`];
  }

  /** What a violation of this run is called. */
  kindOf({ invariant, message }: Violation): ViolationKind | 'invariant' {
    if (invariant === 'waits') return 'deadlock';
    if (invariant === 'L5') return 'starvation';
    if (invariant === 'L7') return message.startsWith('the fleet does not close') ? 'deadlock' : 'invariant';
    if (invariant !== 'L1') return 'invariant';
    if (this.#stuck.length === 0) return this.#spawned === 0 ? 'deadlock' : 'livelock';
    const moving = this.#stuck.filter((id) => this.#moved.has(id)).length;
    if (moving === this.#stuck.length) return 'livelock';
    return moving === 0 && this.#ended === 0 ? 'deadlock' : 'starvation';
  }

  #isLate(atMs: number): boolean {
    return atMs >= this.#healedMs + this.#afterMs;
  }

  #sayAll(look: Look, dependencies: readonly string[]): readonly string[] {
    const scene = look.waits();
    const waits = [...scene.tasks.values()].slice(0, MOST_SAID).map(({ id, kind, holds }) => {
      const dependency = [...this.#asking.values()].find(({ who }) => who === holds)?.dependency;
      if (holds === undefined || dependency === undefined) return sayWait(scene, id);
      return `task ${id} (${kind}) holds worker ${holds} and waits for a permit of ${dependency}`;
    });
    const permits = dependencies.flatMap((name) => {
      const limiter = look.limiter(name);
      if (limiter === undefined || limiter.inFlight === 0 || limiter.line.size === 0) return [];
      const last = this.#granted.get(name);
      return [`${limiter.inFlight} permits of ${name} are out, the last one went to ${last ?? 'nobody who is known'}`];
    });
    return [...waits, ...permits];
  }
}
