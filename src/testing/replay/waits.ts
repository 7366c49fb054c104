/**
 * Waits: who waits for what at a step of a recording, and who holds it. Folded over the steps, forwards.
 */
import type { QueueTurn, ShownFact, Step } from './recorder.ts';

interface Task {
  readonly id: string;
  readonly kind: string;
  readonly parent: string | undefined;
  at: 'queued' | 'leased' | 'running' | 'parked' | 'retrying';
  /** Of one that is parked. */
  children: readonly string[];
}

/** A question for a permit. */
interface Ask {
  readonly dependency: string;
  readonly worker: string;
}

export class Waits {
  readonly #tasks = new Map<string, Task>();
  /** By idempotency key. */
  readonly #calls = new Map<string, { readonly dependency: string; readonly task: string }>();
  readonly #asks = new Map<number, Ask>();
  /** By worker: which task it runs. */
  readonly #runs = new Map<string, string>();
  /** By task: in whose mailbox it is. */
  readonly #mailboxes = new Map<string, string>();
  /** By kind: its workers. */
  readonly #workers = new Map<string, readonly string[]>();

  see({ seen }: Step): void {
    if (seen.at === 'fault') return;
    if (seen.at === 'turn') {
      if (seen.queue !== undefined) this.#queue(seen.queue);
    } else this.#fact(seen);
  }

  /** One sentence for each that waits, in the order in which tasks came; those that wait alike are one. */
  says(): readonly string[] {
    const groups = new Map<string, string[]>();
    for (const task of this.#tasks.values()) {
      const waits = this.#waitOf(task);
      const names = groups.get(waits);
      if (names === undefined) groups.set(waits, [nameOf(task)]);
      else names.push(nameOf(task));
    }
    return [...groups].map(([waits, names]) => (names.length === 1 ? `${names[0]!} ${waits}` : `${some(names)} ${inPlural(waits)}`));
  }

