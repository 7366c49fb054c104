/** Faults: what goes wrong in one simulation, until it heals. Carries out what the plan says. */
import type { Random } from '../../../actors/kernel/random.ts';
import type { ActorId } from '../../../actors/kernel/effects.ts';
import { limiterOf, queueOf, workerOf } from '../../runtime/tree.ts';
import type { Topology } from '../../topology/fleet.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import { strikesOf } from './fault-plan.ts';
import type { CommitPoint, FaultPlan, MessagePlan, Strike } from './fault-plan.ts';
import { COMMIT_POINTS } from './faulty-store.ts';
import type { Command, StoreFault, StoreFaults } from './faulty-store.ts';
import type { SimulatedProcess } from './process.ts';
import type { Scene } from './scene.ts';

/** Where faults strike. */
export interface Stage {
  readonly topology: Topology;
  readonly scene: Scene;
  readonly world: VirtualClock;
  /** The process that is there; undefined between two of them. */
  process(): SimulatedProcess | undefined;
  /** Closes it in order and starts another one. */
  restart(process: SimulatedProcess, deadlineMs: number): void;
  /** Lets the process stand still, once nothing moves. */
  stall(ms: number): void;
}

const LONGEST_STALL_MS = 12_000;
const LONGEST_OUTAGE_MS = 20_000;
const LONGEST_SUSPENSION_MS = 15_000;
const LONGEST_DRAIN_MS = 500;
/** A process that is killed lives for so many more deliveries at most: it may die in the middle of a burst. */
const LAST_DELIVERIES = 40;

const NO_FAULTS: MessagePlan = {};
const NO_DELAYS = [0, 0] as const;

export class Faults {
  /** Blows that are still to come. */
  strikesLeft: number;
  /** For the stores of all processes. */
  readonly store: StoreFaults;
  readonly #plan: FaultPlan;
  readonly #stage: Stage;
  readonly #random: Random;
  #outageUntilMs = -Infinity;
  /** Where the process is to die, each once. */
  readonly #points: { readonly command: CommitPoint; readonly side: 'before' | 'after' }[] = [];
  #healed = false;

