/**
 * Simulation: one world in which a fleet runs, fails, and has to heal.
 *
 *     faults and work, `durationMs` ──▶ heal: no faults, fair ──▶ everything has ended ──▶ closed
 *
 * A step of the world: everything that can happen without time passing happens (deliveries, promises);
 * then what holds is looked at; then time jumps to the next thing that is due. Processes come and go;
 * the world's clock, the store behind them and the dependencies stay.
 */
import { seededRandom } from '../../../actors/kernel/random.ts';
import type { Random } from '../../../actors/kernel/random.ts';
import type { Store } from '../../../actors/ports/store.ts';
import type { AnyDependency } from '../../topology/dependency.ts';
import type { Topology } from '../../topology/fleet.ts';
import { SimulationCallbackError, SimulationStuckError } from '../errors.ts';
import { placeOf } from '../place.ts';
import type { Invariant } from '../invariants/invariant.ts';
import type { Scope } from '../nondeterminism.ts';
import { sampling, scheduled } from '../transports.ts';
import type { Choosing, Sampler } from '../transports.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { Client } from './client.ts';
import { drawFaults } from './fault-plan.ts';
import type { FaultPlan } from './fault-plan.ts';
import { Faults } from './faults.ts';
import { Findings } from './findings.ts';
import { inMemory } from './in-memory.ts';
import type { SimulatedDisk, SimulationInternals } from './internals.ts';
import { checkActs } from './options.ts';
import type { SimulationPlan } from './options.ts';
import { Outside } from './outside.ts';
import type { OutsideAct } from './outside.ts';
import { SimulatedProcess } from './process.ts';
import type { SimulationResult } from './result.ts';
import { Scene } from './scene.ts';
import { Provider } from './stand-in.ts';
import { substitute } from './substitute.ts';
import type { Watch } from './watched-run.ts';

export const START_MS = 1_750_000_000_000;

const SAMPLERS: readonly Sampler[] = ['random', 'pos', 'pct', 'fair'];
/** Between the last end and the last look: what is on its way home arrives. */
const HOMECOMING_MS = 6_000;
const CLOSING_MS = 120_000;
/** A supervisor of the process starts another one so soon. */
const REVIVAL_MS = 1_000;
/** At first everything is looked at after every step; later, after one in so many. */
const CLOSE_LOOKS = 2_000;
const LOOK_EVERY = 32;
/** Steps until other work of the event loop gets a turn. */
const STEPS_A_TURN = 512;
const MOST_STEPS_AT_ONCE = 100_000;
/** Runs that wait for something of their own are looked for so often. */
const WAITS_EVERY_MS = 50;

export class Simulation {
  readonly scene: Scene;
  readonly findings: Findings;
  readonly #plan: SimulationPlan;
  readonly #internals: SimulationInternals;
  readonly #random: Random;
  readonly #world = new VirtualClock(START_MS);
  readonly #disk: SimulatedDisk;
  readonly #topology: Topology;
  readonly #substitute: (topology: Topology, standIn: (name: string, dependency: AnyDependency) => AnyDependency) => Topology;
  readonly #faultPlan: FaultPlan;
  readonly #faults: Faults;
  readonly #providers = new Map<string, Provider>();
  readonly #client: Client;
  readonly #outside: Outside;
  readonly #watch: Watch;
  readonly #choices: number[] = [];
  /** One for all processes: the next one goes on where the last one ended. */
  readonly #schedule: Choosing | undefined;
  #process: SimulatedProcess | undefined;
  /** A process is on its way. */
  #reviving = false;
  #healed = false;
  #closing = false;
  #stallMs = 0;
  #steps = 0;
  /** Steps since time last moved. */
  #stepsAtOnce = 0;
  #waitsLookedMs = 0;