  #waitOf(task: Task): string {
    switch (task.at) {
      case 'parked':
        return `waits for ${task.children.length === 0 ? 'its time, parked' : `one of its children: ${some(task.children)}`}, holding nothing`;
      case 'retrying':
        return 'waits for its next attempt, holding nothing';
      case 'queued':
        return `waits for a worker of ${task.kind}${this.#heldWorkers(task.kind)}`;
      case 'leased':
      case 'running':
        return this.#busyOf(task);
    }
  }

  #busyOf(task: Task): string {
    const mailbox = this.#mailboxes.get(task.id);
    if (mailbox !== undefined) return `waits in the mailbox of ${mailbox}, held by ${this.#runs.get(mailbox) ?? 'nobody'}`;
    const worker = [...this.#runs].find(([, id]) => id === task.id)?.[0];
    const holds = worker === undefined ? '' : `, holding ${worker}`;
    const waits = [
      ...[...this.#asks.values()]
        .filter((ask) => ask.worker === worker)
        .map(({ dependency }) => `for a permit of ${dependency}${this.#heldPermits(dependency)}`),
      ...[...this.#calls.values()]
        .filter((call) => call.task === task.id)
        .map(({ dependency }) => `for ${dependency} to answer, holding a permit`),
    ];
    const children = [...this.#tasks.values()].filter(({ parent }) => parent === task.id).map(({ id }) => id);
    if (children.length > 0) waits.push(`perhaps for its children: ${some(children)}`);
    return waits.length === 0
      ? `${task.at === 'running' ? 'runs' : 'is claimed, and about to start'}${holds}`
      : `waits ${waits.join(', and ')}${holds}`;
  }

  #heldWorkers(kind: string): string {
    const held = (this.#workers.get(kind) ?? []).flatMap((worker) => this.#runs.get(worker) ?? []);
    return held.length === 0 ? '' : `, held by ${some(held)}`;
  }

  #heldPermits(dependency: string): string {
    const held = [...this.#calls.values()].filter((call) => call.dependency === dependency).map(({ task }) => task);
    return held.length === 0 ? ', which nobody holds' : `, held by ${some(held)}`;
  }

  #queue({ kind, slots }: QueueTurn): void {
    const before = new Map(this.#runs);
    for (const worker of this.#workers.get(kind) ?? []) {
      this.#runs.delete(worker);
      for (const [task, holder] of this.#mailboxes) if (holder === worker) this.#mailboxes.delete(task);
    }
    this.#workers.set(
      kind,
      slots.map(({ worker }) => worker),
    );
    for (const { worker, run, mailbox } of slots) {
      // What an earlier run of this worker asked for is nobody's any more.
      if (before.get(worker) !== run) for (const [ask, asked] of this.#asks) if (asked.worker === worker) this.#asks.delete(ask);
      if (run !== undefined) this.#runs.set(worker, run);
      for (const task of mailbox) this.#mailboxes.set(task, worker);
    }
  }

  #fact(fact: ShownFact): void {
    switch (fact.at) {
      case 'store.accepted': {
        const { id, kind, parent } = fact.task;
        this.#tasks.set(id, { id, kind, parent: parent?.id, at: 'queued', children: [] });
        return;
      }
      case 'store.claimed':
        return this.#move(fact.task.id, 'leased');
      case 'store.started':
        return this.#move(fact.held.id, 'running');
      case 'store.settled':
        return this.#settled(fact);
      case 'store.expired':
        return this.#become(fact.held.id, fact.held.status);
      case 'call.began':
        this.#calls.set(fact.key, { dependency: fact.dependency, task: fact.task });
        return;
      case 'call.ended':
        this.#calls.delete(fact.key);
        return;
      case 'limiter.asked':
        this.#asks.set(fact.ask, { dependency: fact.dependency, worker: fact.who });
        return;
      case 'limiter.answered':
        this.#asks.delete(fact.ask);
        return;
      case 'actor.spawned':
        // A limiter that starts anew has forgotten who asked; whoever still waits asks again.
        for (const [ask, { dependency }] of this.#asks) if (fact.id.endsWith(`/dependencies/${dependency}`)) this.#asks.delete(ask);
        return;
      case 'process.killed':
        this.#forget();
        return;
      default:
    }
  }

  /** What a process knew is gone with it; its leases go back to the queue. */
  #forget(): void {
    for (const map of [this.#calls, this.#asks, this.#runs, this.#mailboxes, this.#workers]) map.clear();
    for (const task of this.#tasks.values()) if (task.at === 'leased' || task.at === 'running') task.at = 'queued';
  }

  #settled({ settlement: { id, outcome }, outcome: { status } }: Extract<ShownFact, { readonly at: 'store.settled' }>): void {
    const task = this.#tasks.get(id);
    if (task !== undefined) task.children = outcome.at === 'parked' ? outcome.children : [];
    this.#become(id, status);
  }

  #become(id: string, status: string): void {
    if (status === 'queued' || status === 'parked' || status === 'retrying') return this.#move(id, status);
    const parent = this.#tasks.get(id)?.parent;
    this.#tasks.delete(id);
    // Its parent is woken in the same transaction.
    const waiting = parent === undefined ? undefined : this.#tasks.get(parent);
    if (waiting?.at === 'parked' && waiting.children.includes(id)) waiting.at = 'queued';
  }

  #move(id: string, at: Task['at']): void {
    const task = this.#tasks.get(id);
    if (task !== undefined) task.at = at;
  }
}

function nameOf({ id, kind }: Task): string {
  return `${id} (${kind})`;
}

function inPlural(waits: string): string {
  return waits.replace(/^(?:wait|run)s\b/, (verb) => verb.slice(0, -1)).replace(/^is /, 'are ');
}

const MOST_NAMES = 5;

function some(names: readonly string[]): string {
  return names.length <= MOST_NAMES ? names.join(', ') : `${names.slice(0, MOST_NAMES).join(', ')} and ${names.length - MOST_NAMES} more`;
}