  constructor(plan: FaultPlan, random: Random, durationMs: number, stage: Stage) {
    this.#plan = plan;
    this.#stage = stage;
    this.#random = random.fork('strikes');
    this.store = this.#storeFaults(random.fork('store'));
    const strikes = strikesOf(plan, this.#random, durationMs);
    this.strikesLeft = strikes.length;
    const startMs = stage.world.nowMs();
    for (const strike of strikes) {
      stage.world.wakeAt(startMs + strike.atMs, () => {
        this.strikesLeft -= 1;
        if (!this.#healed) this.#strike(strike);
      });
    }
  }

  get messages(): MessagePlan {
    return this.#healed ? NO_FAULTS : (this.#plan.messages ?? NO_FAULTS);
  }

  /** Nothing goes wrong any more. */
  heal(): void {
    this.#healed = true;
    this.#points.length = 0;
  }

  #strike(strike: Strike): void {
    const { scene, world, topology } = this.#stage;
    if (strike.at === 'store-outage') {
      this.#outageUntilMs = world.nowMs() + (strike.ms ?? this.#random.next() * LONGEST_OUTAGE_MS);
      return scene.struck(strike.at);
    }
    if (strike.at === 'commit-point') {
      const command = strike.command ?? COMMIT_POINTS[this.#random.int(COMMIT_POINTS.length)]!;
      this.#points.push({ command, side: strike.side ?? (this.#random.int(2) === 0 ? 'before' : 'after') });
      return;
    }
    const process = this.#stage.process();
    if (process?.fleet === undefined) return;
    switch (strike.at) {
      case 'worker-crash':
        process.crash(this.#workerOf(strike), { type: 'worker.fail', error: new Error('the worker breaks') });
        break;
      case 'worker-suspend':
        process.suspend(this.#workerOf(strike), strike.ms ?? this.#random.next() * LONGEST_SUSPENSION_MS);
        break;
      case 'scale': {
        const kind = strike.kind ?? this.#oneOf(topology.kinds);
        const { mostReplicas = 1, autoscale } = topology.kinds[kind] ?? {};
        const least = autoscale?.min ?? 1;
        process.scale(kind, strike.replicas ?? least + this.#random.int(mostReplicas - least + 1));
        break;
      }
      case 'queue-crash':
        process.crash(queueOf(topology, strike.kind ?? this.#oneOf(topology.kinds)), { type: 'queue.claimed', tasks: null, asked: 0 });
        break;
      case 'limiter-crash': {
        if (Object.keys(topology.dependencies).length === 0) return;
        const nonsense = { type: 'limiter.acquire', replyTo: -1, ticket: -1, flow: 'crash', tokens: -1 };
        process.crash(limiterOf(topology, strike.dependency ?? this.#oneOf(topology.dependencies)), nonsense);
        break;
      }
      case 'kill':
        // Noted when it happens.
        return process.doom(this.#random.int(LAST_DELIVERIES));
      case 'restart':
        this.#stage.restart(process, strike.deadlineMs ?? this.#random.int(LONGEST_DRAIN_MS));
        break;
      case 'stall':
        this.#stage.stall(strike.ms ?? this.#random.next() * LONGEST_STALL_MS);
        break;
      case 'clock-step':
        process.clock.step(strike.ms ?? this.#random.next() * LONGEST_STALL_MS);
        break;
    }
    scene.struck(strike.at);
  }

  #workerOf(strike: { readonly kind?: string; readonly replica?: number }): ActorId {
    const { topology } = this.#stage;
    const kind = strike.kind ?? this.#oneOf(topology.kinds);
    return workerOf(topology, kind, strike.replica ?? this.#random.int(topology.kinds[kind]?.replicas ?? 1));
  }

  #storeFaults(random: Random): StoreFaults {
    const { failBefore = 0, failAfter = 0, failUnknown = 0, lostHeartbeats = 0, delayMs = 0, ordered = false } = this.#plan.store ?? {};
    const fails = failBefore + failAfter + failUnknown > 0;
    const struck = <T extends StoreFault>(fault: string, outcome: T): T => {
      this.#stage.scene.struck(fault);
      return outcome;
    };
    const fault: StoreFaults['fault'] = (command) => {
      // An owner that is refused must not be taken for a fleet that cannot start.
      if (this.#healed || command === 'open' || command === 'close') return undefined;
      const point = this.#points.length === 0 ? undefined : this.#takePoint(command);
      if (point !== undefined) return struck(`dies-${point}`, `dies-${point}`);
      if (this.#stage.world.nowMs() < this.#outageUntilMs) return 'before';
      if (command === 'renew' && lostHeartbeats > 0 && random.next() < lostHeartbeats) return struck('lost-heartbeat', 'before');
      if (!fails) return undefined;
      const drawn = random.next();
      if (drawn < failBefore) return struck('store-before', 'before');
      if (drawn < failBefore + failAfter) return struck('store-after', 'after');
      if (drawn < failBefore + failAfter + failUnknown) return struck('store-unknown', random.int(2) === 0 ? 'before' : 'after');
      return undefined;
    };
    const drawDelays = () => (this.#healed ? NO_DELAYS : ([random.next() * delayMs, random.next() * delayMs] as const));
    return { fault, delays: delayMs === 0 ? undefined : drawDelays, ordered };
  }

  #takePoint(command: Command): 'before' | 'after' | undefined {
    const at = this.#points.findIndex((point) => point.command === command);
    return at < 0 ? undefined : this.#points.splice(at, 1)[0]!.side;
  }

  #oneOf(named: object): string {
    const names = Object.keys(named);
    return names[this.#random.int(names.length)]!;
  }
}
