/**
 * Virtual fleet: a topology that runs in virtual time, step by step, as a test says. The real actors and
 * the real `run` functions, on a store in memory that outlives its processes, with stand-ins for the
 * dependencies: what `simulate` does, without a mind of its own. The invariants are checked all the while.
 */
import type { CloseOptions, Fleet, SubmitOptions } from '../../runtime/fleet.ts';
import type { TaskHandle } from '../../runtime/handle.ts';
import { lookAt } from '../../runtime/task-look.ts';
import type { TaskLook } from '../../runtime/task-look.ts';
import type { InputOf, OutputOf } from '../../topology/contract.ts';
import type { AgentMap, Topology } from '../../topology/fleet.ts';
import { INVARIANTS } from '../invariants/index.ts';
import type { FaultPlan } from '../simulate/fault-plan.ts';
import type { SimulationInternals } from '../simulate/internals.ts';
import { checkOptions } from '../simulate/options.ts';
import type { SimulateOptions } from '../simulate/options.ts';
import type { SimulatedProcess } from '../simulate/process.ts';
import type { SimulationResult, SimulationStatistics, Violation } from '../simulate/result.ts';
import { demand, demandCount, demandTopology, onlyKnown } from './check-options.ts';
import { VirtualFleetDownError, VirtualFleetLateError } from './errors.ts';
import { VirtualWorld } from './virtual-world.ts';

export interface VirtualFleetOptions<K extends AgentMap = AgentMap> extends Pick<
  SimulateOptions<K>,
  'seed' | 'provider' | 'sampler' | 'schedule' | 'invariants'
> {
  /** How likely calls, commands of the store and messages go wrong, until `end` heals. Default: nothing does. */
  readonly faults?: Pick<FaultPlan, 'calls' | 'store' | 'messages'>;
}

export interface KillOptions {
  /** Dies after so many more deliveries, in the middle of whatever it does then. Default 0: at once. */
  readonly afterDeliveries?: number;
}

const OPTIONS = ['seed', 'provider', 'sampler', 'schedule', 'invariants', 'faults'];
const HOUR_MS = 3_600_000;
const HEAL_MS = 7_200_000;
/** Between the last end and the last look: what is on its way home arrives. */
const HOMECOMING_MS = 6_000;
const CLOSING_MS = 120_000;
const MOST_DELIVERIES = 1_000_000;

/**
 * Starts a topology in virtual time. Resolves when its first process runs.
 *
 * @throws TopologyError, SeedError, SimulationOptionError, ArbitraryOptionError when something is wrong with what was given
 * @example
 * await using fleet = await virtualFleet(topology, { seed: 3, provider: { model: { latencyMs: 100 } } });
 * await fleet.submit('triage', { mailId: '1' }, { id: 'mail-1' });
 * fleet.kill();
 * await fleet.restart();
 * await fleet.until(() => fleet.task('mail-1')?.status === 'completed');
 * assertClean(await fleet.end());
 */
export function virtualFleet<K extends AgentMap>(topology: Topology<K>, options: VirtualFleetOptions<K> = {}): Promise<VirtualFleet<K>> {
  return virtualFleetWith(topology, options, {});
}

/** For the kit's own tests. */
export async function virtualFleetWith<K extends AgentMap>(
  topology: Topology<K>,
  options: VirtualFleetOptions<K>,
  internals: SimulationInternals,
): Promise<VirtualFleet<K>> {
  demandTopology('virtualFleet', topology);
  onlyKnown('virtualFleet', options, OPTIONS);
  const { faults = {}, invariants = INVARIANTS, ...rest } = options;
  onlyKnown('virtualFleet.faults', faults, ['calls', 'store', 'messages']);
  const replay = (seed: number | string): string => `virtualFleet(topology, { ...options, seed: ${JSON.stringify(seed)} })`;
  const plan = checkOptions(topology, { ...(rest as unknown as SimulateOptions), workload: [], faults, replay });
  const fleet = new VirtualFleet<K>(topology, new VirtualWorld(topology, plan, invariants, internals), plan);
  await fleet.restart();
  return fleet;
}

export class VirtualFleet<K extends AgentMap = AgentMap> implements AsyncDisposable {
  readonly topology: Topology<K>;
  readonly seed: number | string;
  readonly #world: VirtualWorld;
  readonly #replay: string;
  /** Handles that have not been told how their task ended, and by which process they were given. */
  readonly #untold = new Map<TaskHandle, SimulatedProcess>();

