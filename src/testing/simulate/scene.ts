/**
 * Scene: what one simulation sees, and what it has seen. Facts come in here; they go to the checkers,
 * into the trace and into the statistics, and nothing of them is kept that need not be.
 */
import { isTerminal } from '../../../actors/ports/store.ts';
import type {
  ClaimedTask,
  Decision,
  Firing,
  ForgetReply,
  LeaseHeld,
  LeaseOutcome,
  LeaseRequest,
  RememberItem,
  RenewItem,
  Settlement,
  SettleReply,
  Signal,
  SignalOutcome,
  StartOutcome,
  StateRead,
  StateReadOutcome,
  StateRow,
  StateWrite,
  StateWriteOutcome,
  Steering,
  TaskCounts,
  SteerReply,
  Store,
  SubmitOutcome,
  SweepReply,
} from '../../../actors/ports/store.ts';
import type { Held, NewTask, OpenCommand, Opened, TaskRecord } from '../../../actors/ports/store.ts';
import type { Topology } from '../../topology/fleet.ts';
import type { Fact } from '../invariants/fact.ts';
import type { Invariant } from '../invariants/invariant.ts';
import { Trace } from '../trace.ts';
import type { Command } from './faulty-store.ts';
import type { SimulatedDisk } from './internals.ts';
import { noStatistics } from './result.ts';
import type { Violation } from './result.ts';

/** What comes after the first hundred says nothing new. */
const MOST_VIOLATIONS = 100;

/** Each tells the store the time, at which leases may have run out. */
const LEASE_COMMANDS: readonly Command[] = ['takeLeases', 'renewLeases', 'releaseLeases', 'readLeases'];

type Handler = (fact: Fact, atMs: number) => void;

export class Scene {
  readonly trace = new Trace();
  readonly lines: string[] = [];
  readonly violations: Violation[] = [];
  /** Tasks that the store has accepted and that have not ended. */
  readonly unfinished = new Set<string>();
  readonly statistics = noStatistics();
  /** What keeps the simulation from going on: bad input, not a violation. */
  fatal: { readonly error: unknown } | undefined;
  /** Somebody has been asked to approve something, and nobody has looked since that there is nothing to be decided. */
  isAsked = false;
  readonly #handlers = new Map<Fact['at'], Handler[]>();
  readonly #known = new Map<string, { readonly kind: string; readonly parent: string | undefined }>();
  /** Those who have asked for others. */
  readonly #parents = new Set<string>();
  readonly #disk: SimulatedDisk;
  readonly #startMs: number;
  readonly #nowMs: () => number;
  readonly #full: boolean;

  constructor(topology: Topology, invariants: readonly Invariant[], disk: SimulatedDisk, nowMs: () => number, full: boolean) {
    this.#disk = disk;
    this.#nowMs = nowMs;
    this.#startMs = nowMs();
    this.#full = full;
    for (const invariant of invariants) {
      const checker = invariant.check(topology, (message) => this.broken(invariant.name, message));
      for (const [at, handler] of Object.entries(checker) as [Fact['at'], Handler][]) {
        const others = this.#handlers.get(at);
        if (others === undefined) this.#handlers.set(at, [handler]);
        else others.push(handler);
      }
    }
  }

  /** Virtual time of the process that is there. */
  get nowMs(): number {
    return this.#nowMs();
  }

  see(fact: Fact): void {
    const handlers = this.#handlers.get(fact.at);
    if (handlers === undefined) return;
    const atMs = this.#nowMs();
    for (const handler of handlers) handler(fact, atMs);
  }

