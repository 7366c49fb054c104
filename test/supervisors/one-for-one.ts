/**
 * One for one, as the OTP documentation tells it: a model that knows nothing of our supervisor. It
 * watches from outside what is started, told to stop and ended, and says what is wrong with that.
 *
 *   "If one child process terminates and is to be restarted, only that child process is affected."
 *   "A permanent child process is always restarted. A temporary child process is never restarted.
 *    A transient child process is restarted only if it terminates abnormally, that is, with another
 *    exit reason than normal, shutdown, or {shutdown,Term}."
 *   "If more than MaxR number of restarts occur in the last MaxT seconds, the supervisor terminates
 *    all the child processes and then itself. The termination reason [...] will be shutdown."
 *   "The children are started [in] left to right order [...] terminated in reverse start order."
 *
 * @see https://www.erlang.org/doc/system/sup_princ
 */
import type { RestartType } from '../../actors/kernel/child-spec.ts';
import type { ActorId, Exited, ExitReason } from '../../actors/kernel/effects.ts';

export interface LeafPlan {
  readonly at: 'leaf';
  readonly restart: RestartType;
  readonly shutdownMs: number;
  readonly stopsInMs: number;
  /** Undefined is ready as soon as it is there. */
  readonly readyInMs: number | undefined;
  /** What becomes of the nth start; starts beyond the list go well. */
  readonly starts: readonly ('well' | 'throws' | 'fails')[];
}

export interface SupervisorPlan {
  readonly at: 'supervisor';
  readonly restart: RestartType;
  readonly shutdownMs: number;
  readonly intensity: number;
  readonly periodMs: number;
  readonly baseMs: number;
  readonly children: readonly Plan[];
}

export type Plan = LeafPlan | SupervisorPlan;

/** A `signalled` child must be ready by then. */
export const START_MS = 25;

/** One incarnation of a supervisor, and what happened below it. */
export interface Reign {
  readonly path: ActorId;
  readonly plan: SupervisorPlan;
  /** The reign it was born under; undefined for the root. */
  readonly above: Reign | undefined;
  /** How often each child was started. */
  readonly starts: Map<ActorId, number>;
  /** Children that were ready once. */
  readonly ready: Set<ActorId>;
  /** Ends that asked for a restart. */
  readonly demands: { readonly path: ActorId; readonly atMs: number }[];
  /** Children whose last end asked for none. */
  readonly retired: Set<ActorId>;
  startFailed: boolean;
  asked: boolean;
  /** Killed at once, or at a deadline. */
  killed: boolean;
  /** It has told a child to stop: nothing starts any more. */
  stopping: boolean;
  over: ExitReason | undefined;
}

/** One incarnation of a child. */
interface Life {
  readonly path: ActorId;
  readonly plan: Plan;
  readonly reign: Reign;
  readonly first: boolean;
  readonly atMs: number;
  ready: boolean;
  told: boolean;
}

export interface World {
  nowMs(): number;
  isAlive(id: ActorId): boolean;
  incarnationOf(id: ActorId): number | undefined;
  ids(): Iterable<ActorId>;
}

export class OneForOne {
  /** Starts, ends and stops, in order: the story of a failure. */
  readonly story: string[] = [];
  readonly #world: World;
  readonly #plans = new Map<ActorId, Plan>();
  /** The present reign of each supervisor, and all there ever were. */
  readonly #reigns = new Map<ActorId, Reign>();
  readonly #past: Reign[] = [];
  readonly #lives = new Map<string, Life>();
  readonly #lastLife = new Map<ActorId, number>();
  #violation: Error | undefined;

  constructor(world: World, root: ActorId, plan: SupervisorPlan) {
    this.#world = world;
    this.#know(root, plan);
    this.#reign(root, plan);
  }