  /** Use `virtualFleet`. */
  constructor(topology: Topology<K>, world: VirtualWorld, { seed, replay }: { readonly seed: number | string; readonly replay: string }) {
    this.topology = topology;
    this.seed = seed;
    this.#world = world;
    this.#replay = replay;
  }

  /** Virtual time since the start. */
  get nowMs(): number {
    return this.#world.nowMs;
  }

  /** Whether a process is there. It is not after a kill, a close, or when the fleet has given up. */
  get isUp(): boolean {
    return this.#world.process?.fleet !== undefined;
  }

  get violations(): readonly Violation[] {
    return this.#world.scene.violations;
  }

  get statistics(): SimulationStatistics {
    return structuredClone(this.#world.scene.statistics);
  }

  /** Tasks that the store has accepted and that have not ended. */
  get unfinished(): ReadonlySet<string> {
    return this.#world.scene.unfinished;
  }

  /** The task as the store has it now, or undefined. Takes no time. */
  task(id: string): TaskLook | undefined {
    const record = this.#world.scene.task(id);
    return record === undefined ? undefined : lookAt(record);
  }

  /**
   * Submits a task, and lets time pass until the store has it, or it is refused.
   *
   * @throws VirtualFleetDownError when no process is there, or it dies before it answers
   * @throws what `fleet.submit` throws
   */
  submit<N extends keyof K & string>(kind: N, input: InputOf<K[N]>, options: SubmitOptions = {}): Promise<TaskHandle<OutputOf<K[N]>>> {
    const process = this.#world.process;
    const fleet = process?.fleet as Fleet<K> | undefined;
    if (process === undefined || fleet === undefined) return Promise.reject(this.#down());
    const submitted = fleet.submit(kind, input, options).then((handle) => {
      if (process.isAlive) this.#acknowledged(handle, process);
      return handle;
    });
    return this.drive(submitted);
  }

  /**
   * The task as the fleet tells it to whoever asks, `fleet.task`: through the store, with the delays and
   * failures of the way there.
   *
   * @throws VirtualFleetDownError, StoreFailedError
   */
  lookUp(id: string): Promise<TaskLook | undefined> {
    const fleet = this.#world.process?.fleet;
    return fleet === undefined ? Promise.reject(this.#down()) : this.drive(fleet.task(id));
  }

  /** Lets virtual time pass. What comes due meanwhile happens at its own time. */
  async advance(ms: number): Promise<void> {
    demand('advance', ms, Number.isFinite(ms) && ms >= 0, 'milliseconds from 0');
    await this.#world.pass(ms, () => false);
  }

  /**
   * Lets time pass until the condition holds: it is asked whenever nothing moves.
   *
   * @throws VirtualFleetLateError after `withinMs` of virtual time, by default an hour
   */
  until(condition: () => boolean, withinMs = HOUR_MS): Promise<void> {
    return this.#until(condition, condition.toString(), withinMs);
  }

  /**
   * Lets time pass until the promise has settled, and gives what it settled with.
   *
   * @throws VirtualFleetDownError when the process that is there dies first: nobody would settle it
   * @throws VirtualFleetLateError after `withinMs` of virtual time, by default an hour
   */
  async drive<T>(promise: Promise<T>, withinMs = HOUR_MS): Promise<T> {
    const process = this.#world.process;
    let settled = false;
    const over = (): void => {
      settled = true;
    };
    promise.then(over, over);
    await this.#until(() => settled || process?.isAlive !== true, 'a promise', withinMs);
    if (!settled) throw this.#down();
    return promise;
  }

  /**
   * Makes a worker throw in its next turn: its supervisor starts it again.
   *
   * @throws VirtualFleetDownError, ArbitraryOptionError when there is no such worker
   */
  crashWorker(kind: keyof K & string, replica = 0): void {
    const plan = this.topology.kinds[kind];
    demand('crashWorker.kind', kind, plan !== undefined, Object.keys(this.topology.kinds).join(', '));
    demandCount('crashWorker.replica', replica, 0, plan!.replicas - 1);
    if (this.#world.process === undefined) throw this.#down();
    const error = new Error('the worker breaks');
    this.#world.process.crash(`${this.topology.name}/agents/${kind}/${replica}`, { type: 'worker.fail', error });
    this.#world.scene.struck('worker-crash');
  }

  /** Ends the process as `kill -9` would: nothing is handed back, nobody is told. Nothing happens when there is none. */
  kill({ afterDeliveries = 0 }: KillOptions = {}): void {
    demandCount('kill.afterDeliveries', afterDeliveries, 0, MOST_DELIVERIES);
    const process = this.#world.process;
    if (process === undefined) return;
    if (afterDeliveries > 0) return process.doom(afterDeliveries);
    this.#world.kill(process);
  }

  /** Starts a process on what the last one left; kills that one first when it is still there. */
  async restart(): Promise<void> {
    this.kill();
    const process = this.#world.make();
    this.#world.process = process;
    try {
      await this.drive(process.start());
    } catch (error) {
      if (process === this.#world.process) this.#world.bury(process);
      throw error;
    }
  }

  /**
   * Closes the fleet in order, as `fleet.close` does. `restart` starts it again.
   *
   * @throws VirtualFleetDownError when no process is there
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const process = this.#world.process;
    if (process?.fleet === undefined) throw this.#down();
    const shutdownMs = options.deadlineMs ?? this.topology.supervision.shutdownMs;
    let closed = false;
    const over = (): void => {
      closed = true;
    };
    process.fleet.close(options).then(over, over);
    await this.#world.pass(CLOSING_MS + shutdownMs, () => closed || !process.isAlive);
    if (process !== this.#world.process) return;
    const left = process.leftovers();
    // What a slow network still holds up was to be forgotten with the process, and is nobody's.
    const messages = process.transport.isMoving ? left.messages : 0;
    this.#world.scene.see({ at: 'scene.closed', left: { ...left, messages }, hung: !closed });
    this.#world.bury(process);
  }

  /**
   * Ends the test: faults stop, a process is started when there is none, every accepted task has to end,
   * and the fleet is closed. Nothing is thrown for what is broken: give the result to `assertClean`.
   */
  async end(): Promise<SimulationResult> {
    const { scene } = this.#world;
    this.#world.heal();
    await this.#world.pass(HEAL_MS, () => !this.isUp || scene.unfinished.size === 0);
    if (!this.isUp) await this.restart();
    await this.#world.pass(HEAL_MS, () => !this.isUp || scene.unfinished.size === 0);
    await this.advance(HOMECOMING_MS);
    const process = this.#world.process;
    if (process?.fleet === undefined) scene.broken('L1', 'no process is there at the end: the fleet gives up');
    else {
      const callsInFlight = Object.fromEntries([...this.#world.providers].map(([name, { inFlight }]) => [name, inFlight]));
      const untold = [...this.#untold].filter(([, from]) => from === process).map(([{ id }]) => id);
      // Whoever submits by hand awaits the answer himself.
      scene.see({ at: 'scene.over', look: process.look, untold, unanswered: [], callsInFlight });
      await this.close();
    }
    return this.#result();
  }

  /** Lets go of everything, without a word. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#world.process !== undefined) this.#world.bury(this.#world.process);
  }

  async #until(condition: () => boolean, awaited: string, withinMs: number): Promise<void> {
    demand('withinMs', withinMs, Number.isFinite(withinMs) && withinMs >= 0, 'milliseconds from 0');
    const { topology, seed } = this;
    if (!(await this.#world.pass(withinMs, condition))) throw new VirtualFleetLateError({ fleet: topology.name, awaited, withinMs, seed });
  }

  #acknowledged(handle: TaskHandle, process: SimulatedProcess): void {
    const { scene } = this.#world;
    const { id } = handle;
    scene.see({ at: 'client.acknowledged', id, look: process.look });
    this.#untold.set(handle, process);
    handle.result().then(
      (value) => {
        this.#untold.delete(handle);
        scene.see({ at: 'client.told', id, outcome: 'completed', value });
      },
      (error: { readonly code?: unknown } | null) => {
        this.#untold.delete(handle);
        if (error?.code === 'DROVER_TASK_FAILED') scene.see({ at: 'client.told', id, outcome: 'failed', value: error });
      },
    );
  }

  #down(): VirtualFleetDownError {
    return new VirtualFleetDownError({ fleet: this.topology.name, atMs: this.nowMs });
  }

  #result(): SimulationResult {
    const { trace, violations } = this.#world.scene;
    return {
      seed: this.seed,
      virtualMs: this.nowMs,
      statistics: this.statistics,
      violations,
      nondeterminism: [],
      rejections: [],
      trace: { hash: trace.hash, events: trace.count, choices: [], lines: [] },
      replay: this.#replay,
    };
  }
}
