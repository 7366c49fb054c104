/**
 * Simulated process: one fleet on the simulation's store, with its own clock, transport and calls.
 * Killed, it is as if it had never been, but for what it committed.
 */
import { pino } from 'pino';
import type { Host } from '../../../actors/host/host.ts';
import type { Envelope } from '../../../actors/host/transport.ts';
import { countingIds } from '../../../actors/kernel/ids.ts';
import type { ActorId, Message, OwnEffect } from '../../../actors/kernel/effects.ts';
import type { Random } from '../../../actors/kernel/random.ts';
import type { LimiterMessage, LimiterReply } from '../../../actors/admission/limiter.ts';
import type { Store } from '../../../actors/ports/store.ts';
import type { QueueEffect, QueueState } from '../../../actors/queue.ts';
import { startFleetWith } from '../../runtime/fleet.ts';
import type { Fleet } from '../../runtime/fleet.ts';
import { limiterOf, queueOf } from '../../runtime/tree.ts';
import type { Topology } from '../../topology/fleet.ts';
import type { Leftovers, Look } from '../invariants/fact.ts';
import { SimulationStuckError } from '../errors.ts';
import { ProcessClock } from '../process-clock.ts';
import { ChannelTransport } from '../transports.ts';
import type { Choosing } from '../transports.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import { faultyStore } from './faulty-store.ts';
import type { StoreFaults } from './faulty-store.ts';
import type { MessagePlan } from './fault-plan.ts';
import type { SimulationInternals } from './internals.ts';
import type { Scene } from './scene.ts';
import type { Caller } from './stand-in.ts';
import { waitSceneOf } from './wait-scene.ts';
import type { WatchedRun } from './watched-run.ts';

/** Where a message goes that only sets the host going again: nobody lives there. */
const NOBODY = 'simulation~nobody';
const MOST_DELIVERIES_AT_ONCE = 1_000_000;

export interface ProcessOptions {
  /** Which process of the simulation, from 1. */
  readonly index: number;
  readonly topology: Topology;
  readonly store: Store;
  readonly world: VirtualClock;
  readonly random: Random;
  readonly scene: Scene;
  readonly choosing: Choosing;
  readonly internals: SimulationInternals;
  /** Asked for each message, so that healing is felt at once. */
  readonly messages: () => MessagePlan;
  readonly faults: StoreFaults;
  /** Told of each choice among several. */
  readonly onChoice: ((choice: number) => void) | undefined;
  readonly onFailed: () => void;
}

export class SimulatedProcess implements Caller {
  readonly clock: ProcessClock;
  readonly transport: ChannelTransport;
  /** Runs of this process whose function has not returned. */
  readonly runs = new Map<string, WatchedRun>();
  /** What may be looked at while nothing moves. */
  readonly look: Look;
  isAlive = true;
  fleet: Fleet | undefined;
  host: Host | undefined;
  /** As the fleet has it, with its faults; undefined until it starts. */
  store: Store | undefined;
  readonly #options: ProcessOptions;
  /** What the world does for this process: never set ahead, gone with it. */
  readonly #outside: ProcessClock;
  /** Deliveries since time last moved. */
  #atOnce = 0;
  #deliveriesLeft = Infinity;
  /** Questions to limiters that are open. */
  /** Asked to stop, and it knows. */
  readonly #stopping = new Set<ActorId>();
  readonly #asks = new Map<number, string>();

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.clock = new ProcessClock(options.world);
    this.#outside = new ProcessClock(options.world);
    this.transport = new ChannelTransport(options.choosing, this.#hooks(options.random.fork('messages')));
    this.look = lookInto(this, options);
  }

