/**
 * LockTable: who holds which resources, and who waits for them. Pure and in memory; a store that has
 * a disk writes its changes through (`takeChanges`) and loads it when it opens (`load`).
 *
 *     take ──▶ held ── release ──▶ gone
 *      │        ▲
 *      ▼        │ take, granted
 *     stands ── woken (by `release`, `forget`, `lapse`, or a `take` that is blocked again)
 *      ▲        │
 *      └────────┘ take, blocked: the place in line is kept
 *
 * A set is taken whole or not at all, so nobody holds while he waits, and no ring of waiting can
 * close. Whoever is woken holds nothing yet: a newcomer may still pass him. That is counted, and
 * after `mostPassed`, or after one who is drawn to be the last (`isLastToPass`), the waiter has a
 * reservation: nobody younger takes what it wants. So a wide set is not starved by a stream of narrow
 * ones, and neighbours do not fall into a beat. The reservation of one that was woken and does not come
 * within `PROMISE_MS` is void until it has tried again: one that cannot run is in nobody's way.
 *
 * Those who have been woken could all run together: with the holders, with each other, and with those
 * who have a reservation and are older. Nobody stands who could be woken. That is looked at again
 * whenever something is let go, and only in the lines of what was let go.
 *
 * Tasks are called by `seq`, their order of arrival; of those who stand since the same time the
 * lower one is the older.
 */
import { invariant } from '../kernel/errors.ts';
import type { LockWant } from '../ports/store.ts';
import { excludes } from './lock-wants.ts';
import { isLastToPass } from './passing.ts';
import { isOlder, WaitLine } from './wait-line.ts';
import type { Place, Waiter } from './wait-line.ts';

/** How long a reservation holds for one that was woken. */
export const PROMISE_MS = 30_000;

/** One that holds all that it wants. */
export interface LockHolder {
  readonly seq: number;
  readonly wants: readonly LockWant[];
  /** Greater than every token before it. */
  readonly token: number;
}

/** One that waits, as a row keeps it. */
export interface LockWaiter {
  readonly seq: number;
  readonly wants: readonly LockWant[];
  readonly sinceMs: number;
  /** By how many; `mostPassed` when nobody may pass it any more. */
  readonly passed: number;
  readonly wokenAtMs: number | null;
}

export interface TakeCommand {
  readonly seq: number;
  /** No resource twice. While it stands in line, the same as before or more. */
  readonly wants: readonly LockWant[];
  readonly nowMs: number;
  /** Whether it stands in line when it is blocked. Default: true. */
  readonly waits?: boolean;
}

export type TakeOutcome =
  | { readonly at: 'granted'; readonly token: number }
  | {
      readonly at: 'blocked';
      /** The first of what it wants that it cannot have. */
      readonly resource: string;
      /** Who has it, or has a reservation for it. */
      readonly holder: number;
      /** Those who can be told to try now, oldest first, because this one cannot run yet. */
      readonly wake: readonly number[];
    };

/** How one stands after what has happened since the last look; neither: it is gone. */
export interface LockChange {
  readonly seq: number;
  readonly holder: LockHolder | undefined;
  readonly waiter: LockWaiter | undefined;
}

export interface LockTableOptions {
  /** How many younger ones may pass a waiter, at most: a whole number, at least 0. */
  readonly mostPassed: number;
  /** The next lock token. Called once for each grant. */
  readonly nextToken: () => number;
  /** Whether `takeChanges` is going to be asked. Default: false. */
  readonly keepsChanges?: boolean;
}

interface Resource {
  writer: LockHolder | undefined;
  readonly readers: Set<LockHolder>;
  readonly waiting: { readonly read: WaitLine; readonly write: WaitLine };
  /** Woken, and not come yet. Some may have lapsed since `lapse` was called. */
  readonly woken: { readonly read: Set<Waiter>; readonly write: Set<Waiter> };
}

const NOBODY: readonly never[] = [];

