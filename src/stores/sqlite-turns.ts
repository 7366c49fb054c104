/**
 * Turns: which tenants of a kind have something to claim, and whose turn it is. What is queued is
 * told here; what somebody else has written is found in the rows, tenant by tenant, when the kind is
 * claimed next. Whose turn it is lives in memory only: a new owner begins anew.
 *
 * A tenant that had nothing new to claim has a line: its new tasks, as they arrive, in memory. As long as all that is
 * new of it is there, it is claimed without a look at the rows. Whatever else becomes of one of them, the line
 * is forgotten, and the rows tell again.
 *
 * In each box of a kind they take turns of their own, without lines. What leaves a box otherwise than by a claim is not
 * told: whose turn it is and who has nothing there is found out then.
 */
import { MOST_BEGUN } from '../../actors/ports/store.ts';
import type { KindLimits } from '../../actors/ports/store.ts';
import { FreshLine } from './fresh-line.ts';
import type { Claims } from './sqlite-claims.ts';
import { boxOf, boxRange } from './sqlite-rows.ts';
import type { BestRow } from './sqlite-rows.ts';
import type { Statements } from './sqlite-statements.ts';
import { TenantTurns } from './tenant-turns.ts';
import type { Band } from './tenant-turns.ts';

interface KindTurns {
  readonly kind: string;
  /** Of this box of the kind; undefined: of what is in none. */
  readonly box: string | undefined;
  readonly turns: TenantTurns;
  readonly tenants: Readonly<Record<Band, Set<string>>>;
  /** By tenant: all that is new of it. Others are looked for in the rows. */
  readonly lines: Map<string, FreshLine>;
  /** Resumed ones that have been claimed in a row. */
  inRow: number;
  /** False when rows may have been written that were not told. */
  known: boolean;
}

/** Rows of a tenant that were read: so many, of which the first `at` are taken. */
interface Ahead {
  readonly rows: readonly BestRow[];
  readonly read: number;
  at: number;
}

/** What is claimed; `fresh`: those whose rows were not looked at. */
export interface Taken {
  readonly best: readonly BestRow[];
  readonly fresh: ReadonlySet<BestRow>;
}

const BANDS = ['resumed', 'new'] as const;
/** Sorts before every tenant but the one without a name. */
const NO_NAME = '';
/** Rows that are read of a tenant beyond its share, when there are several. */
const READ_AHEAD = 2;
/** Tasks that are kept in lines: a longer queue than this is in the rows alone. */
const MOST_IN_LINES = 5_000;
const NOTHING: Taken = { best: [], fresh: new Set() };

/** Of one database. */
export class Turns {
  readonly #sql: Statements;
  readonly #claims: Claims;
  readonly #kinds = new Map<string, KindTurns>();
  /** By kind, and by box. */
  readonly #boxes = new Map<string, Map<string, KindTurns>>();
  #weights: Readonly<Record<string, KindLimits>> = {};
  /** As many resumed ones are claimed in a row while something new is there. */
  mostBegun = MOST_BEGUN;
  #inLines = 0;
  /** Whether the tenant that was claimed of last has more is to be seen. */
  #unsure: { readonly kind: string; readonly tenant: string; readonly resumed: number } | undefined;

  constructor(sql: Statements, claims: Claims) {
    this.#sql = sql;
    this.#claims = claims;
  }

