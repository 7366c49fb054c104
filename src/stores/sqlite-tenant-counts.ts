/**
 * Tenant counts: how many unfinished tasks of a kind each tenant has, of kinds that bound it. Only who owns the file writes
 * tasks: so they are counted once, when it is opened, and kept up from then on.
 */
import type { KindLimits } from '../../actors/ports/store.ts';
import type { Statements } from './sqlite-statements.ts';

type Counts = Map<string, number>;

/** Of one database. Everything but `committed` and `forget` is called within a transaction. */
export class TenantCounts {
  readonly #sql: Statements;
  /** By kind, by tenant. */
  readonly #counts = new Map<string, Counts>();
  /** Those of the transaction under way. */
  readonly #changes = new Map<string, Counts>();

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  /** Of these kinds, where they have such a bound. */
  count(kinds: Readonly<Record<string, KindLimits>>): void {
    this.forget();
    this.#counts.clear();
    for (const [kind, { maxOfTenant }] of Object.entries(kinds)) {
      if (maxOfTenant !== undefined) this.#counts.set(kind, new Map(this.#sql.tenantsOf.all(kind) as unknown as [string, number][]));
    }
  }

  /** A task of that tenant comes or goes. */
  add(kind: string, tenant: string | undefined, n: 1 | -1): void {
    if (tenant === undefined || !this.#counts.has(kind)) return;
    let changes = this.#changes.get(kind);
    if (changes === undefined) this.#changes.set(kind, (changes = new Map()));
    changes.set(tenant, (changes.get(tenant) ?? 0) + n);
  }

  unfinished(kind: string, tenant: string): number {
    return (this.#counts.get(kind)?.get(tenant) ?? 0) + (this.#changes.get(kind)?.get(tenant) ?? 0);
  }

  /** The transaction has committed. */
  committed(): void {
    for (const [kind, changes] of this.#changes) {
      const counts = this.#counts.get(kind)!;
      for (const [tenant, change] of changes) {
        const n = (counts.get(tenant) ?? 0) + change;
        if (n === 0) counts.delete(tenant);
        else counts.set(tenant, n);
      }
    }
    this.#changes.clear();
  }

  /** It was rolled back. */
  forget(): void {
    this.#changes.clear();
  }
}