  /** Paths of all that there is to disturb, the root first. */
  get paths(): readonly ActorId[] {
    return [...this.#plans.keys()];
  }

  /** Every incarnation of every supervisor. */
  get reigns(): readonly Readonly<Reign>[] {
    return this.#past;
  }

  planOf(path: ActorId): Plan {
    return this.#plans.get(path)!;
  }

  // ── What is seen ─────────────────────────────────────────────────────────────────────────────

  /** An attempt to start a child begins. Returns which attempt of this child it is, from 0. */
  starting(path: ActorId, life: number): number {
    this.#tell(`${path}#${life} starts`);
    const reign = this.#reigns.get(parentOf(path))!;
    const before = reign.starts.get(path) ?? 0;
    this.#check(this.#world.isAlive(reign.path), `${path} starts below a dead supervisor`);
    this.#check(!this.#world.isAlive(path), `${path} starts while it lives`);
    this.#check(!reign.stopping, `${path} starts while its supervisor stops`);
    this.#check(life > (this.#lastLife.get(path) ?? 0), `${path} starts life ${life} a second time`);
    if (before === 0) {
      const elder = siblings(reign).slice(0, siblings(reign).indexOf(path));
      for (const one of elder) this.#check(reign.ready.has(one), `${path} starts before ${one} is ready`);
    } else this.#check(this.planOf(path).restart !== 'temporary', `${path} is temporary and starts again`);
    this.#lastLife.set(path, life);
    reign.starts.set(path, before + 1);
    const plan = this.planOf(path);
    this.#lives.set(`${path}#${life}`, { path, plan, reign, first: before === 0, atMs: this.#world.nowMs(), ready: false, told: false });
    if (plan.at === 'supervisor') this.#reign(path, plan);
    let attempts = 0;
    for (const one of this.#past) attempts += one.starts.get(path) ?? 0;
    return attempts - 1;
  }

  /** A child says, or somebody says of it, that it is ready. */
  ready(path: ActorId, life: number): void {
    this.#tell(`${path}#${life} is ready`);
    const one = this.#lives.get(`${path}#${life}`)!;
    one.ready = true;
    one.reign.ready.add(path);
    if (one.plan.at !== 'supervisor') return;
    const below = this.#reigns.get(path)!;
    for (const child of siblings(below)) this.#check(below.ready.has(child), `${path} is ready before ${child}`);
  }

  /** A supervisor tells a child to stop. */
  told(path: ActorId, deadlineMs: number): void {
    const life = this.#lastLife.get(path)!;
    this.#tell(`${path}#${life} is told to stop within ${deadlineMs}`);
    const one = this.#lives.get(`${path}#${life}`)!;
    const { reign, plan } = one;
    if (plan.at === 'leaf' && plan.readyInMs !== undefined && deadlineMs === 0) {
      this.#check(!one.ready && this.#world.nowMs() - one.atMs === START_MS, `${path} is killed as if it were overdue`);
      return;
    }
    this.#check(deadlineMs === plan.shutdownMs, `${path} has ${deadlineMs} ms to stop instead of ${plan.shutdownMs}`);
    this.#check(!one.told, `${path} is told twice`);
    const after = siblings(reign).slice(siblings(reign).indexOf(path) + 1);
    for (const later of after) this.#check(!this.#world.isAlive(later), `${path} is told before ${later} is gone`);
    one.told = true;
    reign.stopping = true;
    if (plan.at === 'supervisor') this.#stop(this.#reigns.get(path)!, deadlineMs);
  }

  /** Somebody else stops an actor. */
  disturbed(path: ActorId, deadlineMs: number): void {
    this.#tell(`a stranger stops ${path} within ${deadlineMs}`);
    const reign = this.#reigns.get(path);
    if (reign !== undefined && this.#world.isAlive(path)) this.#stop(reign, deadlineMs);
  }

  #stop(reign: Reign, deadlineMs: number): void {
    if (deadlineMs > 0) reign.asked = true;
    if (deadlineMs < Infinity) reign.killed = true;
  }

  /** The end of an incarnation, by a monitor of its own; or a start that threw. */
  ended({ id, incarnation, started, reason }: Omit<Exited, 'type'>): void {
    this.#tell(`${id}#${incarnation} ends: ${reason.at}`);
    const life = this.#lives.get(`${id}#${incarnation}`);
    if (life === undefined || life.plan.at === 'supervisor') this.#reigns.get(id)!.over = reason;
    // The root has nobody above it.
    if (life === undefined || life.told) return;
    const { reign, plan, first } = life;
    const startFailed = plan.at === 'leaf' && plan.readyInMs === undefined ? !started : !life.ready;
    if (startFailed && first) reign.startFailed = true;
    else if (startFailed || restarts(plan.restart, reason)) reign.demands.push({ path: id, atMs: this.#world.nowMs() });
    else reign.retired.add(id);
  }

  /** After each turn: nobody outlives the reign he was born under. */
  noOrphans(): void {
    if (this.#violation !== undefined) throw this.#violation;
    for (const id of this.#world.ids()) {
      const life = this.#lives.get(`${id}#${this.#world.incarnationOf(id)}`);
      if (life === undefined) continue;
      this.#check(this.#world.isAlive(life.reign.path), `${id} is an orphan of ${life.reign.path}`);
      this.#check(this.#reigns.get(life.reign.path) === life.reign, `${id} has outlived its supervisor`);
    }
  }

  // ── What must be, once nothing happens any more ──────────────────────────────────────────────

  settled(): void {
    this.noOrphans();
    for (const reign of this.#past) {
      if (reign.over === undefined) this.#goesOn(reign);
      else this.#hasEnded(reign, reign.over);
    }
  }

  #goesOn(reign: Reign): void {
    const { path } = reign;
    this.#check(this.#world.isAlive(path), `${path} is gone without an end`);
    this.#check(!exceeded(reign), `${path} goes on after too many restarts`);
    this.#check(!reign.startFailed, `${path} goes on after a failed start`);
    this.#check(!reign.asked && !reign.killed, `${path} goes on after a stop`);
    for (const child of siblings(reign)) {
      const demanded = reign.demands.filter((demand) => demand.path === child).length;
      this.#check(
        reign.starts.get(child) === 1 + demanded,
        `${child} was started ${reign.starts.get(child)} times for ${demanded} restarts`,
      );
      this.#check(this.#world.isAlive(child) === !reign.retired.has(child), `${child} is ${this.#world.isAlive(child) ? 'alive' : 'gone'}`);
    }
  }

  #hasEnded(reign: Reign, reason: ExitReason): void {
    const { path } = reign;
    if (reason.at === 'killed') return this.#check(reign.killed || reign.above?.over?.at === 'killed', `${path} was killed by nobody`);
    const byShutdown = exceeded(reign) || reign.asked;
    if (reason.at === 'shutdown') this.#check(byShutdown, `${path} gave up for no reason`);
    else
      this.#check(
        reason.at === 'error' && (reason.error as { code?: unknown }).code === 'DROVER_START_FAILED' && reign.startFailed,
        `${path} ended with ${reason.at}`,
      );
    for (const child of siblings(reign)) {
      const demanded = reign.demands.filter((demand) => demand.path === child).length;
      this.#check((reign.starts.get(child) ?? 0) <= 1 + demanded, `${child} was started too often`);
    }
  }

  /** What is seen inside a start or an effect is thrown into our own code, which may catch it: kept as well. */
  #check(holds: boolean, violation: string): void {
    if (holds) return;
    this.#violation ??= new Error(violation);
    throw this.#violation;
  }

