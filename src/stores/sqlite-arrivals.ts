/** SqliteArrivals: how tasks come in, and how many are let in. */
import type { SubmitOutcome, TaskRecord } from '../../actors/ports/store.ts';
import type { Endings } from './sqlite-endings.ts';
import type { Arrival, HeldTask } from './sqlite-held.ts';
import type { Known } from './sqlite-known.ts';
import { orderKeyOf, parseOptions, toRecord } from './sqlite-rows.ts';
import type { BestRow, RecordRow, TaskOptions } from './sqlite-rows.ts';
import type { Cell } from './sqlite-rows-statement.ts';
import { LONGEST_INLINE_INPUT } from './sqlite-schema.ts';
import { rankOf, STATUS } from './task-status.ts';

/** `SubmitOutcome`, before it is seen how a known task stands after all of the command. */
export type ArrivalOutcome = Exclude<SubmitOutcome, { at: 'known' }> | { readonly at: 'known' };

const ACCEPTED: ArrivalOutcome = { at: 'accepted' };
const KNOWN: ArrivalOutcome = { at: 'known' };
const STALE: ArrivalOutcome = { at: 'stale' };

/** Of one database. Everything is called within a transaction. */
export class SqliteArrivals {
  readonly #known: Known;

  constructor(known: Known) {
    this.#known = known;
  }