  async start(): Promise<void> {
    const { topology, store, random, index, internals, scene, faults } = this.#options;
    scene.statistics.processes += 1;
    const versions = Object.fromEntries(Object.entries(topology.kinds).map(([kind, plan]) => [kind, plan.version]));
    scene.see({ at: 'process.started', versions });
    const sleep = (ms: number): Promise<void> => new Promise((resolve) => this.after(ms, resolve));
    const seen: StoreFaults = {
      ...faults,
      isGone: () => !this.isAlive,
      die: () => this.#die(),
      committed: (command, items, reply, nowMs) => scene.committed(command, items, reply, nowMs),
    };
    const { parts, parking } = internals;
    this.store = faultyStore(store, seen, sleep);
    const fleet = await startFleetWith(
      topology,
      {
        store: this.store,
        clock: this.clock,
        random: random.fork('fleet'),
        ids: countingIds(`p${index}-task`),
        transport: this.transport as never,
        logger: pino({ level: 'silent' }),
      },
      {
        onHost: (host) => this.#takeHold(host),
        isolation: false,
        ...(parts === undefined ? {} : { parts }),
        ...(parking === undefined ? {} : { parking }),
      },
    );
    fleet.events.on('worker.restarting', ({ worker }) => {
      const cut = worker.lastIndexOf('/');
      scene.see({ at: 'supervisor.restarting', supervisor: worker.slice(0, cut), child: worker.slice(cut + 1) });
    });
    fleet.events.on('worker.suspended', ({ worker }) => {
      const running = [...this.runs.values()].filter(({ run }) => run.worker === worker && run.over === undefined).length;
      scene.see({ at: 'worker.suspended', worker, running });
    });
    fleet.events.on('breaker.moved', ({ dependency, at }) => scene.see({ at: 'breaker.moved', dependency, to: at }));
    fleet.events.on('worker.resumed', ({ worker }) => scene.see({ at: 'worker.resumed', worker }));
    fleet.events.on('fleet.failed', this.#options.onFailed);
    this.fleet = fleet;
  }

  after(ms: number, fire: () => void): void {
    this.#outside.wakeAt(this.#outside.nowMs() + ms, fire);
  }

  fenceOf(task: string): number | undefined {
    return this.runs.get(task)?.task.fence;
  }

  /** Dead after so many more deliveries, in the middle of whatever it does then. */
  doom(deliveries: number): void {
    this.#deliveriesLeft = deliveries;
  }

  /** Dead at once: whatever else is on its way to the store does not come there. */
  #die(): void {
    this.isAlive = false;
    this.#deliveriesLeft = 0;
    this.transport.freeze();
  }

  get isDoomed(): boolean {
    return this.#deliveriesLeft <= 0;
  }

  /** Ends as `kill -9` would end it: nothing is handed back, nobody is told. */
  kill(): void {
    this.isAlive = false;
    this.transport.freeze();
    this.clock.stop();
    this.#outside.stop();
    this.host?.close();
    this.runs.clear();
  }

  heal(choosing: Choosing): void {
    if (!this.isDoomed) this.#deliveriesLeft = Infinity;
    this.transport.choosing = choosing;
    this.transport.releaseAll();
    this.#poke();
  }

  /** Makes an actor throw in its next turn. */
  crash(id: ActorId, message: object): void {
    this.host?.send(id, message as Message, 'control');
  }

  /** As an operator: refused by a fleet that closes, and that is no fault of anybody's. */
  suspend(worker: ActorId, ms: number): void {
    const { fleet } = this;
    const ignore = (): void => {};
    fleet?.suspend(worker).catch(ignore);
    this.after(ms, () => void fleet?.resume(worker).catch(ignore));
  }

  scale(kind: string, replicas: number): void {
    this.fleet?.scale(kind, replicas).catch(() => {});
  }

  leftovers(): Leftovers {
    const pending = this.host?.pending ?? { messages: 0, timers: 0, asks: 0 };
    return { ...pending, actors: this.host?.actorCount ?? 0, wakes: this.clock.pending };
  }