  /** Shares of tenants, by kind. */
  set weights(kinds: Readonly<Record<string, KindLimits>>) {
    this.#weights = kinds;
    for (const { kind, turns } of this.#all()) turns.weights = this.#weightsOf(kind);
  }

  /** Forgets who has something to claim. */
  load(): void {
    this.#inLines = 0;
    for (const of of this.#all()) {
      of.known = false;
      of.lines.clear();
    }
  }

  /** A task can be claimed; `row` if it has just arrived. */
  queued(kind: string, tenant: string, resumed: number, row?: BestRow): void {
    const band = resumed === 1 ? 'resumed' : 'new';
    const of = this.#of(kind);
    // Who is not known yet is found when the kind is claimed.
    if (!of.known) return;
    if (row === undefined) {
      if (band === 'new') this.#forgetLine(of, tenant);
    } else this.#intoLine(of, tenant, row);
    enter(of, tenant, band);
  }

  /** A task can be claimed from a box. */
  spilled(kind: string, box: string, tenant: string, resumed: number): void {
    const of = this.#ofBox(kind, box);
    if (of.known) enter(of, tenant, resumed === 1 ? 'resumed' : 'new');
  }

  /** There is nothing in this box. */
  unboxed(kind: string, box: string): void {
    this.#boxes.get(kind)?.delete(box);
  }

  /** Of this kind, or of all, the rows tell what can be claimed. */
  forgetLines(kind?: string): void {
    const kinds = kind === undefined ? this.#kinds.values() : [this.#of(kind)];
    for (const of of kinds) for (const tenant of of.lines.keys()) this.#forgetLine(of, tenant);
  }

  /** A task that could be claimed cannot any more. */
  gone(kind: string, tenant: string, resumed: number): void {
    const of = this.#of(kind);
    if (resumed === 0) this.#forgetLine(of, tenant);
    if (!of.known || this.#has(of, resumed, tenant)) return;
    this.#leave(of, tenant, resumed === 1 ? 'resumed' : 'new');
  }

  /** What `take` gave is not queued any more. */
  taken(): void {
    if (this.#unsure !== undefined) this.gone(this.#unsure.kind, this.#unsure.tenant, this.#unsure.resumed);
    this.#unsure = undefined;
  }

  /** The best of a kind, or of a box of it, up to so many, which are going to be claimed. */
  take(kind: string, limit: number, box?: string): Taken {
    if (limit === 0) return NOTHING;
    const of = box === undefined ? this.#of(kind) : this.#ofBox(kind, box);
    if (!of.known) this.#find(of);
    const { resumed, new: fresh } = of.tenants;
    const isOne = fresh.size === 1 && (resumed.size === 0 || (resumed.size === 1 && first(resumed) === first(fresh)));
    const best = isOne && of.lines.size === 0 ? this.#takeOfOne(of, limit) : undefined;
    return best === undefined ? this.#takeInTurn(of, limit) : { best, fresh: NOTHING.fresh };
  }

  /** There is one tenant: one statement. Undefined: its resumed ones may not all go first. */
  #takeOfOne(of: KindTurns, limit: number): BestRow[] | undefined {
    const tenant = first(of.tenants.new)!;
    const best = this.#best(of, tenant, limit);
    const last = best.at(-1);
    const resumed = last?.[12] === 1 ? best.length : best.findIndex((row) => row[12] === 0);
    if (resumed > 0 && of.inRow + resumed > this.mostBegun) return undefined;
    of.inRow = last?.[12] === 0 ? 0 : of.inRow + best.length;
    of.turns.charge(tenant, best.length);
    if (best.length < limit || last === undefined) {
      for (const band of BANDS) this.#leave(of, tenant, band);
      return best;
    }
    if (last[12] === 0) this.#leave(of, tenant, 'resumed');
    if (of.box === undefined) this.#unsure = { kind: of.kind, tenant, resumed: last[12] };
    return best;
  }

  #takeInTurn(of: KindTurns, limit: number): Taken {
    const best: BestRow[] = [];
    const fresh = new Set<BestRow>();
    const ahead: Readonly<Record<Band, Map<string, Ahead>>> = { resumed: new Map(), new: new Map() };
    while (best.length < limit) {
      const [band, other]: readonly Band[] = of.inRow >= this.mostBegun ? ['new', 'resumed'] : ['resumed', 'new'];
      const isFirst = of.turns.next(band!) !== undefined;
      const row = this.#takeOfBand(of, isFirst ? band! : other!, limit - best.length, ahead, fresh);
      if (row === 'nobody') break;
      if (row === undefined) continue;
      best.push(row);
      of.inRow = row[12] === 1 ? of.inRow + 1 : 0;
    }
    return { best, fresh };
  }

  /** The best of whose turn it is. Undefined: it has turned out to have nothing. */
  #takeOfBand(
    of: KindTurns,
    band: Band,
    left: number,
    { [band]: ahead }: Readonly<Record<Band, Map<string, Ahead>>>,
    fresh: Set<BestRow>,
  ): BestRow | 'nobody' | undefined {
    const tenant = of.turns.next(band);
    if (tenant === undefined) return 'nobody';
    const inMemory = band === 'new' ? of.lines.get(tenant) : undefined;
    if (inMemory !== undefined) {
      const row = inMemory.take()!;
      this.#inLines -= 1;
      fresh.add(row);
      of.turns.charge(tenant);
      if (inMemory.size === 0) this.#leave(of, tenant, band);
      return row;
    }
    let line = ahead.get(tenant);
    // One more than is taken is known, unless there are no more.
    if (line === undefined || (line.at + 1 >= line.rows.length && line.rows.length === line.read)) {
      const isOneOfMany = band === 'new' && of.tenants.resumed.size > 0;
      const share = Math.ceil((isOneOfMany ? 1 : left) / of.tenants[band].size) + READ_AHEAD;
      const read = line === undefined ? share : line.read * 2;
      ahead.set(tenant, (line = { rows: this.#bestOfBand(of, band, tenant, read), at: line?.at ?? 0, read }));
    }
    const row = line.rows[line.at];
    if (row !== undefined) {
      line.at += 1;
      of.turns.charge(tenant);
    }
    if (line.at >= line.rows.length) this.#leave(of, tenant, band);
    return row;
  }

  #intoLine(of: KindTurns, tenant: string, row: BestRow): void {
    let line = of.lines.get(tenant);
    if (line === undefined) {
      // What else is new of it is in the rows.
      if (of.tenants.new.has(tenant)) return;
      of.lines.set(tenant, (line = new FreshLine()));
    }
    line.add(row);
    this.#inLines += 1;
    if (this.#inLines > MOST_IN_LINES) this.#forgetLine(of, tenant);
  }

  #forgetLine(of: KindTurns, tenant: string): void {
    const line = of.lines.get(tenant);
    if (line === undefined) return;
    this.#claims.write();
    this.#inLines -= line.size;
    of.lines.delete(tenant);
  }

  *#all(): Generator<KindTurns> {
    yield* this.#kinds.values();
    for (const boxes of this.#boxes.values()) yield* boxes.values();
  }

  #of(kind: string): KindTurns {
    let of = this.#kinds.get(kind);
    if (of === undefined) this.#kinds.set(kind, (of = this.#turnsOf(kind, undefined)));
    return of;
  }

  #ofBox(kind: string, box: string): KindTurns {
    let boxes = this.#boxes.get(kind);
    if (boxes === undefined) this.#boxes.set(kind, (boxes = new Map()));
    let of = boxes.get(box);
    if (of === undefined) boxes.set(box, (of = this.#turnsOf(kind, box)));
    return of;
  }

  #turnsOf(kind: string, box: string | undefined): KindTurns {
    const turns = new TenantTurns(this.#weightsOf(kind));
    return { kind, box, turns, tenants: { resumed: new Set(), new: new Set() }, lines: new Map(), inRow: 0, known: false };
  }

  /** What the only tenant has, in order. */
  #best({ kind, box }: KindTurns, tenant: string, limit: number): BestRow[] {
    if (box !== undefined) return this.#sql.bestBoxed.all(kind, boxOf(box, tenant), limit) as unknown as BestRow[];
    this.#claims.write();
    return this.#sql.best.all(kind, limit) as unknown as BestRow[];
  }

  #bestOfBand({ kind, box }: KindTurns, band: Band, tenant: string, limit: number): BestRow[] {
    const resumed = band === 'resumed' ? 1 : 0;
    if (box !== undefined) return this.#sql.bestBoxedOfBand.all(kind, boxOf(box, tenant), resumed, limit) as unknown as BestRow[];
    if (band === 'new') this.#claims.write();
    return this.#sql.bestOfTenant.all(kind, resumed, tenant, limit) as unknown as BestRow[];
  }