/** All the locks of one store. */
export class LockTable {
  /** May be changed at any time. */
  mostPassed: number;
  readonly #nextToken: () => number;
  readonly #resources = new Map<string, Resource>();
  readonly #holders = new Map<number, LockHolder>();
  readonly #waiters = new Map<number, Waiter>();
  /** Those who were woken and not looked at since they lapsed, in order of waking. */
  readonly #promised = new Set<Waiter>();
  readonly #changed: Set<number> | undefined;
  #latestMs = -Infinity;

  constructor({ mostPassed, nextToken, keepsChanges = false }: LockTableOptions) {
    this.mostPassed = mostPassed;
    this.#nextToken = nextToken;
    this.#changed = keepsChanges ? new Set() : undefined;
  }

  /** Takes everything or nothing. One that holds already may not ask. */
  take({ seq, wants, nowMs, waits = true }: TakeCommand): TakeOutcome {
    invariant(!this.#holders.has(seq), `task ${seq} holds its locks already`);
    const known = this.#waiters.get(seq);
    const asker = known ?? { seq, sinceMs: sinceAfter(this.#latestMs, nowMs) };
    const blocker = this.#blocker(asker, wants, nowMs);
    if (blocker === undefined) {
      const token = this.#nextToken();
      this.#countPassing(asker, wants, token);
      if (known !== undefined) this.#leave(known);
      return { at: 'granted', token: this.#hold({ seq, wants, token }) };
    }
    if (!waits) return { ...blocker, at: 'blocked', wake: NOBODY };
    const wasWoken = known !== undefined && known.wokenAtMs !== null;
    if (known !== undefined && known.wants !== wants) this.#leave(known);
    if (known === undefined || known.wants !== wants) {
      this.#join({ seq, wants, sinceMs: asker.sinceMs, passed: known?.passed ?? 0, wokenAtMs: null });
    } else if (wasWoken) {
      this.#unpromise(known);
      known.wokenAtMs = null;
      this.#changed?.add(seq);
    }
    return { ...blocker, at: 'blocked', wake: wasWoken ? this.#wake(wants, nowMs) : NOBODY };
  }

  /** Stands in line without having tried, if it could not have all now. Whether it does. */
  stand({ seq, wants, nowMs }: Omit<TakeCommand, 'waits'>): boolean {
    invariant(!this.#holders.has(seq) && !this.#waiters.has(seq), `task ${seq} holds its locks or waits for them already`);
    const sinceMs = sinceAfter(this.#latestMs, nowMs);
    if (this.#blocker({ seq, sinceMs }, wants, nowMs) === undefined) return false;
    this.#join({ seq, wants, sinceMs, passed: 0, wokenAtMs: null });
    return true;
  }

  /** Lets go of all that it holds. Who can be told to try now, oldest first; they keep their places. */
  release(seq: number, nowMs: number): readonly number[] {
    const holder = this.#holders.get(seq);
    if (holder === undefined) return NOBODY;
    this.#holders.delete(seq);
    this.#changed?.add(seq);
    for (const { resource } of holder.wants) {
      const entry = this.#resources.get(resource)!;
      if (entry.writer === holder) entry.writer = undefined;
      else entry.readers.delete(holder);
    }
    return this.#wakeAndTidy(holder.wants, nowMs);
  }

  /** Another run begins with what an earlier one has left it: a token of its own, greater than every one before. */
  renew(seq: number): number {
    const holder = this.#holders.get(seq);
    invariant(holder !== undefined, `task ${seq} holds no locks`);
    this.#holders.delete(seq);
    for (const { resource } of holder.wants) this.#resources.get(resource)!.readers.delete(holder);
    return this.#hold({ ...holder, token: this.#nextToken() });
  }

  /** Leaves the line: it has ended, or is not there to be run. Who can be told to try now, oldest first. */
  forget(seq: number, nowMs: number): readonly number[] {
    const waiter = this.#waiters.get(seq);
    if (waiter === undefined) return NOBODY;
    this.#leave(waiter);
    return this.#wakeAndTidy(waiter.wants, nowMs);
  }

  /** Who can be told to try now because others were and did not come in `PROMISE_MS`, oldest first. To be called now and then. */
  lapse(nowMs: number): readonly number[] {
    return this.#wake(NOBODY, nowMs);
  }

  /** Those who hold what excludes `wants`, first those of the first want. */
  holdersAgainst(wants: readonly LockWant[]): readonly number[] {
    const against = new Set<number>();
    for (const { resource, mode } of wants) {
      const entry = this.#resources.get(resource);
      if (entry === undefined) continue;
      if (entry.writer !== undefined) against.add(entry.writer.seq);
      else if (mode === 'write') for (const { seq } of entry.readers) against.add(seq);
    }
    return [...against];
  }

  /** Who holds this resource alone, if anybody does. */
  writerOf(resource: string): number | undefined {
    return this.#resources.get(resource)?.writer?.seq;
  }

  holderOf(seq: number): LockHolder | undefined {
    return this.#holders.get(seq);
  }

  /** As it is now. */
  waiterOf(seq: number): LockWaiter | undefined {
    const waiter = this.#waiters.get(seq);
    return waiter === undefined ? undefined : shown(waiter);
  }

  /** In order of their grants. */
  holders(): readonly LockHolder[] {
    return [...this.#holders.values()];
  }

  /** Oldest first. */
  waiters(): readonly LockWaiter[] {
    return [...this.#waiters.values()].toSorted((a, b) => (isOlder(a, b) ? -1 : 1)).map((waiter) => shown(waiter));
  }

  /** What has changed since this was last asked, each task once, in no order. Empty unless the table keeps changes. */
  takeChanges(): readonly LockChange[] {
    if (this.#changed === undefined || this.#changed.size === 0) return NOBODY;
    const changes = Array.from(this.#changed, (seq): LockChange => ({ seq, holder: this.holderOf(seq), waiter: this.waiterOf(seq) }));
    this.#changed.clear();
    return changes;
  }

  /** In place of all that it knew, changes included. Holders do not exclude each other. */
  load(holders: Iterable<LockHolder>, waiters: Iterable<LockWaiter>): void {
    this.#resources.clear();
    this.#holders.clear();
    this.#waiters.clear();
    this.#promised.clear();
    this.#latestMs = -Infinity;
    for (const holder of [...holders].toSorted((a, b) => a.token - b.token)) this.#hold(holder);
    for (const waiter of [...waiters].toSorted((a, b) => (isOlder(a, b) ? -1 : 1))) this.#join(waiter);
    const woken = [...this.#waiters.values()].filter(({ wokenAtMs }) => wokenAtMs !== null);
    for (const waiter of woken.toSorted((a, b) => a.wokenAtMs! - b.wokenAtMs!)) this.#promise(waiter);
    this.#changed?.clear();
  }

  /** A new owner knows by its own clock, which may be behind: no promise lasts longer from now than promises do. */
  open(nowMs: number): void {
    for (const waiter of this.#promised) {
      if (waiter.wokenAtMs! <= nowMs) continue;
      waiter.wokenAtMs = nowMs;
      this.#changed?.add(waiter.seq);
    }
  }

  /** Who is in the way: a holder, or one older that has a reservation. */
  #blocker(
    asker: { readonly seq: number; readonly sinceMs: number },
    wants: readonly LockWant[],
    nowMs: number,
  ): { readonly resource: string; readonly holder: number } | undefined {
    for (const { resource, mode } of wants) {
      const entry = this.#resources.get(resource);
      if (entry === undefined) continue;
      if (entry.writer !== undefined) return { resource, holder: entry.writer.seq };
      if (mode === 'write') for (const { seq } of entry.readers) return { resource, holder: seq };
    }
    for (const { resource, mode } of wants) {
      const entry = this.#resources.get(resource);
      if (entry === undefined) continue;
      const reserved = this.#reservedBefore(asker, entry.waiting.write, nowMs);
      if (reserved !== undefined) return { resource, holder: reserved };
      const reader = mode === 'write' ? this.#reservedBefore(asker, entry.waiting.read, nowMs) : undefined;
      if (reader !== undefined) return { resource, holder: reader };
    }
    return undefined;
  }

  #reservedBefore(asker: { readonly seq: number; readonly sinceMs: number }, line: WaitLine, nowMs: number): number | undefined {
    for (let place = line.first; place !== undefined && isOlder(place.waiter, asker); place = place.next) {
      if (this.#isReserved(place.waiter, nowMs)) return place.waiter.seq;
    }
    return undefined;
  }

  #isReserved(waiter: Waiter, nowMs: number): boolean {
    return waiter.passed >= this.mostPassed && this.#isThere(waiter, nowMs);
  }

  /** It stands, or was woken lately. */
  #isThere({ wokenAtMs }: Waiter, nowMs: number): boolean {
    return wokenAtMs === null || nowMs < wokenAtMs + PROMISE_MS;
  }

  #countPassing(asker: { readonly seq: number; readonly sinceMs: number }, wants: readonly LockWant[], token: number): void {
    for (const { resource, mode } of wants) {
      const entry = this.#resources.get(resource);
      if (entry === undefined) continue;
      this.#passLine(asker, entry.waiting.write, token);
      if (mode === 'write') this.#passLine(asker, entry.waiting.read, token);
    }
  }

  #passLine(asker: { readonly seq: number; readonly sinceMs: number }, line: WaitLine, token: number): void {
    for (let place = line.first; place !== undefined && isOlder(place.waiter, asker); place = place.next) {
      const { waiter } = place;
      if (waiter.lastPassedBy === token || waiter.passed >= this.mostPassed) continue;
      waiter.lastPassedBy = token;
      waiter.passed = isLastToPass(token) ? this.mostPassed : waiter.passed + 1;
      this.#changed?.add(waiter.seq);
    }
  }

  /** Wakes whom holders, those woken before, and older ones with a reservation leave room, now that `wants` were let go of. */
  #wake(wants: readonly LockWant[], nowMs: number): readonly number[] {
    const entries = new Set<Resource>();
    for (const { resource } of wants) this.#addAwaited(resource, entries);
    for (const waiter of this.#promised) {
      if (this.#isThere(waiter, nowMs)) break;
      this.#unpromise(waiter);
      for (const { resource } of waiter.wants) this.#addAwaited(resource, entries);
    }
    if (entries.size === 0) return NOBODY;
    const wake: number[] = [];
    // The lines of all these resources are gone through at once, by age.
    const cursors = [...entries].flatMap((entry) => [
      { entry, mode: 'read' as const, place: entry.waiting.read.first },
      { entry, mode: 'write' as const, place: entry.waiting.write.first },
    ]);
    let seen: Waiter | undefined;
    for (;;) {
      let oldest: (typeof cursors)[number] | undefined;
      for (const cursor of cursors) {
        if (cursor.place === undefined) continue;
        if (!this.#hasRoom(cursor.entry, cursor.mode, nowMs)) cursor.place = undefined;
        else if (oldest === undefined || isOlder(cursor.place.waiter, oldest.place!.waiter)) oldest = cursor;
      }
      if (oldest === undefined) return wake;
      const { waiter }: Place = oldest.place!;
      oldest.place = oldest.place!.next;
      if (waiter === seen || waiter.wokenAtMs !== null) continue;
      seen = waiter;
      if (this.#canBeWoken(waiter, nowMs)) {
        waiter.wokenAtMs = nowMs;
        this.#promise(waiter);
        this.#changed?.add(waiter.seq);
        wake.push(waiter.seq);
      } else if (this.#isReserved(waiter, nowMs)) {
        // Nobody behind it can have what it wants: there the lines need not be gone through.
        for (const cursor of cursors) {
          const want = waiter.wants.find(({ resource }) => this.#resources.get(resource) === cursor.entry);
          if (want !== undefined && excludes(want.mode, cursor.mode)) cursor.place = undefined;
        }
      }
    }
  }

  #addAwaited(resource: string, to: Set<Resource>): void {
    const entry = this.#resources.get(resource);
    if (entry !== undefined && (entry.waiting.read.first ?? entry.waiting.write.first) !== undefined) to.add(entry);
  }

  #canBeWoken(waiter: Waiter, nowMs: number): boolean {
    return (
      waiter.wants.every(({ resource, mode }) => this.#hasRoom(this.#resources.get(resource)!, mode, nowMs)) &&
      this.#blocker(waiter, waiter.wants, nowMs) === undefined
    );
  }

  /** Whether holders and those woken leave room for one more of this mode. */
  #hasRoom({ writer, readers, woken }: Resource, mode: LockWant['mode'], nowMs: number): boolean {
    if (writer !== undefined || (mode === 'write' && readers.size > 0)) return false;
    return !this.#anyThere(woken.write, nowMs) && (mode === 'read' || !this.#anyThere(woken.read, nowMs));
  }

  #anyThere(woken: ReadonlySet<Waiter>, nowMs: number): boolean {
    for (const waiter of woken) if (this.#isThere(waiter, nowMs)) return true;
    return false;
  }

  #hold(holder: LockHolder): number {
    this.#holders.set(holder.seq, holder);
    this.#changed?.add(holder.seq);
    for (const { resource, mode } of holder.wants) {
      const entry = this.#resourceOf(resource);
      if (mode === 'write') entry.writer = holder;
      else entry.readers.add(holder);
    }
    return holder.token;
  }

  #join(row: LockWaiter): void {
    const waiter: Waiter = { ...row, lastPassedBy: 0, places: [] };
    waiter.places = row.wants.map(({ resource, mode }) => this.#resourceOf(resource).waiting[mode].join(waiter));
    this.#waiters.set(row.seq, waiter);
    this.#latestMs = Math.max(this.#latestMs, row.sinceMs);
    this.#changed?.add(row.seq);
  }

  #leave(waiter: Waiter): void {
    this.#unpromise(waiter);
    waiter.wants.forEach(({ resource, mode }, at) => this.#resources.get(resource)!.waiting[mode].leave(waiter.places[at]!));
    this.#waiters.delete(waiter.seq);
    this.#changed?.add(waiter.seq);
  }

  #promise(waiter: Waiter): void {
    this.#promised.add(waiter);
    for (const { resource, mode } of waiter.wants) this.#resources.get(resource)!.woken[mode].add(waiter);
  }

  #unpromise(waiter: Waiter): void {
    if (waiter.wokenAtMs === null) return;
    this.#promised.delete(waiter);
    for (const { resource, mode } of waiter.wants) this.#resources.get(resource)!.woken[mode].delete(waiter);
  }

  #wakeAndTidy(wants: readonly LockWant[], nowMs: number): readonly number[] {
    const wake = this.#wake(wants, nowMs);
    for (const { resource } of wants) {
      const { writer, readers, waiting } = this.#resources.get(resource)!;
      const idle = writer === undefined && readers.size === 0 && waiting.read.first === undefined && waiting.write.first === undefined;
      if (idle) this.#resources.delete(resource);
    }
    return wake;
  }

  #resourceOf(name: string): Resource {
    let entry = this.#resources.get(name);
    if (entry === undefined) {
      entry = {
        writer: undefined,
        readers: new Set(),
        waiting: { read: new WaitLine(), write: new WaitLine() },
        woken: { read: new Set(), write: new Set() },
      };
      this.#resources.set(name, entry);
    }
    return entry;
  }
}

/** So much later comes who comes by a clock that is behind. Milliseconds of today can tell it apart. */
const STEP_MS = 2 ** -10;

/**
 * Since when whoever comes now stands, after those who came by `latestMs`: a clock that was put back makes nobody older than
 * them, nor as old, or those who were submitted before them would pass them each time that they come again.
 */
function sinceAfter(latestMs: number, nowMs: number): number {
  return nowMs < latestMs ? latestMs + STEP_MS : nowMs;
}

function shown({ seq, wants, sinceMs, passed, wokenAtMs }: Waiter): LockWaiter {
  return { seq, wants, sinceMs, passed, wokenAtMs };
}