  submit(tasks: readonly Arrival[], nowMs: number, endings: Endings): ArrivalOutcome[] {
    const welcome = tasks.every(({ parent }) => parent === undefined) ? tasks : tasks.filter((task) => this.mayArrive(task));
    const outcomes = this.#haveRoom(welcome)
      ? this.#insertAll(welcome, nowMs, endings)
      : welcome.map((task) => this.#insertWithinLimits(task, nowMs, endings));
    if (welcome.length === tasks.length) return outcomes;
    let at = 0;
    return tasks.map((task) => (task === welcome[at] ? outcomes[at++]! : STALE));
  }

  /** Within a command that has reasons of its own to let them in; an id that is there is left alone. */
  send(tasks: readonly Arrival[], nowMs: number, endings: Endings): void {
    const outcomes = this.#insertAll(tasks, nowMs, endings);
    tasks.forEach(({ kind, options }, at) => {
      if (options === null && outcomes[at] === ACCEPTED) endings.moves.ready.add(kind);
    });
  }

  /** Whether the family of a root would be too large with these beside those there are, when `ending` has ended. */
  tooManySends(sends: readonly Arrival[], ending: HeldTask): boolean {
    const { maxFamily, families } = this.#known;
    if (maxFamily === Infinity) return false;
    const sent = new Map<string, number>();
    const seen = new Set<string>();
    for (const send of sends) {
      // Of several with one id the first is the one.
      if (seen.has(send.id) || !this.mayArrive(send) || this.#isKnown(send.id)) continue;
      seen.add(send.id);
      const root = send.options?.rootId;
      if (root !== undefined) sent.set(root, (sent.get(root) ?? 0) + 1);
    }
    return [...sent].some(([root, more]) => families.unfinished(root) - (ending.options?.rootId === root ? 1 : 0) + more > maxFamily);
  }

  /** Not when the run that asks for it no longer holds its lease. */
  mayArrive({ parent }: Arrival): boolean {
    if (parent === undefined) return true;
    const held = this.#known.held.get(parent);
    if (held === undefined) return false;
    this.#known.lies(held);
    held.hasAsked = true;
    return true;
  }

  recordOf(id: string): TaskRecord | undefined {
    this.#known.claims.write();
    const row = this.#known.sql.record.get(id) as unknown as RecordRow | undefined;
    return row === undefined ? undefined : toRecord(row);
  }

  /** For all of them, whatever they are. */
  #haveRoom(tasks: readonly Arrival[]): boolean {
    const { tally, families, maxUnfinished, maxFamily } = this.#known;
    if (tally.unfinished + tasks.length > maxUnfinished) return false;
    for (const { kind, options } of tasks) {
      const most = this.#known.mostOfTenant(kind);
      if (most !== Infinity && this.#known.tenants.unfinished(kind, options?.tenant ?? '') + tasks.length > most) return false;
    }
    if (maxFamily !== Infinity) {
      const roots = new Set(tasks.map(({ options }) => options?.rootId));
      for (const root of roots) if (root !== undefined && families.unfinished(root) + tasks.length > maxFamily) return false;
    }
    // Few kinds have a limit of their own.
    const last = tasks.at(-1);
    if (
      last === undefined ||
      (tasks.every(({ kind }) => kind === last.kind) && tally.unfinishedOf(last.kind) + tasks.length <= this.#known.mostOf(last.kind))
    )
      return true;
    return tasks.every(({ kind }) => this.#known.mostOf(kind) === Infinity);
  }

  #insertWithinLimits(task: Arrival, nowMs: number, endings: Endings): ArrivalOutcome {
    const full = this.#fullFor(task);
    if (full === undefined) return this.#insertAll([task], nowMs, endings)[0]!;
    return this.#isKnown(task.id) ? KNOWN : full;
  }

  #fullFor({ parent, kind, options }: Arrival): ArrivalOutcome | undefined {
    const { maxUnfinished, maxFamily, tally, families } = this.#known;
    if (parent === undefined) {
      if (tally.unfinished >= maxUnfinished) return { at: 'full', limit: maxUnfinished };
      const most = this.#known.mostOf(kind);
      if (tally.unfinishedOf(kind) >= most) return { at: 'full', limit: most, of: 'kind' };
      const mostOfTenant = this.#known.mostOfTenant(kind);
      const tenant = options?.tenant;
      if (tenant !== undefined && this.#known.tenants.unfinished(kind, tenant) >= mostOfTenant)
        return { at: 'full', limit: mostOfTenant, of: 'tenant' };
    }
    const root = options?.rootId;
    if (root === undefined || families.unfinished(root) < maxFamily) return undefined;
    return { at: 'full', limit: maxFamily, of: 'family' };
  }

  /** In their order; those that are alike go together, and mostly all are. */
  #insertAll(tasks: readonly Arrival[], nowMs: number, endings: Endings): ArrivalOutcome[] {
    if (tasks.every(({ options }) => options === null)) return this.#insert(tasks, nowMs);
    if (tasks.every(({ options }) => options !== null)) return this.#insertMore(tasks, nowMs, endings);
    return tasks.flatMap((task) => (task.options === null ? this.#insert([task], nowMs) : this.#insertMore([task], nowMs, endings)));
  }

  /** Those that have nothing but what every task has. */
  #insert(tasks: readonly Arrival[], nowMs: number): ArrivalOutcome[] {
    const known = this.#known;
    const firstSeq = known.lastSeq + 1;
    const cells: Cell[] = [];
    for (const task of tasks) this.#cellsOf(task, nowMs, cells);
    const allNew = known.sql.insert.run(cells, nowMs) === tasks.length;
    return tasks.map((task, at) => {
      const seq = firstSeq + at;
      // An id that was there keeps its row; of two in this batch the first has made it.
      if (!allNew && (known.sql.seqOf.get(task.id) as unknown as [number])[0] !== seq) return KNOWN;
      this.#keepLongInput(seq, task.input);
      known.tally.arrived(task.kind, STATUS.queued);
      known.turns.queued(task.kind, '', 0, this.#rowOf(seq, task, nowMs));
      return ACCEPTED;
    });
  }

  #insertMore(tasks: readonly Arrival[], nowMs: number, endings: Endings): ArrivalOutcome[] {
    const known = this.#known;
    const firstSeq = known.lastSeq + 1;
    const cells: Cell[] = [];
    const keys = endings.moves.order.keysInUse(tasks.map(({ options }) => orderKeyOf(options)));
    const arrivals = tasks.map((task) => {
      const isExempt = this.#isExempt(task);
      const options = isExempt ? { ...task.options, exempt: true as const } : task.options!;
      const json = isExempt ? JSON.stringify(options) : task.json;
      const place = this.#placeOf(options, keys, nowMs);
      const { tenant = '', deadlineMs = null } = options;
      cells.push(place.status, place.atMs, place.parkedFor, tenant, place.orderKey, deadlineMs, json);
      this.#cellsOf(task, nowMs, cells);
      return { options, json, tenant, ...place };
    });
    const allNew = known.sql.insertMore.run(cells, nowMs) === tasks.length;
    return tasks.map((task, at) => {
      const seq = firstSeq + at;
      const { options, json, tenant, status, orderKey, isFirst } = arrivals[at]!;
      if (!allNew && (known.sql.seqOf.get(task.id) as unknown as [number])[0] !== seq) return KNOWN;
      this.#keepLongInput(seq, task.input);
      known.keepOptions(seq, options);
      known.tally.arrived(task.kind, status);
      known.count(task.kind, options, 1);
      if (orderKey !== null) {
        if (isFirst) known.isAlone(orderKey, seq);
        else known.notAlone(orderKey);
      }
      if (orderKey !== null && !isFirst) endings.moves.order.arrived(orderKey, task.priority);
      else if (status === STATUS.queued) endings.moves.arrived(tenant, this.#rowOf(seq, task, nowMs, json));
      return ACCEPTED;
    });
  }

  /** Where it begins. `keys`: those that others have, or tasks that come with it. */
  #placeOf(options: TaskOptions, keys: Set<string>, nowMs: number) {
    const orderKey = orderKeyOf(options);
    const isEarly = options.notBeforeMs !== undefined && options.notBeforeMs > nowMs;
    // Nobody else has its key: it is its turn. Else `arrange` queues whoever has it.
    const isFirst = orderKey !== null && !isEarly && !keys.has(orderKey);
    if (orderKey !== null) keys.add(orderKey);
    const parkedFor = isEarly ? 'time' : orderKey === null || isFirst ? null : 'order';
    const status = parkedFor === null ? STATUS.queued : STATUS.parked;
    const atMs = isEarly ? options.notBeforeMs : parkedFor === null ? nowMs : null;
    return { status, atMs, parkedFor, orderKey, isFirst };
  }

  #cellsOf({ id, kind, version, input, priority, maxAttempts, maxLosses, depth, parent }: Arrival, nowMs: number, cells: Cell[]): void {
    cells.push(
      (this.#known.lastSeq += 1),
      id,
      kind,
      version,
      priority,
      rankOf(nowMs, priority, this.#known.agingMs),
      maxAttempts,
      maxLosses,
      depth,
      parent === undefined ? null : parent.id,
      parent === undefined ? null : parent.place,
      input.length > LONGEST_INLINE_INPUT ? null : input,
    );
  }

  /** What is found of it when it is claimed first. */
  #rowOf(seq: number, task: Arrival, nowMs: number, json: string | null = null): BestRow {
    const { id, kind, version, input, priority, maxLosses, depth, parent } = task;
    const rank = rankOf(nowMs, priority, this.#known.agingMs);
    const stored = input.length > LONGEST_INLINE_INPUT ? null : input;
    return [seq, id, kind, version, stored, priority, 0, depth, parent?.id ?? null, 0, 0, maxLosses, 0, rank, 0, json, null];
  }

  #keepLongInput(seq: number, input: string): void {
    if (input.length > LONGEST_INLINE_INPUT) this.#known.sql.insertLongInput.run(seq, input);
  }

  /** An ancestor has the same order key: it waits for this one, or may. */
  #isExempt({ options, parent }: Arrival): boolean {
    const orderKey = options?.orderKey;
    if (orderKey === undefined) return false;
    for (let id: string | null | undefined = parent?.id; typeof id === 'string';) {
      const [json, above] = (this.#known.sql.lineage.get(id) ?? []) as unknown as [string | null, string | null];
      if (parseOptions(json ?? null)?.orderKey === orderKey) return true;
      id = above;
    }
    return false;
  }

  #isKnown(id: string): boolean {
    return this.#known.sql.seqOf.get(id) !== undefined;
  }
}
