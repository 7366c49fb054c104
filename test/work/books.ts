/**
 * Books: what a store has committed, kept beside it by somebody who only reads along, and compared with what it shows
 * whenever nothing is under way.
 */
import { isTerminal, MOST_PASSED } from '../../actors/ports/store.ts';
import type {
  ClaimedTask,
  Firing,
  Held,
  LockWant,
  NewTask,
  RenewItem,
  Settlement,
  SettleOutcome,
  SettleReply,
  StartOutcome,
  Steering,
  Store,
  SubmitOutcome,
  SweepReply,
  TaskRecord,
  TaskStatus,
} from '../../actors/ports/store.ts';
import type { Command } from '../runtime/harness.ts';
import { letsOthersBy } from './programs.ts';
import type { Program } from './programs.ts';
import type { Witness } from './witness.ts';

/** How often the runtime sweeps, at least (`L2`), and what delays add to it. */
const SWEEP_MS = 5_000;
const SLACK_MS = 2_000;

/** A task that stands in line for locks, and by how many younger ones it has been passed. */
interface Waiting {
  readonly sinceMs: number;
  /** Its place among all tasks: of those who came at the same moment the first one is the older. */
  readonly seq: number;
  readonly wants: readonly LockWant[];
  passed: number;
}

export class Books {
  /** Tasks by id, in order of acceptance. */
  readonly accepted = new Map<string, NewTask>();
  readonly acknowledged = new Set<string>();
  readonly #witness: Witness;
  readonly #fences = new Map<string, number>();
  readonly #leases = new Map<string, number>();
  /** Tasks under lease, and their fences. */
  readonly #held = new Map<string, number>();
  /** Since when there has been a process that could sweep. */
  #upSinceMs = 0;
  readonly #completed = new Set<string>();
  readonly #ended = new Map<string, string>();
  readonly #cancelled = new Set<string>();
  /** Tasks that end: with them whom they have asked, of which no answer says so here. */
  readonly #fallen = new Set<string>();
  readonly #line = new Map<string, Waiting>();
  readonly #granted = new Set<string>();
  /** What each task has got with its last start. */
  readonly #locks = new Map<string, readonly LockWant[]>();
  /** Those that are being undone; and, of those that held locks when they came to it, what they keep until they have ended. */
  readonly #undoing = new Set<string>();
  readonly #kept = new Map<string, readonly LockWant[]>();

  constructor(witness: Witness) {
    this.#witness = witness;
    witness.onFirstStart = (id, program) => this.#inTurn(id, program);
  }

  /** A process begins, which takes everything back that others held. */
  begins(nowMs: number): void {
    this.#upSinceMs = nowMs;
    this.#held.clear();
  }

  /** For `faultyStore`: one command and its answer, at the moment of its commit. */
  readonly committed = (command: Command, items: unknown, reply: unknown, nowMs: number): void => {
    if (command === 'submit') this.#submitted(items as readonly NewTask[], reply as readonly SubmitOutcome[]);
    else if (command === 'fireSchedules') this.#fired(items as readonly Firing[], (reply as { readonly fired: readonly boolean[] }).fired);
    else if (command === 'claim') this.#claimed((items as { leaseUntilMs: number }).leaseUntilMs, reply as readonly ClaimedTask[]);
    else if (command === 'renew') this.#renewed(items as readonly RenewItem[], reply as readonly boolean[]);
    else if (command === 'start') this.#started(items as readonly Held[], reply as readonly StartOutcome[], nowMs);
    else if (command === 'settle') this.#settled(items as readonly Settlement[], reply as SettleReply);
    else if (command === 'sweep') this.#swept(reply as SweepReply);
    else if (command === 'steer') this.#steered(items as readonly Steering[]);
  };

  /** Compares what the store shows with what it has promised. */
  async look(store: Store, nowMs: number): Promise<readonly TaskRecord[]> {
    const [tasks, counts] = [await store.list({ limit: 1_000 }), await store.counts()];
    const shown = new Set(tasks.map(({ id }) => id));
    for (const id of this.acknowledged) if (!shown.has(id)) this.#witness.breaks('S1', `${id} was acknowledged and is not there`);
    for (const kind of ['work', 'helper']) {
      const counted = Object.values(counts[kind] ?? {}).reduce((sum, n) => sum + n, 0);
      const accepted = [...this.accepted.values()].filter((task) => task.kind === kind).length;
      if (counted !== accepted) this.#witness.breaks('S14', `${counted} tasks of ${kind} are counted, ${accepted} were accepted`);
    }
    for (const task of tasks) this.#lookAt(task, nowMs);
    this.#lookAtFamilies(tasks);
    // Who waits for locks waits for somebody who has them, or is about to: never for a time to pass.
    const waits = tasks.find(({ parkedFor }) => parkedFor === 'locks');
    const goesOn = ({ status, undone }: TaskRecord): boolean =>
      status === 'queued' || status === 'leased' || status === 'running' || (status === 'retrying' && undone);
    if (waits !== undefined && !tasks.some(goesOn)) {
      const standing = tasks
        .filter(({ status }) => !isTerminal(status))
        .map(({ id, status, parkedFor }) => `${id} ${status} ${parkedFor ?? ''}`);
      this.#witness.breaks('L1', `${waits.id} waits for locks that nobody has: ${standing.join(', ')}`);
    }
    return tasks;
  }

