/**
 * Outside: what happens around a simulated fleet beside its work. Tasks are told of events, people decide
 * what runs ask them, an operator cancels, pauses and puts back.
 *
 * An event has a key of its own, so however often it has to be sent it is told once. What the faults have
 * stopped is let go on once they have: whatever is paused then is resumed, and what recurs comes no more.
 */
import type { Random } from '../../../actors/kernel/random.ts';
import type { Fleet } from '../../runtime/fleet.ts';
import type { MailboxOptions } from '../../runtime/kinds.ts';
import type { ApprovalLook } from '../../runtime/signals.ts';
import type { ScheduleSpec } from '../../topology/schedule.ts';
import { SimulationCallbackError } from '../errors.ts';
import { placeOf } from '../place.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import { holdLock, standFor } from './holders.ts';
import type { Holder, LockAct, StandAct } from './holders.ts';
import type { SimulatedProcess } from './process.ts';
import type { Scene } from './scene.ts';

/** Something that happens `atMs` after the start. */
export type OutsideAct = { readonly atMs: number } &
  /** Told as soon as the task is there. */
  (
    | { readonly at: 'signal'; readonly task: string; readonly name: string; readonly payload?: unknown }
    | { readonly at: 'cancel' | 'pause' | 'unpause' | 'requeue'; readonly task: string }
    | { readonly at: 'pause-kind' | 'unpause-kind'; readonly kind: string }
    /** How tasks wait for the workers of a kind, until its process ends. */
    | { readonly at: 'mailboxes'; readonly kind: string; readonly mailboxes: MailboxOptions }
    /** A recurring task, until it is unscheduled, or the faults stop. */
    | { readonly at: 'schedule'; readonly name: string; readonly spec: ScheduleSpec }
    | { readonly at: 'unschedule'; readonly name: string }
    /** Writes a row over whatever is there, as often as it takes. */
    | { readonly at: 'set-row'; readonly key: string; readonly change: (value: unknown) => unknown }
    | LockAct
    | StandAct
  );

/** What a person does with a request; undefined: never answers it. */
export type Person = (
  request: ApprovalLook,
  random: Random,
) => { readonly approved: boolean; readonly afterMs: number; readonly note?: string } | undefined;

export interface OutsideOptions {
  readonly acts: readonly OutsideAct[];
  readonly person: Person;
  readonly random: Random;
  readonly world: VirtualClock;
  readonly scene: Scene;
  /** Undefined while there is none. */
  readonly process: () => SimulatedProcess | undefined;
  /** Whether all that was to be submitted has been accepted. */
  readonly hasSubmitted: () => boolean;
}

/** Not there yet: try again later. */
const EARLY = ['DROVER_UNKNOWN_TASK'];
/** The fleet or its store is away: try again later. */
const PASSING = ['DROVER_STORE_FAILED', 'DROVER_STORE_CLOSED', 'DROVER_FLEET_CLOSED', 'DROVER_ROW_CONFLICT'];
const RETRY_MS = 100;
/** Somebody looks so often for what is to be decided, while anything is. */
const LOOK_MS = 500;
const MOST_LOOKS = 1_000;
/** So long after its time an event, or an order, is tried again at least where its task is not there. */
const LONGEST_EARLY_MS = 60_000;
/** So long after the faults have stopped whatever is paused goes on. */
const LET_GO_MS = 5_000;

/** An act on its way. */
interface Pending {
  readonly act: OutsideAct;
  readonly key: string;
  /** By which process it is being done. */
  process: SimulatedProcess | undefined;
  notBeforeMs: number;
  /** When it was begun last: what had been put back by then. */
  putBack: number;
}

export class Outside {
  readonly #options: OutsideOptions;
  readonly #startMs: number;
  readonly #pending = new Set<Pending>();
  /** Whatever was paused some time: commands that are sent again may overtake each other, so nobody knows what still is. */
  readonly #paused = new Set<string>();
  readonly #pausedKinds = new Set<string>();
  readonly #scheduled = new Set<string>();
  /** By task: how many times somebody has put it back, or has tried to for good. */
  readonly #putBack = new Map<string, number>();
  /** Decisions that are on their way, by task and name. */
  readonly #deciding = new Map<string, SimulatedProcess>();
  #holders = 0;
  #looking: SimulatedProcess | undefined;
  #lookMs = -Infinity;