  broken(invariant: string, message: string): void {
    if (this.violations.length < MOST_VIOLATIONS) this.violations.push({ invariant, message, atMs: this.#nowMs() - this.#startMs });
  }

  /** The simulation cannot go on. The first reason counts. */
  fail(error: unknown): void {
    this.fatal ??= { error };
  }

  struck(fault: string): void {
    this.statistics.faults[fault] = (this.statistics.faults[fault] ?? 0) + 1;
    this.note(6, fault);
  }

  /** One event of the trace; `says` is for whoever reads it. */
  note(code: number, text: string, number = 0, says = ''): void {
    const atMs = this.#nowMs();
    this.trace.event(code, atMs, text, number);
    if (this.#full)
      this.lines.push(`${(atMs - this.#startMs).toFixed(3)} ${WORDS[code]} ${text} ${number}${says === '' ? '' : ` ${says}`}`);
  }

  /** What a command has committed, item by item. */
  committed(command: Command, items: unknown, reply: unknown, nowMs: number): void {
    switch (command) {
      case 'open':
        return this.#opened(reply as Opened, (items as OpenCommand).nowMs);
      case 'submit':
        for (const [at, outcome] of (reply as readonly SubmitOutcome[]).entries())
          if (outcome.at === 'accepted') this.#accepted((items as readonly NewTask[])[at]!);
        return;
      case 'claim':
        for (const task of reply as readonly ClaimedTask[]) {
          this.note(2, task.id, task.fence, 'claimed');
          this.see({ at: 'store.claimed', task });
        }
        return;
      case 'start':
        for (const [at, outcome] of (reply as readonly StartOutcome[]).entries()) {
          if (outcome.at === 'stale') continue;
          const held = (items as readonly Held[])[at]!;
          if (outcome.at === 'started') {
            this.note(2, held.id, outcome.attempt, 'started');
            this.see({ at: 'store.started', held, start: outcome, nowMs });
            continue;
          }
          const { resource, holder } = outcome;
          this.statistics.blocked += 1;
          this.note(2, held.id, held.fence, `blocked at ${resource}`);
          this.see({
            at: 'store.blocked',
            held,
            resource,
            holder,
            rejected: outcome.at === 'rejected',
            waits: outcome.at === 'blocked' && this.#waitsForLocks(held.id),
            nowMs,
          });
          // What was ordered of it meanwhile is done now.
          this.#lookAgain(held.id);
        }
        return;
      case 'remember':
        for (const [at, kept] of (reply as readonly boolean[]).entries()) {
          if (!kept) continue;
          const item = (items as readonly RememberItem[])[at]!;
          this.note(2, item.place, item.fence, 'remembered');
          this.see({ at: 'store.remembered', item });
        }
        return;
      case 'renew':
        for (const [at, kept] of (reply as readonly boolean[]).entries())
          if (kept) this.see({ at: 'store.renewed', item: (items as readonly RenewItem[])[at]! });
        return;
      case 'settle':
        return this.#settled(items as readonly Settlement[], reply as SettleReply);
      case 'sweep':
        for (const held of (reply as SweepReply).expired) {
          this.note(2, held.id, -held.fence, 'expired');
          this.see({ at: 'store.expired', held });
          if (isTerminal(held.status)) this.#ended(held.id);
          if (this.#hasFallen(held.id)) this.#reap([held.id]);
          this.statistics.lost += 1;
        }
        for (const id of (reply as SweepReply).ended) this.#endedUnheld(id);
        return;
      default:
        return this.#committedRarely(command, items, reply, nowMs);
    }
  }

  #committedRarely(command: Command, items: unknown, reply: unknown, nowMs: number): void {
    switch (command) {
      case 'readState':
        for (const [at, outcome] of (reply as readonly StateReadOutcome[]).entries()) {
          const { id, key, place } = (items as readonly StateRead[])[at]!;
          if (outcome.at === 'read') this.see({ at: 'store.read', key, row: outcome.row, task: id, place });
        }
        return;
      case 'getState':
        for (const [at, row] of (reply as readonly (StateRow | undefined)[]).entries())
          this.see({ at: 'store.read', key: (items as readonly string[])[at]!, row: row ?? null, task: undefined });
        return;
      case 'setState':
        for (const [at, outcome] of (reply as readonly StateWriteOutcome[]).entries()) {
          if (outcome.at !== 'written') continue;
          const { key, value, version: before } = (items as readonly StateWrite[])[at]!;
          this.note(2, key, outcome.version, 'written');
          this.see({ at: 'store.wrote', key, value, before, after: outcome.version, task: undefined });
        }
        return;
      case 'askApproval':
        this.isAsked = true;
        return;
      case 'signal':
      case 'decideApproval':
        for (const [at, outcome] of (reply as { readonly outcomes: readonly SignalOutcome[] }).outcomes.entries()) {
          if (outcome.at !== 'told') continue;
          const signal = signalOf((items as readonly (Signal | Decision)[])[at]!);
          this.statistics.told += 1;
          this.note(2, signal.id, 0, `told ${signal.name}`);
          this.see({ at: 'store.told', signal });
        }
        return;
      case 'steer': {
        const { outcomes, ended } = reply as SteerReply;
        for (const [at, outcome] of outcomes.entries()) {
          if (outcome.at !== 'done' && outcome.at !== 'noted') continue;
          const steering = (items as readonly Steering[])[at]!;
          this.statistics.steered += 1;
          this.note(2, steering.id, 0, steering.action);
          this.see({ at: 'store.steered', steering, outcome });
          if (steering.action === 'requeue') this.#putBack(steering);
          // What had failed and was kept as it stood ends once more.
          if (steering.action === 'cancel') this.unfinished.add(steering.id);
        }
        for (const id of ended) this.#endedUnheld(id);
        return;
      }
      case 'forget':
        if ((reply as ForgetReply).forgotten > 0) this.#forgot();
        return;
      case 'fireSchedules':
        for (const [at, fired] of (reply as { readonly fired: readonly boolean[] }).fired.entries())
          if (fired) this.#fired((items as readonly Firing[])[at]!, nowMs);
        return;
      case 'putSchedules':
        for (const { name, nextAtMs } of items as Parameters<Store['putSchedules']>[0]) {
          this.note(2, name, nextAtMs, 'scheduled');
          this.see({ at: 'store.scheduled', name, nextAtMs });
        }
        return;
      case 'removeSchedules':
        for (const name of items as readonly string[]) {
          this.note(2, name, 0, 'unscheduled');
          this.see({ at: 'store.unscheduled', name });
        }
        return;
      default:
        return this.#leased(command, items, reply, nowMs);
    }
  }

  /** What users share by leases. */
  #leased(command: Command, items: unknown, reply: unknown, nowMs: number): void {
    if (LEASE_COMMANDS.includes(command)) this.see({ at: 'store.leases-asked', nowMs });
    switch (command) {
      case 'takeLeases':
        for (const [at, outcome] of (reply as readonly LeaseOutcome[]).entries()) {
          if (outcome.at !== 'granted') continue;
          const { name, holder } = (items as readonly LeaseRequest[])[at]!;
          const { fence, untilMs } = outcome;
          this.note(2, name, fence, `leased to ${holder}`);
          this.see({ at: 'store.leased', lease: { name, holder, fence }, untilMs, nowMs });
        }
        return;
      case 'renewLeases':
        for (const [at, kept] of (reply as readonly boolean[]).entries()) {
          if (!kept) continue;
          const { ttlMs, ...lease } = (items as Parameters<Store['renewLeases']>[0])[at]!;
          this.see({ at: 'store.lease-renewed', lease, untilMs: nowMs + ttlMs, nowMs });
        }
        return;
      case 'releaseLeases':
        for (const [at, held] of (reply as readonly boolean[]).entries()) {
          if (!held) continue;
          const lease = (items as readonly LeaseHeld[])[at]!;
          this.note(2, lease.name, -lease.fence, 'given back');
          this.see({ at: 'store.lease-released', lease });
        }
        return;
      default:
    }
  }

  /** Of one that was blocked. What has been let go of by the same command, or by one beside it, may have woken it: it keeps its place. */
  #waitsForLocks(id: string): boolean {
    const task = this.task(id);
    if (task === undefined || isTerminal(task.status)) return false;
    return task.status === 'parked' ? task.parkedFor === 'locks' : !task.undone;
  }

  /** It may have ended without being held: what was noted of it is done when its run lets go. */
  #lookAgain(id: string): void {
    const status = this.task(id)?.status;
    if (status !== undefined && isTerminal(status)) this.#endedUnheld(id);
    if (this.#hasFallen(id)) this.#reap([id]);
  }

  /** It has ended without success, or is to be undone. */
  #hasFallen(id: string): boolean {
    const task = this.task(id);
    return task !== undefined && (task.undone || (isTerminal(task.status) && task.status !== 'completed'));
  }

