/**
 * Virtual world: the clock, the disk, the dependencies and the one process of a virtual fleet. Time is let
 * pass here, and whenever nothing moves the invariants get their look.
 */
import { seededRandom } from '../../../actors/kernel/random.ts';
import type { Random } from '../../../actors/kernel/random.ts';
import type { Topology } from '../../topology/fleet.ts';
import { SimulationStuckError } from '../errors.ts';
import type { Invariant } from '../invariants/invariant.ts';
import { inMemory } from '../simulate/in-memory.ts';
import type { FaultPlan } from '../simulate/fault-plan.ts';
import { Faults } from '../simulate/faults.ts';
import type { SimulationInternals } from '../simulate/internals.ts';
import type { SimulationPlan } from '../simulate/options.ts';
import { SimulatedProcess } from '../simulate/process.ts';
import { Scene } from '../simulate/scene.ts';
import { Provider } from '../simulate/stand-in.ts';
import { substitute } from '../simulate/substitute.ts';
import type { Watch } from '../simulate/watched-run.ts';
import { sampling, scheduled } from '../transports.ts';
import type { Choosing } from '../transports.ts';
import { VirtualClock } from '../virtual-clock.ts';

const START_MS = 1_750_000_000_000;
const MOST_WAKES_AT_ONCE = 100_000;

export class VirtualWorld {
  readonly scene: Scene;
  readonly providers = new Map<string, Provider>();
  process: SimulatedProcess | undefined;
  readonly #plan: SimulationPlan;
  readonly #internals: SimulationInternals;
  readonly #random: Random;
  readonly #clock = new VirtualClock(START_MS);
  readonly #disk = inMemory();
  readonly #watch: Watch;
  readonly #topology: Topology;
  readonly #faults: Faults;
  /** One for all processes: it goes on where the last one was. */
  readonly #schedule: Choosing | undefined;
  #healed = false;
  /** Wake-ups since time last moved. */
  #wakes = 0;
  /** Whoever lets time pass: one after the other. */
  #line: Promise<unknown> = Promise.resolve();

  constructor(topology: Topology, plan: SimulationPlan, invariants: readonly Invariant[], internals: SimulationInternals) {
    this.#plan = plan;
    this.#internals = internals;
    this.#schedule = plan.schedule === undefined ? undefined : scheduled(plan.schedule);
    this.#random = seededRandom(`virtual-fleet/${plan.seed}`);
    internals.onClock?.(this.#clock);
    const nowMs = (): number => this.process?.clock.nowMs() ?? this.#clock.nowMs();
    this.scene = new Scene(topology, invariants, this.#disk, nowMs, false);
    this.#watch = { scene: this.scene, operations: 0, marking: false, runs: new Map() };
    const faults = plan.faults as FaultPlan;
    const standIn = (name: string, dependency: Topology['dependencies'][string]) => {
      const random = this.#random.fork(`provider/${name}`);
      const provider = new Provider(
        name,
        dependency,
        plan.provider[name] ?? {},
        random,
        this.scene,
        faults.calls ?? {},
        () => this.process,
      );
      this.providers.set(name, provider);
      return provider.dependency();
    };
    this.#topology = substitute(
      topology,
      standIn,
      this.#watch,
      () => this.process,
      () => undefined,
    );
    this.#faults = new Faults(faults, this.#random, 0, {
      topology,
      scene: this.scene,
      world: this.#clock,
      process: () => this.process,
      // There are no strikes: those are the test's own.
      restart: () => {},
      stall: () => {},
    });
  }

  /** Virtual time since the start. */
  get nowMs(): number {
    return this.#clock.nowMs() - START_MS;
  }

  /** A process on what the last one left. Nothing of it has run yet. */
  make(): SimulatedProcess {
    const index = this.scene.statistics.processes + 1;
    const random = this.#random.fork(`process-${index}`);
    const raw = this.#disk.store();
    const process: SimulatedProcess = new SimulatedProcess({
      index,
      topology: this.#topology,
      store: this.#internals.store?.(raw) ?? raw,
      world: this.#clock,
      random,
      scene: this.scene,
      choosing: this.#choosing(random.fork('transport')),
      internals: this.#internals,
      messages: () => this.#faults.messages,
      faults: this.#faults.store,
      onChoice: undefined,
      onFailed: () => {
        if (process !== this.process) return;
        this.scene.struck('gave-up');
        this.bury(process);
      },
    });
    return process;
  }

  /** Ends the process as `kill -9` would. */
  kill(process: SimulatedProcess): void {
    this.scene.struck('kill');
    this.bury(process);
  }

  /** Whatever of it still runs has no effect any more. */
  bury(process: SimulatedProcess): void {
    process.kill();
    this.#disk.crash();
    for (const provider of this.providers.values()) provider.disconnect();
    this.scene.see({ at: 'process.killed' });
    this.process = undefined;
  }

  /** Nothing goes wrong any more, and deliveries are fair. */
  heal(): void {
    this.#healed = true;
    this.#faults.heal();
    for (const provider of this.providers.values()) provider.heal();
    this.process?.heal(sampling('fair', this.#random.fork('healed')));
    this.scene.see({ at: 'scene.healed' });
  }

  /** Lets time pass until `isOver`, then true, or for so long, then false. One after the other, when several ask for it at once. */
  pass(ms: number, isOver: () => boolean): Promise<boolean> {
    const mine = this.#line.then(() => this.#pass(this.#clock.nowMs() + ms, isOver));
    this.#line = mine.catch(() => {});
    return mine;
  }

  async #pass(untilMs: number, isOver: () => boolean): Promise<boolean> {
    for (;;) {
      await this.#quiet();
      if (isOver()) return true;
      const dueMs = this.#clock.nextDueMs;
      const nowMs = this.#clock.nowMs();
      if (dueMs === undefined || dueMs > untilMs) {
        this.#clock.advanceTo(Math.max(nowMs, untilMs));
        return false;
      }
      if (dueMs > nowMs) this.#timePasses();
      else if ((this.#wakes += 1) > MOST_WAKES_AT_ONCE) throw this.#stuck();
      this.#clock.fireNext();
    }
  }

  /** Everything that is under way without time passing; then a look at what must hold. */
  async #quiet(): Promise<void> {
    do await nextTurn();
    while (this.process?.transport.isMoving === true);
    const { fatal } = this.scene;
    if (fatal !== undefined) throw fatal.error;
    if (this.process?.isDoomed === true) this.kill(this.process);
    if (this.process?.fleet !== undefined) this.scene.see({ at: 'scene.still', look: this.process.look });
  }

  #timePasses(): void {
    this.#wakes = 0;
    this.#watch.operations = 0;
    this.process?.timePasses();
  }

  #stuck(): SimulationStuckError {
    return new SimulationStuckError({ atMs: this.nowMs, what: 'wake-ups', limit: MOST_WAKES_AT_ONCE, place: undefined });
  }

  #choosing(random: Random): Choosing {
    if (this.#healed) return sampling('fair', random);
    return this.#schedule ?? sampling(this.#plan.sampler ?? 'random', random);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