  #poke(): void {
    this.host?.send(NOBODY, { type: 'simulation.poke' });
  }

  #hooks(random: Random) {
    const { scene, messages, topology, onChoice } = this.#options;
    const limiters = limiterOf(topology, '');
    return {
      isLost: ({ message }: Envelope): boolean => {
        const { lostNotifications = 0 } = messages();
        if (lostNotifications === 0 || message.type !== 'queue.ready' || random.next() >= lostNotifications) return false;
        scene.struck('lost-notification');
        return true;
      },
      holdMs: (): number => {
        const { delayed = 0, delayMs = 1_000 } = messages();
        if (delayed === 0 || random.next() >= delayed) return 0;
        scene.struck('delay');
        return 1 + random.next() * delayMs;
      },
      wake: (inMs: number, release: () => void): void =>
        this.after(inMs, () => {
          release();
          this.#poke();
        }),
      onChoice,
      onDelivery: ({ toId, message }: Envelope, choice: number): void => {
        scene.statistics.deliveries += 1;
        scene.note(1, `${toId} ${message.type}`, choice);
        if (message.type === 'stop.requested') this.#stopping.add(toId);
        if (message.type === 'limiter.acquire') {
          const {
            replyTo,
            ticket,
            tenant = '',
            flow,
            priority = 0,
            input,
            output,
          } = message as Extract<LimiterMessage, { type: 'limiter.acquire' }>;
          // One that was lost with a limiter before it arrived is taken by nobody.
          const who = this.#asks.get(replyTo);
          const dependency = toId.slice(limiters.length);
          if (who !== undefined)
            scene.see({ at: 'limiter.asked', dependency, ask: replyTo, ticket, who, tenant, flow, priority, tokens: input + output });
        }
        if (message.type === 'limiter.raise') {
          const { ticket, priority } = message as Extract<LimiterMessage, { type: 'limiter.raise' }>;
          scene.see({ at: 'limiter.raised', dependency: toId.slice(limiters.length), ticket, priority });
        }
        this.#deliveriesLeft -= 1;
        if (this.#deliveriesLeft <= 0) this.transport.freeze();
        this.#atOnce += 1;
        if (this.#atOnce > MOST_DELIVERIES_AT_ONCE) this.#goesRound(`${message.type} to ${toId}`);
      },
    };
  }

  timePasses(): void {
    this.#atOnce = 0;
  }

  /** Found here, and not by the world: where one delivery leads to the next in microtasks alone, nobody else gets a turn. */
  #goesRound(last: string): void {
    const { scene } = this.#options;
    const what = `deliveries, such as ${last}`;
    scene.fail(new SimulationStuckError({ atMs: scene.nowMs, what, limit: MOST_DELIVERIES_AT_ONCE, place: undefined }));
    this.transport.freeze();
  }

  /** Sees what the host is asked for, before it does it. */
  #takeHold(host: Host): void {
    this.host = host;
    const { scene, topology, internals } = this.#options;
    const { spawn, stop, expect, close } = host;
    const siblings = new Map<string, string[]>();
    const work = queueOf(topology, '');
    const limiters = limiterOf(topology, '');
    host.spawn = (spec) => {
      const { id, incarnation = 0 } = spec;
      const parent = parentOf(id);
      this.#stopping.delete(id);
      if (siblings.get(parent)?.includes(id) !== true) siblings.set(parent, [...(siblings.get(parent) ?? []), id]);
      scene.see({ at: 'actor.spawned', id, incarnation, wasAlive: host.isAlive(id) });
      const perform = spec.perform;
      if (perform === undefined || !id.startsWith(work)) return spawn.call(host, spec);
      const seen = (effect: OwnEffect, self: ActorId): void => {
        if (effect.type === 'queue.stole')
          this.#stole(id.slice(work.length), effect as Extract<QueueEffect, { type: 'queue.stole' }>, self);
        perform(effect, self);
      };
      return spawn.call(host, { ...spec, perform: seen });
    };
    host.stop = (id, deadlineMs) => {
      // One that is suspended or scaled away stops by itself; those of a supervisor that stops go in order.
      const family = this.#stopping.has(parentOf(id)) ? (siblings.get(parentOf(id)) ?? []) : [];
      const later = family.slice(family.indexOf(id) + 1).filter((other) => host.isAlive(other));
      scene.see({ at: 'actor.stopping', id, later });
      stop.call(host, id, deadlineMs);
    };
    host.close = () => {
      close.call(host);
      // What is held up would be let go to nobody, and never be delivered.
      this.transport.freeze();
    };
    host.expect = (asker) => {
      if (!asker.asked.startsWith(limiters)) return expect.call(host, asker);
      const dependency = asker.asked.slice(limiters.length);
      const ask = expect.call(host, {
        asked: asker.asked,
        answered: (reply: never) => {
          this.#asks.delete(ask);
          scene.see({ at: 'limiter.answered', dependency, ask, reply: reply as LimiterReply });
          asker.answered(reply);
        },
        lost: () => {
          this.#asks.delete(ask);
          asker.lost?.();
        },
      });
      this.#asks.set(ask, (asker as { readonly who?: string }).who ?? '');
      return ask;
    };
    internals.onHost?.(host);
  }

  #stole(kind: string, { thief, victim, count }: Extract<QueueEffect, { type: 'queue.stole' }>, self: ActorId): void {
    const { scene } = this.#options;
    scene.statistics.stolen += count;
    const { state } = this.host!.snapshotOf(self) as { readonly state: QueueState };
    const slot = state.slots.find(({ worker }) => worker === victim);
    // What has no room in its mailbox is its own all the same.
    const left = slot === undefined ? 0 : slot.mailbox.length + slot.spilled;
    scene.see({ at: 'mailbox.stolen', kind, steal: { atMs: scene.nowMs, thief, victim, count }, left });
  }
}

function lookInto(process: SimulatedProcess, { scene, topology, internals }: ProcessOptions): Look {
  const stateOf = (id: ActorId): unknown => (process.host?.snapshotOf(id) as { readonly state?: unknown } | undefined)?.state;
  const look: Look = {
    counts: () => scene.counts(),
    task: (id) => scene.task(id),
    limiter: (name) => stateOf(limiterOf(topology, name)) as ReturnType<Look['limiter']>,
    queue: (kind) => stateOf(queueOf(topology, kind)) as ReturnType<Look['queue']>,
    unfinished: scene.unfinished,
    get load() {
      return process.fleet?.load;
    },
    waits: () => waitSceneOf(topology, look, process.runs, internals.parking ?? true),
  };
  return look;
}

function parentOf(id: ActorId): ActorId {
  return id.slice(0, Math.max(0, id.lastIndexOf('/')));
}
