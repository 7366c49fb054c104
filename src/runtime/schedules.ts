/**
 * Schedules: recurring tasks. A schedule is a row with the time of its next turn; the sweep of the store says when that
 * has come, and one transaction makes the task of the turn and moves the row on. So a turn is fired once, whoever tries,
 * and nothing runs in memory between two turns.
 *
 * Its task is called `schedule:<name>@<time of the turn>`: the same turn is the same task, also when the clock was set
 * back between two runs of the program and the turn comes up again.
 */
import type { EventEmitter } from 'eventemitter3';
import type { Logger } from 'pino';
import type { Host } from '../../actors/host/host.ts';
import { invariant } from '../../actors/kernel/errors.ts';
import type { Random } from '../../actors/kernel/random.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import type { Firing, NewTask, Schedule, Store } from '../../actors/ports/store.ts';
import type { Topology } from '../topology/fleet.ts';
import { nextTurn, planSchedule } from '../topology/schedule.ts';
import type { SchedulePlan, ScheduleSpec } from '../topology/schedule.ts';
import type { RunEngine } from './engine.ts';
import { announce } from './events.ts';
import type { FleetEvents } from './events.ts';
import { newTask } from './new-task.ts';
import { encode, parse, sameJson } from './payload.ts';
import { ScheduleOwnedError, UnknownScheduleError } from './work-errors.ts';

export interface SchedulesOptions {
  readonly topology: Topology;
  readonly store: Store;
  readonly host: Host;
  readonly random: Random;
  readonly engine: RunEngine;
  readonly events: EventEmitter<FleetEvents>;
  readonly log: Logger;
}

/** A schedule, and where it stands. */
export interface ScheduleLook extends SchedulePlan {
  readonly name: string;
  /** Who made it: the topology, which is then the only one to change it, or `fleet.schedule`. */
  readonly by: 'topology' | 'operator';
  /** null: never again. */
  readonly nextAtMs: number | null;
  /** The last task that it has made. */
  readonly lastTask: string | null;
  readonly lastAtMs: number | null;
}

/** What the store keeps of a schedule as its plan. */
interface Kept {
  readonly by: 'topology' | 'operator';
  /** From when `everyMs` counts. */
  readonly originMs: number;
  readonly plan: SchedulePlan;
}

/** One turn that is to be fired: what becomes of it. */
interface Turn {
  readonly schedule: string;
  readonly kind: string;
  readonly turnMs: number;
  readonly why: 'overlap' | 'missed' | 'invalid' | 'taken' | null;
  readonly firing: Firing;
}

/** The last moment of a Date: a schedule that is due then is never due. */
const NEVER_MS = 8_640_000_000_000_000;
const RETRY_MS = 500;

export class Schedules {
  readonly #options: SchedulesOptions;
  /** Turns before that were missed. */
  #openedMs = 0;
  #isClosed = false;
  /** Schedules that are being fired, so that a sweep meanwhile does not fire them too. */
  readonly #firing = new Set<string>();
  /** Schedules that make no sense to this program: said once. */
  readonly #senseless = new Set<string>();

  constructor(options: SchedulesOptions) {
    this.#options = options;
  }

