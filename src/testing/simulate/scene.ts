/**
 * Scene: what one simulation sees, and what it has seen. Facts come in here; they go to the checkers,
 * into the trace and into the statistics, and nothing of them is kept that need not be.
 */
import { isTerminal } from '../../../actors/ports/store.ts';
import type {
  ClaimedTask,
  RememberItem,
  RenewItem,
  Settlement,
  SettleReply,
  StartOutcome,
  SubmitOutcome,
  SweepReply,
} from '../../../actors/ports/store.ts';
import type { Held, NewTask, Opened, TaskRecord } from '../../../actors/ports/store.ts';
import type { MemoryDisk } from '../../stores/memory.ts';
import type { Topology } from '../../topology/fleet.ts';
import type { Fact } from '../invariants/fact.ts';
import type { Invariant } from '../invariants/invariant.ts';
import { Trace } from '../trace.ts';
import type { Command } from './faulty-store.ts';
import { noStatistics } from './result.ts';
import type { Violation } from './result.ts';

/** What comes after the first hundred says nothing new. */
const MOST_VIOLATIONS = 100;

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
  readonly #handlers = new Map<Fact['at'], Handler[]>();
  readonly #known = new Set<string>();
  readonly #disk: MemoryDisk;
  readonly #startMs: number;
  readonly #nowMs: () => number;
  readonly #full: boolean;

  constructor(topology: Topology, invariants: readonly Invariant[], disk: MemoryDisk, nowMs: () => number, full: boolean) {
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
  committed(command: Command, items: unknown, reply: unknown): void {
    switch (command) {
      case 'open':
        return this.#opened(reply as Opened);
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
          if (outcome.at !== 'started') continue;
          const held = (items as readonly Held[])[at]!;
          this.note(2, held.id, outcome.attempt, 'started');
          this.see({ at: 'store.started', held });
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
          this.statistics.lost += 1;
        }
        return;
      default:
    }
  }

  counts(): ReturnType<MemoryDisk['tasks']['counts']> {
    return this.#disk.tasks.counts();
  }

  task(id: string): TaskRecord | undefined {
    return this.#disk.tasks.get([id])[0];
  }

  #opened({ epoch }: Opened): void {
    this.note(2, 'open', epoch);
    this.see({ at: 'store.opened', epoch });
    // Runs that the former owner lost may have been their tasks' last.
    for (const id of this.unfinished) {
      const task = this.task(id);
      if (task !== undefined && isTerminal(task.status)) this.#ended(id);
    }
  }

  #accepted(task: NewTask): void {
    if (this.#known.has(task.id)) return;
    this.#known.add(task.id);
    this.unfinished.add(task.id);
    this.statistics.tasks += 1;
    this.note(2, task.id, 0, 'accepted');
    this.see({ at: 'store.accepted', task, isThere: this.task(task.id) !== undefined });
  }

  #settled(items: readonly Settlement[], { outcomes }: SettleReply): void {
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.at !== 'settled') continue;
      const settlement = items[at]!;
      this.note(2, settlement.id, settlement.fence, settlement.outcome.at);
      if (settlement.outcome.at === 'completed') for (const sent of settlement.outcome.sends) this.#accepted(sent);
      if (settlement.outcome.at === 'parked') this.statistics.parked += 1;
      if (settlement.outcome.at === 'lost') this.statistics.lost += 1;
      this.see({ at: 'store.settled', settlement, outcome });
      if (isTerminal(outcome.status)) this.#ended(settlement.id);
    }
  }

  #ended(id: string): void {
    if (!this.unfinished.delete(id)) return;
    const task = this.task(id);
    this.note(5, id, task?.attempt ?? 0);
    if (task === undefined || task.status === 'completed') {
      this.statistics.completed += 1;
      return;
    }
    if (task.status === 'failed' || task.status === 'dead') this.statistics[task.status] += 1;
    const { code, name, message } = JSON.parse(task.error ?? '{}') as {
      readonly code?: string;
      readonly name?: string;
      readonly message?: string;
    };
    const why = code ?? (name === undefined || name === 'Error' ? (message ?? 'unknown').slice(0, 80) : name);
    this.statistics.ends[why] = (this.statistics.ends[why] ?? 0) + 1;
  }
}

const WORDS: Readonly<Record<number, string>> = { 1: 'delivers', 2: 'commits', 3: 'calls', 4: 'answers', 5: 'ends', 6: 'strikes' };