  #know(path: ActorId, plan: Plan): void {
    this.#plans.set(path, plan);
    if (plan.at === 'supervisor') for (const [at, child] of plan.children.entries()) this.#know(`${path}/${at}`, child);
  }

  #reign(path: ActorId, plan: SupervisorPlan): void {
    const reign: Reign = {
      path,
      plan,
      above: this.#reigns.get(parentOf(path)),
      starts: new Map(),
      ready: new Set(),
      demands: [],
      retired: new Set(),
      startFailed: false,
      asked: false,
      killed: false,
      stopping: false,
      over: undefined,
    };
    this.#reigns.set(path, reign);
    this.#past.push(reign);
  }

  #tell(line: string): void {
    this.story.push(`${this.#world.nowMs().toFixed(1)} ${line}`);
  }
}

function restarts(type: RestartType, { at }: ExitReason): boolean {
  return type === 'permanent' || (type === 'transient' && at !== 'normal' && at !== 'shutdown');
}

function exceeded({ demands, plan }: Reign): boolean {
  return demands.some(
    ({ atMs }, last) => demands.filter((demand, at) => at <= last && atMs - demand.atMs <= plan.periodMs).length > plan.intensity,
  );
}

function siblings({ path, plan }: Reign): readonly ActorId[] {
  return plan.children.map((_, at) => `${path}/${at}`);
}

export function parentOf(path: ActorId): ActorId {
  return path.slice(0, path.lastIndexOf('/'));
}