  /**
   * The children of one that ends, end with it.
   *
   * @param fallen who has ended; others are told of by what ended them, which may be yet to come. Default: whoever it was
   */
  #reap(fallen?: readonly string[]): void {
    const gone = new Set(fallen);
    const endedWith = (id: string | null | undefined): boolean =>
      id !== null && id !== undefined && (gone.has(id) || endedWith(this.task(id)?.parentId));
    for (const id of this.unfinished) {
      const task = this.task(id);
      if (task === undefined || !isTerminal(task.status)) continue;
      if (fallen === undefined || endedWith(task.parentId)) this.#endedUnheld(id);
    }
  }

  /** With it those that ended with it. */
  #putBack(steering: Steering): void {
    this.unfinished.add(steering.id);
    for (const id of this.#known.keys()) {
      const status = this.task(id)?.status;
      if (status === undefined || isTerminal(status) || this.unfinished.has(id)) continue;
      this.unfinished.add(id);
      this.see({ at: 'store.steered', steering: { ...steering, id }, outcome: { at: 'done', status } });
    }
  }

  #endedUnheld(id: string): void {
    if (!this.unfinished.has(id)) return;
    const status = this.task(id)?.status ?? 'cancelled';
    this.see({ at: 'store.ended', id, status });
    this.#ended(id);
  }

  counts(): Readonly<Record<string, TaskCounts>> {
    return this.#disk.counts();
  }

  task(id: string): TaskRecord | undefined {
    return this.#disk.task(id);
  }

  #opened({ epoch }: Opened, nowMs: number): void {
    this.note(2, 'open', epoch);
    this.see({ at: 'store.opened', epoch, nowMs, paused: [...this.unfinished].filter((id) => this.task(id)?.parkedFor === 'operator') });
    // Runs that the former owner lost may have been their tasks' last.
    this.#reap();
  }

  #accepted(task: NewTask): void {
    if (this.#known.has(task.id)) return;
    this.#known.set(task.id, { kind: task.kind, parent: task.parent?.id });
    if (task.parent !== undefined) this.#parents.add(task.parent.id);
    this.unfinished.add(task.id);
    this.statistics.tasks += 1;
    this.note(2, task.id, 0, 'accepted');
    this.see({ at: 'store.accepted', task, isThere: this.task(task.id) !== undefined });
  }

  /** The reply does not say which. */
  #forgot(): void {
    for (const [id, { kind, parent }] of this.#known) {
      if (this.task(id) !== undefined) continue;
      this.#known.delete(id);
      this.#parents.delete(id);
      this.statistics.forgotten += 1;
      this.note(2, id, 0, 'forgotten');
      this.see({ at: 'store.forgot', id, kind, parent });
    }
  }

  #fired(firing: Firing, nowMs: number): void {
    this.note(2, firing.name, firing.atMs, 'fired');
    this.see({ at: 'store.fired', firing, nowMs });
    for (const task of firing.tasks) this.#accepted(task);
  }

  #settled(items: readonly Settlement[], { outcomes }: SettleReply): void {
    const fallen: string[] = [];
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.at !== 'settled') continue;
      const settlement = items[at]!;
      const { id: task } = settlement;
      this.note(2, task, settlement.fence, settlement.outcome.at);
      // A run that completes while it is being cancelled has completed.
      if (settlement.outcome.at === 'completed' && outcome.status === 'completed') {
        for (const sent of settlement.outcome.sends) this.#accepted(sent);
        for (const { key, value, version } of settlement.outcome.writes ?? [])
          this.see({ at: 'store.wrote', key, value, before: version, after: undefined, task });
      }
      if (settlement.outcome.at === 'parked') this.statistics.parked += 1;
      if (settlement.outcome.at === 'lost') this.statistics.lost += 1;
      this.see({ at: 'store.settled', settlement, outcome });
      if (isTerminal(outcome.status)) this.#ended(settlement.id);
      if (outcome.status === 'completed' ? this.#parents.has(task) : this.#hasFallen(task)) fallen.push(task);
    }
    // Each that was settled by the command has been told by its own settlement.
    if (fallen.length > 0) this.#reap(fallen);
  }

  #ended(id: string): void {
    if (!this.unfinished.delete(id)) return;
    const task = this.task(id);
    this.note(5, id, task?.attempt ?? 0);
    if (task === undefined || task.status === 'completed') {
      this.statistics.completed += 1;
      return;
    }
    if (task.status !== 'failed' && task.status !== 'dead' && task.status !== 'cancelled') return;
    this.statistics[task.status] += 1;
    if (task.status === 'cancelled') return;
    const { code, name, message } = JSON.parse(task.error ?? '{}') as {
      readonly code?: string;
      readonly name?: string;
      readonly message?: string;
    };
    const why = code ?? (name === undefined || name === 'Error' ? (message ?? 'unknown').slice(0, 80) : name);
    this.statistics.ends[why] = (this.statistics.ends[why] ?? 0) + 1;
  }
}

/** A decision is told as an event, whose name no other event has. */
function signalOf(told: Signal | Decision): Signal {
  return 'decision' in told ? { id: told.id, name: `approval:${told.name}`, value: told.decision } : told;
}

const WORDS: Readonly<Record<number, string>> = { 1: 'delivers', 2: 'commits', 3: 'calls', 4: 'answers', 5: 'ends', 6: 'strikes' };