  #has({ kind, box }: KindTurns, resumed: number, tenant: string): boolean {
    const row =
      box === undefined ? this.#sql.hasQueued.get(kind, resumed, tenant) : this.#sql.hasBoxed.get(kind, boxOf(box, tenant), resumed);
    return (row as unknown as [number])[0] === 1;
  }

  /** The next tenant with a name that has something, in a box of whatever band. */
  #nextTenant({ kind, box }: KindTurns, resumed: number, tenant: string): string | undefined {
    const row =
      box === undefined
        ? this.#sql.nextTenant.get(kind, resumed, tenant)
        : this.#sql.nextBoxedTenant.get(kind, boxOf(box, tenant), boxRange(box)[1]);
    return (row as unknown as [string] | undefined)?.[0];
  }

  #find(of: KindTurns): void {
    for (const band of BANDS) {
      const resumed = band === 'resumed' ? 1 : 0;
      const found = new Set<string>();
      for (let tenant: string | undefined = NO_NAME; tenant !== undefined; tenant = this.#nextTenant(of, resumed, tenant))
        if (this.#has(of, resumed, tenant)) found.add(tenant);
      for (const tenant of found) enter(of, tenant, band);
      for (const tenant of of.tenants[band]) if (!found.has(tenant)) this.#leave(of, tenant, band);
    }
    of.known = true;
  }

  #leave(of: KindTurns, tenant: string, band: Band): void {
    if (!of.tenants[band].delete(tenant)) return;
    of.turns.leave(tenant, band);
    if (band === 'new') of.lines.delete(tenant);
  }

  #weightsOf(kind: string): ReadonlyMap<string, number> {
    return new Map(Object.entries(Object.hasOwn(this.#weights, kind) ? (this.#weights[kind]!.weights ?? {}) : {}));
  }
}

function enter({ tenants, turns }: KindTurns, tenant: string, band: Band): void {
  if (tenants[band].has(tenant)) return;
  tenants[band].add(tenant);
  turns.enter(tenant, band);
}

function first(tenants: ReadonlySet<string>): string | undefined {
  for (const tenant of tenants) return tenant;
  return undefined;
}