  /** Puts what the topology says into the store, and takes out what it does not say any more. Tried until the store has it. */
  async open(): Promise<void> {
    this.#openedMs = this.#nowMs();
    for (;;) {
      try {
        return await this.#put();
      } catch (error) {
        if (this.#isClosed || (error as { retryable?: unknown } | null)?.retryable !== true) throw error;
        this.#options.log.warn({ err: error }, 'the schedules could not be put into the store: tried again');
        await new Promise<void>((resolve) => this.#options.host.alarm(this.#nowMs() + RETRY_MS, resolve));
      }
    }
  }

  close(): void {
    this.#isClosed = true;
  }

  async schedule(name: string, spec: ScheduleSpec): Promise<void> {
    const { topology, store } = this.#options;
    const plan = planSchedule(name, spec, topology.agents);
    if (Object.hasOwn(topology.schedules, name)) throw new ScheduleOwnedError(name);
    this.#checkInput(name, plan);
    const known = (await store.schedules()).find((schedule) => schedule.name === name);
    // The same again changes nothing: its turns do not begin anew.
    const kept = known === undefined ? undefined : this.#read(known);
    if (isSame(kept, 'operator', plan)) return;
    const row = rowInPlaceOf(known, kept, { by: 'operator', originMs: Math.floor(this.#nowMs()), plan }, this.#nowMs(), name);
    await store.putSchedules([row]);
    this.#options.engine.sweepBy(row.nextAtMs);
  }

  async unschedule(name: string): Promise<void> {
    const { topology, store } = this.#options;
    if (Object.hasOwn(topology.schedules, name)) throw new ScheduleOwnedError(name);
    if (!(await store.schedules()).some((schedule) => schedule.name === name)) throw new UnknownScheduleError(name);
    await store.removeSchedules([name]);
  }

  async list(): Promise<readonly ScheduleLook[]> {
    const schedules = await this.#options.store.schedules();
    return schedules.flatMap((schedule) => {
      const kept = this.#read(schedule);
      if (kept === undefined) return [];
      const { name, nextAtMs, lastId, lastAtMs } = schedule;
      return [{ name, by: kept.by, ...kept.plan, nextAtMs: nextAtMs >= NEVER_MS ? null : nextAtMs, lastTask: lastId, lastAtMs }];
    });
  }

  /** What a sweep has found due. What cannot be fired now is found again by the next one. */
  fire(due: readonly Schedule[]): void {
    const mine = due.filter(({ name }) => !this.#firing.has(name));
    if (mine.length === 0 || this.#isClosed) return;
    for (const { name } of mine) this.#firing.add(name);
    this.#fireAll(mine)
      .catch((error: unknown) => {
        if (!this.#isClosed) this.#options.log.warn({ err: error }, 'schedules could not be fired: they stay due');
      })
      .finally(() => {
        for (const { name } of mine) this.#firing.delete(name);
      });
  }

  async #put(): Promise<void> {
    const { topology, store } = this.#options;
    for (const [name, plan] of Object.entries(topology.schedules)) this.#checkInput(name, plan);
    const nowMs = this.#nowMs();
    const rows: ReturnType<typeof rowOf>[] = [];
    const gone: string[] = [];
    const known = new Map<string, Schedule>();
    for (const schedule of await store.schedules()) {
      known.set(schedule.name, schedule);
      const kept = this.#read(schedule);
      if (kept === undefined || Object.hasOwn(topology.schedules, schedule.name)) continue;
      if (kept.by === 'topology') gone.push(schedule.name);
      else if (isTooFar(schedule, kept, nowMs)) rows.push(rowOf(schedule.name, kept, nowMs));
    }
    for (const [name, plan] of Object.entries(topology.schedules)) {
      const schedule = known.get(name);
      const kept = schedule === undefined ? undefined : this.#read(schedule);
      if (kept === undefined || !isSame(kept, 'topology', plan)) {
        rows.push(rowInPlaceOf(schedule, kept, { by: 'topology', originMs: Math.floor(nowMs), plan }, nowMs, name));
      } else if (isTooFar(schedule!, kept, nowMs)) rows.push(rowOf(name, kept, nowMs));
    }
    if (rows.length > 0) await store.putSchedules(rows);
    if (gone.length > 0) await store.removeSchedules(gone);
  }

  async #fireAll(due: readonly Schedule[]): Promise<void> {
    const { store, engine, events, log } = this.#options;
    const unfinished = await this.#unfinished(due);
    const nowMs = this.#nowMs();
    const turns = await this.#withoutTaken(
      due.flatMap((schedule) => {
        const kept = this.#read(schedule);
        return kept === undefined ? [] : [this.#turnOf(schedule, kept, unfinished, nowMs)];
      }),
    );
    if (turns.length === 0) return;
    const { fired, ready } = await store.fireSchedules(
      turns.map(({ firing }) => firing),
      nowMs,
    );
    for (const [at, { schedule, kind, turnMs, why, firing }] of turns.entries()) {
      if (fired[at] !== true) continue;
      const task = firing.tasks[0]?.id ?? null;
      announce(events, log, 'schedule.fired', () => ({ atMs: nowMs, schedule, kind, turnMs, task, why }));
      if (task !== null) {
        engine.stats.submitted += 1;
        announce(events, log, 'task.submitted', () => ({ id: task, kind, atMs: nowMs }));
      }
      engine.sweepBy(Math.min(firing.nextAtMs, firing.tasks[0]?.notBeforeMs ?? Infinity));
    }
    engine.ready(ready);
  }

  /** A turn whose id somebody has given to another task makes none, and says so. */
  async #withoutTaken(turns: readonly Turn[]): Promise<readonly Turn[]> {
    const ids = turns.flatMap(({ firing }) => firing.tasks.map(({ id }) => id));
    if (ids.length === 0) return turns;
    const there = new Map((await this.#options.store.get(ids)).flatMap((task) => (task === undefined ? [] : [[task.id, task]])));
    return turns.map((turn) => {
      const [task] = turn.firing.tasks;
      const taken = task === undefined ? undefined : there.get(task.id);
      if (taken === undefined || (taken.kind === turn.kind && isSameInput(taken.input, task!.input))) return turn;
      const facts = { schedule: turn.schedule, id: taken.id, kind: taken.kind };
      this.#options.log.error(facts, 'a schedule made no task: another kind, or another input, was submitted under the id of its turn');
      return { ...turn, why: 'taken', firing: { ...turn.firing, tasks: [] } };
    });
  }

  /** Which of the tasks of earlier turns have not ended. */
  async #unfinished(due: readonly Schedule[]): Promise<ReadonlySet<string>> {
    const last = due.flatMap((schedule) => {
      const { lastId } = schedule;
      return lastId !== null && this.#read(schedule)?.plan.overlap === 'skip' ? [lastId] : [];
    });
    if (last.length === 0) return new Set();
    const tasks = await this.#options.store.get(last);
    return new Set(tasks.flatMap((task) => (task === undefined || isTerminal(task.status) ? [] : [task.id])));
  }

  #turnOf(schedule: Schedule, { plan, originMs }: Kept, unfinished: ReadonlySet<string>, nowMs: number): Turn {
    const { name, nextAtMs: atMs, lastId } = schedule;
    const nextAtMs = Math.min(nextTurn(plan, nowMs, originMs), NEVER_MS);
    const pass = (why: Turn['why'], turnMs = atMs): Turn => {
      return { schedule: name, kind: plan.kind, turnMs, why, firing: { name, atMs, nextAtMs, tasks: [] } };
    };
    let turnMs = atMs;
    if (plan.missed === 'skip' && atMs < this.#openedMs) {
      // The first turn since this fleet runs, if there was one.
      turnMs = nextTurn(plan, Math.ceil(this.#openedMs) - 1, originMs);
      if (turnMs > nowMs) return pass('missed');
    }
    if (lastId !== null && unfinished.has(lastId)) return pass('overlap', turnMs);
    const task = this.#taskOf(name, plan, turnMs, nowMs);
    if (task === undefined) return pass('invalid', turnMs);
    return { schedule: name, kind: plan.kind, turnMs, why: null, firing: { name, atMs, nextAtMs, tasks: [task] } };
  }

  #taskOf(name: string, plan: SchedulePlan, turnMs: number, nowMs: number): NewTask | undefined {
    const { topology, random, log } = this.#options;
    const { kind, input, priority, spreadMs } = plan;
    try {
      const kindPlan = Object.hasOwn(topology.kinds, kind) ? topology.kinds[kind] : undefined;
      if (kindPlan === undefined) throw new Error(`no agent is called ${kind} any more`);
      const parsed = parse(kindPlan.agent.input, input, kindPlan.names.input);
      const text = encode(input, kindPlan.names.input, topology.bounds.payloadBytes);
      const id = `schedule:${name}@${new Date(turnMs).toISOString()}`;
      const notBeforeMs = spreadMs === 0 ? undefined : nowMs + random.next() * spreadMs;
      return newTask(kindPlan, parsed, text, { id, priority, depth: 0, notBeforeMs }, nowMs);
    } catch (error) {
      log.error({ err: error, schedule: name }, 'a schedule made no task: its kind or its input is none any more');
      return undefined;
    }
  }

  /** Undefined: another program has written it, in another form. */
  #read({ name, plan }: Schedule): Kept | undefined {
    try {
      const kept = JSON.parse(plan) as Kept;
      invariant(
        Number.isFinite(kept.originMs) && Number.isFinite(kept.plan.everyMs ?? NaN) !== (typeof kept.plan.cron === 'string'),
        'it is a plan',
      );
      return kept;
    } catch (error) {
      if (!this.#senseless.has(name)) this.#options.log.error({ err: error, schedule: name }, 'a schedule of the store cannot be read');
      this.#senseless.add(name);
      return undefined;
    }
  }

  /** What could be no input of a task makes none, turn after turn. @throws PayloadNotJsonError, PayloadTooLargeError */
  #checkInput(name: string, { input }: SchedulePlan): void {
    encode(input, `input of schedule ${name}`, this.#options.topology.bounds.payloadBytes);
  }

  #nowMs(): number {
    return this.#options.host.clock.nowMs();
  }
}

function rowOf(name: string, kept: Kept, nowMs: number): { readonly name: string; readonly plan: string; readonly nextAtMs: number } {
  return { name, plan: JSON.stringify(kept), nextAtMs: Math.min(nextTurn(kept.plan, nowMs, kept.originMs), NEVER_MS) };
}

/** What is changed but for its times keeps its turns, the one among them that was missed: a deployment is none. */
function rowInPlaceOf(
  known: Schedule | undefined,
  kept: Kept | undefined,
  now: Kept,
  nowMs: number,
  name: string,
): ReturnType<typeof rowOf> {
  const { cron, timezone, everyMs } = now.plan;
  const before = kept?.plan;
  if (known === undefined || kept === undefined || before?.cron !== cron || before.timezone !== timezone || before.everyMs !== everyMs)
    return rowOf(name, now, nowMs);
  const row = rowOf(name, { ...now, originMs: kept.originMs }, nowMs);
  return { ...row, nextAtMs: Math.min(row.nextAtMs, known.nextAtMs) };
}

function isSame(kept: Kept | undefined, by: Kept['by'], plan: SchedulePlan): boolean {
  return kept?.by === by && sameJson(JSON.stringify(kept.plan), JSON.stringify(plan));
}

/** What is no JSON any more is another input. */
function isSameInput(stored: string, given: string): boolean {
  try {
    return sameJson(stored, given);
  } catch {
    return false;
  }
}

/** There is a turn before the next one: the clock was ahead when that was computed, and has been set back. */
function isTooFar({ nextAtMs }: Schedule, { plan, originMs }: Kept, nowMs: number): boolean {
  return nextTurn(plan, nowMs, originMs) < nextAtMs;
}