  constructor(topology: Topology, plan: SimulationPlan, invariants: readonly Invariant[], internals: SimulationInternals) {
    this.#plan = plan;
    this.#internals = internals;
    this.#disk = internals.disk ?? inMemory();
    this.#random = seededRandom(`simulate/${plan.seed}`);
    this.#schedule = plan.schedule === undefined ? undefined : scheduled(plan.schedule);
    internals.onClock?.(this.#world);
    this.#faultPlan = faultPlanOf(plan, this.#random);
    this.scene = new Scene(
      topology,
      invariants,
      this.#disk,
      () => this.#process?.clock.nowMs() ?? this.#world.nowMs(),
      plan.trace === 'full',
    );
    this.findings = new Findings();
    this.#watch = {
      scene: this.scene,
      operations: 0,
      marking: plan.nondeterminism === 'report',
      runs: new Map(),
      nested: (run, what, step) => this.findings.nested(run, what, step),
      undeclared: (run, what) => this.findings.undeclared(run, what),
    };
    const scope = (task: Scope['task']): Scope | undefined => (plan.nondeterminism === 'report' ? this.findings.scope(task) : undefined);
    this.#substitute = (its, standIn) =>
      substitute(
        its,
        standIn,
        this.#watch,
        () => this.#process,
        scope,
        (kind, error) => this.findings.rejected(kind, error),
      );
    this.#topology = this.#substitute(topology, (name, dependency) => this.#standIn(name, dependency));
    this.#faults = new Faults(this.#faultPlan, this.#random, plan.durationMs, {
      topology,
      scene: this.scene,
      world: this.#world,
      process: () => this.#process,
      restart: (process, deadlineMs) => void this.#restart(process, deadlineMs).catch((error: unknown) => this.scene.fail(error)),
      stall: (ms) => (this.#stallMs += ms),
    });
    this.#client = new Client({
      workload: plan.workload,
      backlog: plan.backlog,
      random: this.#random.fork('workload'),
      world: this.#world,
      scene: this.scene,
      untilMs: START_MS + plan.durationMs,
      process: () => (this.#closing ? undefined : this.#process),
    });
    const outside = this.#random.fork('outside');
    this.#outside = new Outside({
      acts: actsOf(plan, topology, outside.fork('acts')),
      person: plan.person,
      random: outside,
      world: this.#world,
      scene: this.scene,
      process: () => (this.#closing ? undefined : this.#process),
      hasSubmitted: () => this.#client.isDone,
    });
  }

  async run(): Promise<SimulationResult> {
    const untilMs = START_MS + this.#plan.durationMs;
    this.#start();
    await this.#drive(() => this.#isDone() && this.#faults.strikesLeft === 0, untilMs);
    this.#heal();
    await this.#drive(() => this.#isDone() && this.#process?.fleet !== undefined, this.#world.nowMs() + this.#plan.healMs);
    await this.#drive(() => false, this.#world.nowMs() + HOMECOMING_MS);
    if (!this.#isCut) this.#over();
    // Closing is judged by one invariant alone.
    if (!this.#isCut && [undefined, 'L7'].includes(this.#internals.until)) await this.#close();
    return this.#result();
  }

  /** Lets go of everything, also when it could not go on to its end. */
  end(): void {
    this.#process?.kill();
  }

  // ── Steps ────────────────────────────────────────────────────────────────────────────────────

  /** Lets time pass until `isOver`, or until then. */
  async #drive(isOver: () => boolean, untilMs: number): Promise<void> {
    for (;;) {
      await this.#quiet();
      if (this.scene.fatal !== undefined) throw this.scene.fatal.error;
      if (this.#look()) continue;
      if (isOver() || this.#isCut) return;
      const dueMs = this.#world.nextDueMs;
      const nowMs = this.#world.nowMs();
      if (dueMs === undefined || dueMs > untilMs) return this.#world.advanceTo(Math.max(nowMs, untilMs));
      if (dueMs > nowMs) this.#timePasses();
      else if ((this.#stepsAtOnce += 1) > MOST_STEPS_AT_ONCE) throw this.#stuck();
      this.#world.fireNext();
    }
  }

  /** Everything that is under way without time passing. */
  async #quiet(): Promise<void> {
    this.#steps += 1;
    if (this.#steps % STEPS_A_TURN === 0) await nextTurn();
    // A tick that is asked for in a microtask comes when no microtask is left.
    await nextTick();
    while (this.#process?.transport.isMoving === true) {
      // The host yields to the event loop now and then.
      await nextTurn();
      await nextTick();
    }
  }

  #timePasses(): void {
    this.#stepsAtOnce = 0;
    this.#watch.operations = 0;
    this.#process?.timePasses();
  }

  #stuck(): SimulationStuckError {
    const detail = { atMs: this.#world.nowMs() - START_MS, what: 'wake-ups', limit: MOST_STEPS_AT_ONCE, place: undefined };
    return new SimulationStuckError(detail);
  }

  /** Nothing moves: what holds is looked at, and what was to happen at such a moment happens. True when it set something going. */
  #look(): boolean {
    const process = this.#process;
    if (process?.isDoomed === true) {
      this.#kill(process);
      return true;
    }
    if (process?.fleet !== undefined && (this.#steps < CLOSE_LOOKS || this.#steps % LOOK_EVERY === 0)) {
      this.scene.see({ at: 'scene.still', look: process.look });
    }
    this.#lookForWaits();
    if (this.#stallMs > 0) {
      this.#world.stall(this.#stallMs);
      this.#stallMs = 0;
    }
    const submitted = this.#client.pump();
    return this.#outside.pump() || submitted;
  }

  #lookForWaits(): void {
    const nowMs = this.#world.nowMs();
    if (!this.#watch.marking || this.#process === undefined || nowMs < this.#waitsLookedMs + WAITS_EVERY_MS) return;
    this.#waitsLookedMs = nowMs;
    for (const run of this.#process.runs.values()) {
      if (run.waitsElsewhere) this.findings.waits(run);
      else if (run.stuckInStep) this.findings.stuckInStep(run);
    }
  }

  /** What was looked for has been found: nothing that comes later matters. */
  get #isCut(): boolean {
    const { until } = this.#internals;
    return until !== undefined && this.scene.violations.some(({ invariant }) => invariant === until);
  }

  #isDone(): boolean {
    return this.#client.isDone && this.#outside.isDone && this.scene.unfinished.size === 0;
  }

  // ── Processes ────────────────────────────────────────────────────────────────────────────────

  #start(): void {
    this.#reviving = false;
    const index = this.scene.statistics.processes + 1;
    const random = this.#random.fork(`process-${index}`);
    const raw = this.#disk.store();
    const store: Store = this.#internals.store?.(raw) ?? raw;
    const topology = this.#deployed(index);
    const process = new SimulatedProcess({
      index,
      topology,
      store,
      world: this.#world,
      random,
      scene: this.scene,
      choosing: this.#choosing(random.fork('transport')),
      internals: this.#internals,
      messages: () => this.#faults.messages,
      faults: this.#faults.store,
      onChoice: this.#plan.trace === 'full' ? (choice) => void this.#choices.push(choice) : undefined,
      onFailed: () => this.#failed(process),
    });
    this.#process = process;
    process.start().catch((error: unknown) => this.#notStarted(process, error));
  }

  /** Stand-ins answer for all processes. */
  #deployed(index: number): Topology {
    const { deployed } = this.#internals;
    return deployed === undefined ? this.#topology : this.#substitute(deployed(index), (name) => this.#topology.dependencies[name]!);
  }

  #choosing(random: Random): Choosing {
    if (this.#healed) return sampling('fair', random);
    if (this.#schedule !== undefined) return this.#schedule;
    return sampling(this.#plan.sampler ?? SAMPLERS[random.int(SAMPLERS.length)]!, random);
  }

  /** The fleet has given up by itself: whoever looks after processes starts another one. */
  #failed(process: SimulatedProcess): void {
    if (process !== this.#process || this.#closing) return;
    this.scene.struck('gave-up');
    this.#bury(process);
    this.#revive(REVIVAL_MS);
  }

  #notStarted(process: SimulatedProcess, error: unknown): void {
    if (process !== this.#process) return;
    // A crash while it starts ends it; anything else would end every other one too.
    if (this.#healed) return this.scene.fail(error);
    this.#failed(process);
  }

  #kill(process: SimulatedProcess): void {
    this.scene.struck('kill');
    this.#bury(process);
    this.#revive(this.#random.fork(`revival-${this.scene.statistics.processes}`).next() * 2 * REVIVAL_MS);
  }

  /** Whatever of it still runs has no effect any more. */
  #bury(process: SimulatedProcess): void {
    process.kill();
    this.#disk.crash();
    for (const provider of this.#providers.values()) provider.disconnect();
    this.#client.gone(process);
    this.#outside.gone(process);
    this.scene.see({ at: 'process.killed' });
    this.#process = undefined;
  }

  #revive(inMs: number): void {
    if (this.#reviving) return;
    this.#reviving = true;
    this.#world.wakeAt(this.#world.nowMs() + inMs, () => this.#start());
  }

  async #restart(process: SimulatedProcess, deadlineMs: number): Promise<void> {
    await process.fleet?.close({ deadlineMs });
    if (process !== this.#process) return;
    this.#bury(process);
    this.#revive(0);
  }

  // ── Faults and healing ───────────────────────────────────────────────────────────────────────

  #heal(): void {
    this.#healed = true;
    this.#faults.heal();
    this.#client.stop();
    this.#outside.heal();
    for (const provider of this.#providers.values()) provider.heal();
    this.#process?.heal(sampling('fair', this.#random.fork('healed')));
    this.scene.see({ at: 'scene.healed' });
  }

  #standIn(name: string, dependency: AnyDependency): AnyDependency {
    const random = this.#random.fork(`provider/${name}`);
    const provider = new Provider(
      name,
      dependency,
      this.#plan.provider[name] ?? {},
      random,
      this.scene,
      this.#faultPlan.calls ?? {},
      () => this.#process,
    );
    this.#providers.set(name, provider);
    return provider.dependency();
  }

  // ── The end ──────────────────────────────────────────────────────────────────────────────────

  #over(): void {
    const process = this.#process;
    if (process?.fleet === undefined) {
      this.scene.broken('L1', 'no process is there at the end: the fleet does not start, or gives up whenever it is started');
      return;
    }
    const callsInFlight = Object.fromEntries([...this.#providers].map(([name, { inFlight }]) => [name, inFlight]));
    const look = process.look;
    this.scene.see({ at: 'scene.still', look });
    this.scene.see({ at: 'scene.over', look, untold: this.#client.untold, unanswered: this.#client.unanswered, callsInFlight });
  }

  async #close(): Promise<void> {
    const process = this.#process;
    if (process?.fleet === undefined) return;
    this.#closing = true;
    let closed = false;
    const over = (): void => {
      closed = true;
    };
    process.fleet.close().then(over, over);
    await this.#drive(() => closed, this.#world.nowMs() + CLOSING_MS + this.#topology.supervision.shutdownMs);
    this.scene.see({ at: 'scene.closed', left: process.leftovers(), hung: !closed });
  }

  #result(): SimulationResult {
    const { trace, lines, violations, statistics } = this.scene;
    return {
      seed: this.#plan.seed,
      virtualMs: this.#world.nowMs() - START_MS,
      statistics: structuredClone(statistics),
      violations,
      nondeterminism: this.findings.all,
      rejections: this.findings.rejections,
      trace: { hash: trace.hash, events: trace.count, choices: this.#choices, lines },
      replay: this.#plan.replay,
    };
  }
}

function faultPlanOf({ faults, durationMs }: SimulationPlan, random: Random): FaultPlan {
  if (faults === 'none') return {};
  return faults === 'drawn' ? drawFaults(random.fork('plan'), durationMs) : faults;
}

function actsOf({ outside }: SimulationPlan, topology: Topology, random: Random): readonly OutsideAct[] {
  if (typeof outside !== 'function') return outside;
  let acts: unknown;
  try {
    acts = outside(random);
  } catch (cause) {
    throw new SimulationCallbackError({ callback: 'outside', place: placeOf(cause) }, { cause });
  }
  checkActs(acts, topology);
  return acts;
}

function nextTick(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