  constructor(options: OutsideOptions) {
    this.#options = options;
    this.#startMs = options.world.nowMs();
    for (const [at, act] of options.acts.entries()) this.#add(act, `act ${at}`);
  }

  /** Nothing more is to be done. */
  get isDone(): boolean {
    return this.#pending.size === 0;
  }

  /** Faults have stopped: whatever was paused goes on, and nothing is paused or cancelled any more. */
  heal(): void {
    // What is on its way to be paused is so by then.
    const atMs = this.#options.world.nowMs() - this.#startMs + LET_GO_MS;
    for (const pending of this.#pending) {
      const { at } = pending.act;
      if (at === 'cancel' || at === 'pause' || at === 'pause-kind' || at === 'schedule') this.#pending.delete(pending);
    }
    for (const task of this.#paused) this.#add({ at: 'unpause', task, atMs }, `heal ${task}`);
    for (const kind of this.#pausedKinds) this.#add({ at: 'unpause-kind', kind, atMs }, `heal ${kind}`);
    // As long as turns come, there is always something that has not ended.
    for (const name of this.#scheduled) this.#add({ at: 'unschedule', name, atMs }, `heal schedule ${name}`);
  }

  /** A process is gone: what it had not done is done by the next. */
  gone(process: SimulatedProcess): void {
    for (const pending of this.#pending) if (pending.process === process) pending.process = undefined;
    for (const [key, by] of this.#deciding) if (by === process) this.#deciding.delete(key);
    if (this.#looking === process) this.#looking = undefined;
  }

  /** Does what has come. True when something was begun. */
  pump(): boolean {
    const { process, world } = this.#options;
    const by = process();
    if (by?.fleet === undefined) return false;
    const nowMs = world.nowMs();
    let begun = this.#lookForRequests(by, by.fleet, nowMs);
    for (const pending of this.#pending) {
      if (pending.process !== undefined || pending.notBeforeMs > nowMs) continue;
      pending.process = by;
      pending.putBack = this.#timesPutBack(pending.act);
      begun = true;
      this.#do(pending, by, by.fleet).then(
        () => by.isAlive && this.#done(pending),
        (error: unknown) => by.isAlive && this.#refused(pending, error),
      );
    }
    return begun;
  }

  #add(act: OutsideAct, key: string): void {
    const notBeforeMs = this.#startMs + act.atMs;
    this.#pending.add({ act, key, process: undefined, notBeforeMs, putBack: 0 });
    // Time has to stop there; the rest is done when nothing moves.
    this.#options.world.wakeAt(notBeforeMs, () => {});
  }

  async #do({ act, key }: Pending, by: SimulatedProcess, fleet: Fleet): Promise<void> {
    switch (act.at) {
      case 'signal':
        return fleet.signal(act.task, act.name, act.payload, { key });
      case 'cancel':
        return void (await fleet.cancel(act.task, { by: 'outside' }));
      case 'pause':
        this.#paused.add(act.task);
        return void (await fleet.pause(act.task, { by: 'outside' }));
      case 'unpause':
        return fleet.unpause(act.task, { by: 'outside' });
      case 'requeue':
        return fleet.requeue(act.task, { by: 'outside' });
      case 'pause-kind':
        this.#pausedKinds.add(act.kind);
        return fleet.pauseKind(act.kind);
      case 'unpause-kind':
        return fleet.unpauseKind(act.kind);
      case 'mailboxes':
        this.#options.scene.see({ at: 'mailboxes.configured', kind: act.kind, mailboxes: act.mailboxes });
        return fleet.configureMailboxes(act.kind, act.mailboxes);
      case 'schedule':
        this.#scheduled.add(act.name);
        return fleet.schedule(act.name, act.spec);
      case 'unschedule':
        return fleet.unschedule(act.name);
      case 'set-row': {
        const row = await fleet.state.get(act.key);
        await fleet.state.set(act.key, act.change(row?.value), row?.version ?? null);
        return;
      }
      case 'lock':
        return holdLock(act, this.#holder(key, by));
      case 'stand':
        return standFor(act, this.#startMs + act.atMs + act.forMs - this.#options.world.nowMs(), this.#holder(key, by));
    }
  }

  /** Somebody else each time that it is tried. */
  #holder(key: string, by: SimulatedProcess): Holder {
    const { random, scene } = this.#options;
    const id = `holder ${(this.#holders += 1)} (${key})`;
    return { by, scene, random: random.fork(id), id };
  }

  #refused(pending: Pending, error: unknown): void {
    const { world, scene } = this.#options;
    const code = (error as { readonly code?: string } | null)?.code ?? '';
    // What comes for one that has ended waits for it to be put back, where somebody is about to.
    const isEarly = EARLY.includes(code) || (code === 'DROVER_TASK_ENDED' && this.#isPutBack(pending));
    if (!isEarly && !PASSING.includes(code)) {
      this.#done(pending);
      // It came too late, or was not to be done as things stand.
      if (!code.startsWith('DROVER_')) scene.fail(error);
      return;
    }
    // A task that nobody submits any more, nor any other asks for, never comes.
    const mayCome = scene.unfinished.size > 0 || !this.#options.hasSubmitted();
    if (isEarly && !mayCome && world.nowMs() > this.#startMs + pending.act.atMs + LONGEST_EARLY_MS)
      return void this.#pending.delete(pending);
    pending.process = undefined;
    this.#again(pending);
  }

  #done(pending: Pending): void {
    this.#pending.delete(pending);
    const { act } = pending;
    if (act.at === 'requeue') this.#putBack.set(act.task, this.#timesPutBack(act) + 1);
  }

  #timesPutBack(act: OutsideAct): number {
    return 'task' in act ? (this.#putBack.get(act.task) ?? 0) : 0;
  }

  /** Somebody is about to, or has, while that which was refused was on its way. */
  #isPutBack({ act, putBack }: Pending): boolean {
    if (act.at !== 'signal') return false;
    if (this.#timesPutBack(act) > putBack) return true;
    for (const { act: other } of this.#pending) if (other.at === 'requeue' && other.task === act.task) return true;
    return false;
  }

  #again(pending: Pending): void {
    const { world } = this.#options;
    pending.notBeforeMs = Math.max(pending.notBeforeMs, world.nowMs() + RETRY_MS);
    world.wakeAt(pending.notBeforeMs, () => {});
  }

  // ── People ───────────────────────────────────────────────────────────────────────────────────

  #lookForRequests(by: SimulatedProcess, fleet: Fleet, nowMs: number): boolean {
    const { world, scene } = this.#options;
    if (!scene.isAsked || this.#looking !== undefined || nowMs < this.#lookMs + LOOK_MS) return false;
    this.#lookMs = nowMs;
    this.#looking = by;
    world.wakeAt(nowMs + LOOK_MS, () => {});
    fleet.approvals({ limit: MOST_LOOKS }).then(
      (requests) => {
        if (!by.isAlive) return;
        this.#looking = undefined;
        // Whoever asks later says so.
        if (requests.length === 0 && scene.unfinished.size === 0) scene.isAsked = false;
        for (const request of requests) this.#answer(request, by, fleet);
      },
      () => {
        if (by.isAlive) this.#looking = undefined;
      },
    );
    return true;
  }

  #answer(request: ApprovalLook, by: SimulatedProcess, fleet: Fleet): void {
    const { id, name } = request;
    const key = JSON.stringify([id, name]);
    if (this.#deciding.has(key)) return;
    const { person, random, scene } = this.#options;
    let answer: ReturnType<Person>;
    try {
      answer = person(request, random.fork(key));
    } catch (cause) {
      scene.fail(new SimulationCallbackError({ callback: 'person', place: placeOf(cause) }, { cause }));
      return;
    }
    if (answer === undefined) return;
    this.#deciding.set(key, by);
    const { approved, afterMs, note } = answer;
    const options = { by: 'somebody', ...(note === undefined ? {} : { note }) };
    const forget = (): void => {
      // One that was refused is asked for again at the next look, if it is still to be decided.
      if (by.isAlive) this.#deciding.delete(key);
    };
    by.after(afterMs, () => void (approved ? fleet.approve(id, name, options) : fleet.reject(id, name, options)).then(forget, forget));
  }
}

/** Approves two of three, after up to five seconds. */
export const USUAL_PERSON: Person = (_request, random) => ({ approved: random.int(3) > 0, afterMs: random.next() * 5_000 });