  #lookAt({ id, status, result, fence }: TaskRecord, nowMs: number): void {
    const said = `${status} ${result}`;
    const before = this.#ended.get(id);
    if (before !== undefined && before !== said) this.#witness.breaks('S2', `${id} had ended as ${before}, and is ${said}`);
    if (isTerminal(status)) this.#ended.set(id, said);
    if (status !== 'leased' && status !== 'running') return;
    const sinceMs = Math.max(this.#leases.get(`${id} ${fence}`) ?? 0, this.#upSinceMs);
    if (nowMs > sinceMs + SWEEP_MS + SLACK_MS) this.#witness.breaks('L2', `${id} is ${status} ${nowMs - sinceMs} ms after its lease`);
  }

  /** Nobody goes on for a task that has ended, but to be undone or to let go. */
  #lookAtFamilies(tasks: readonly TaskRecord[]): void {
    const over = new Set(tasks.flatMap(({ id, status }) => (isTerminal(status) ? [id] : [])));
    for (const { id, parentId, status, undone, noted } of tasks)
      if (parentId !== null && over.has(parentId) && !isTerminal(status) && !undone && noted !== 'cancel')
        this.#witness.breaks('family', `${id} is ${status}, and ${parentId}, which asked for it, has ended`);
  }

  #submitted(tasks: readonly NewTask[], outcomes: readonly SubmitOutcome[]): void {
    for (const [at, task] of tasks.entries()) if (outcomes[at]!.at === 'accepted') this.accepted.set(task.id, task);
  }

  #fired(items: readonly Firing[], fired: readonly boolean[]): void {
    for (const [at, { tasks }] of items.entries()) if (fired[at]!) for (const task of tasks) this.accepted.set(task.id, task);
  }

  #claimed(leaseUntilMs: number, tasks: readonly ClaimedTask[]): void {
    for (const { id, fence } of tasks) {
      const last = this.#fences.get(id) ?? 0;
      if (fence <= last) this.#witness.breaks('S3', `${id} was claimed under fence ${fence} after ${last}`);
      if (this.#held.has(id)) this.#witness.breaks('S13', `${id} was claimed, and is held under fence ${this.#held.get(id)}`);
      this.#held.set(id, fence);
      if (this.#completed.has(id)) this.#witness.breaks('S2', `${id} was claimed after it had been completed`);
      this.#fences.set(id, Math.max(last, fence));
      this.#leases.set(`${id} ${fence}`, leaseUntilMs);
    }
  }

  #renewed(items: readonly RenewItem[], kept: readonly boolean[]): void {
    for (const [at, { id, fence, leaseUntilMs }] of items.entries()) {
      if (kept[at]!) this.#leases.set(`${id} ${fence}`, leaseUntilMs);
    }
  }

  #settled(items: readonly Settlement[], { outcomes }: SettleReply): void {
    for (const [at, { id, fence, outcome }] of items.entries()) {
      if (outcomes[at]!.at !== 'settled') continue;
      this.#held.delete(id);
      const last = this.#fences.get(id) ?? 0;
      if (fence !== last) this.#witness.breaks('S2', `${id} was settled as ${outcome.at} under fence ${fence}, though ${last} is the last`);
      // Whoever waits for something else has left the line for locks.
      if (outcome.at !== 'released' && outcome.at !== 'lost') this.#line.delete(id);
      this.#letsGo(id, outcome.at, (outcomes[at] as Extract<SettleOutcome, { at: 'settled' }>).status);
      if (outcome.at === 'failed' || outcome.at === 'dead' || outcome.at === 'completed') this.#fallen.add(id);
      if (outcome.at !== 'completed') continue;
      if (this.#completed.has(id)) this.#witness.breaks('S2', `${id} was completed twice`);
      this.#completed.add(id);
    }
  }

  /** Who is cancelled leaves the line, and so do the children, as soon as the runs let go: no answer says when. */
  #steered(items: readonly Steering[]): void {
    for (const { id, action } of items) {
      if (action === 'requeue') this.#ended.delete(id);
      else this.#cancelled.add(id);
    }
  }

  #swept({ expired, ended }: SweepReply): void {
    for (const { id, status } of expired) {
      this.#held.delete(id);
      this.#letsGo(id, 'lost', status);
    }
    for (const id of ended) this.#kept.delete(id);
  }

  /** Who is to be undone keeps what it holds until it has ended, unless it parks. */
  #letsGo(id: string, outcome: Settlement['outcome']['at'], status: TaskStatus): void {
    const isOver = outcome === 'failed' || outcome === 'dead' || (this.#cancelled.has(id) && outcome === 'released');
    const goesOn = status === 'queued' || status === 'retrying';
    const keeps = goesOn && (this.#undoing.has(id) ? outcome !== 'parked' && outcome !== 'undone' : isOver);
    const locks = this.#locks.get(id) ?? [];
    // With an order key it may have to park for its turn, of which nobody says so here.
    if (keeps && locks.length > 0 && this.accepted.get(id)?.orderKey === undefined) this.#kept.set(id, locks);
    else this.#kept.delete(id);
  }

  #keepsOut(id: string, locks: readonly LockWant[]): void {
    for (const [other, kept] of this.#kept)
      if (other !== id && exclude(locks, kept))
        this.#witness.breaks('undo', `${id} starts while ${other}, which wants the same, is being undone`);
  }

  /** It, or somebody that it works for. */
  #isCancelled(id: string): boolean {
    if (this.#cancelled.has(id.split('/')[0]!)) return true;
    for (let at = id.lastIndexOf('/'); at >= 0; at = id.lastIndexOf('/', at - 1)) if (this.#fallen.has(id.slice(0, at))) return true;
    return false;
  }

  /** Who starts passes everybody who has stood in line for the same for longer. */
  #started(items: readonly Held[], outcomes: readonly StartOutcome[], nowMs: number): void {
    for (const [at, { id, fence }] of items.entries()) {
      const outcome = outcomes[at]!;
      const own = this.#line.get(id);
      if (outcome.at === 'blocked') {
        if (this.#kept.has(id)) this.#witness.breaks('undo', `${id} is blocked, and has kept its locks to be undone`);
        this.#held.delete(id);
        const wants = this.accepted.get(id)?.locks ?? [];
        // A clock that is behind makes nobody older than those who stand there.
        const sinceMs = Math.max(nowMs, ...Array.from(this.#line.values(), (other) => other.sinceMs));
        if (own === undefined) this.#line.set(id, { sinceMs, seq: this.#seqOf(id), wants, passed: 0 });
      } else if (outcome.at === 'started') {
        // Asked again after a failure, it is the same start.
        if (this.#granted.has(`${id} ${fence}`)) continue;
        this.#granted.add(`${id} ${fence}`);
        this.#line.delete(id);
        this.#locks.set(id, outcome.locks);
        if (outcome.undo !== null) this.#undoing.add(id);
        this.#keepsOut(id, outcome.locks);
        // It has had them all the time; or it may have: with an order key, or cancelled with its parent, nobody says so here.
        if (this.#kept.has(id) || (outcome.undo !== null && (this.accepted.get(id)?.orderKey !== undefined || this.#isCancelled(id))))
          continue;
        // Who comes only now may still be the older of two of the same moment.
        const asker = own ?? { sinceMs: nowMs, seq: this.#seqOf(id) };
        for (const [other, waiting] of this.#line) {
          if (isOlder(asker, waiting) || !exclude(outcome.locks, waiting.wants)) continue;
          waiting.passed += 1;
          // With an order key it may be its turn with the locks and not with the key: then it is not there to be run.
          const isThere = !this.#isCancelled(other) && this.accepted.get(other)?.orderKey === undefined;
          if (waiting.passed <= MOST_PASSED || !isThere) continue;
          this.#witness.breaks('L5', `${other} was passed by ${waiting.passed} that came after it, ${id} the last`);
        }
      }
    }
  }

  #seqOf(id: string): number {
    return [...this.accepted.keys()].indexOf(id);
  }

  /** Of one key, nobody starts before those who came earlier have ended, unless they wait for what others may bring. */
  #inTurn(id: string, { key }: Program): void {
    if (key === undefined) return;
    for (const [earlier, task] of this.accepted) {
      if (earlier === id) return;
      const program = JSON.parse(task.input) as Program;
      if (
        task.kind !== 'work' ||
        program.key !== key ||
        letsOthersBy(program) ||
        this.#witness.started.has(earlier) ||
        this.#isCancelled(earlier)
      )
        continue;
      this.#witness.breaks('S13', `${id} of ${key} starts before ${earlier}, which came earlier`);
    }
  }
}

function isOlder(one: Pick<Waiting, 'sinceMs' | 'seq'>, other: Waiting): boolean {
  return one.sinceMs < other.sinceMs || (one.sinceMs === other.sinceMs && one.seq < other.seq);
}

function exclude(some: readonly LockWant[], others: readonly LockWant[]): boolean {
  return some.some((one) => others.some(({ resource, mode }) => resource === one.resource && (mode === 'write' || one.mode === 'write')));
}
