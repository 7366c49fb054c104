/**
 * Known: what is kept in memory beside the rows, so that no command has to look for it. The rows stay
 * the truth: after a rollback, or when somebody else has written to the file, it is loaded again.
 */
import type { DatabaseSync } from 'node:sqlite';
import { AGING_MS, MOST_BEGUN, MOST_PASSED } from '../../actors/ports/store.ts';
import type { KindLimits, OpenCommand } from '../../actors/ports/store.ts';
import { Claims } from './sqlite-claims.ts';
import { Families } from './sqlite-families.ts';
import { HeldTasks } from './sqlite-held.ts';
import type { HeldTask } from './sqlite-held.ts';
import { SqliteLocks } from './sqlite-locks.ts';
import { parseOptions } from './sqlite-rows.ts';
import type { TaskOptions } from './sqlite-rows.ts';
import { prepareStatements } from './sqlite-statements.ts';
import type { Statements } from './sqlite-statements.ts';
import { SqliteStory } from './sqlite-story.ts';
import { Tally } from './sqlite-tally.ts';
import { TenantCounts } from './sqlite-tenant-counts.ts';
import { Turns } from './sqlite-turns.ts';
import { Workers } from './sqlite-workers.ts';

/** Reading the options of a task from its row takes a few microseconds, keeping them some hundred bytes. */
const MOST_OPTIONS = 5_000;
/** Facts that spare a look into an index. When there are more of them, all are forgotten. */
const MOST_FACTS = 10_000;

/** Of one database, within one transaction at a time. */
export class Known {
  readonly sql: Statements;
  readonly tally: Tally;
  readonly held: HeldTasks;
  readonly claims: Claims;
  readonly turns: Turns;
  readonly locks: SqliteLocks;
  readonly families: Families;
  readonly tenants: TenantCounts;
  readonly workers: Workers;
  readonly story: SqliteStory;
  readonly paused = new Set<string>();
  /** Runs that have inherited a priority since the last sweep, by row. */
  readonly raised = new Map<number, number>();
  /** Those that have ended with who had asked for them, other than by a cancel that has said so: for the next sweep to tell. */
  readonly endedBeside: string[] = [];
  /** Of the tasks that have arrived last and were not claimed yet: new ones, and those before them. */
  #options = { young: new Map<number, TaskOptions>(), old: new Map<number, TaskOptions>() };
  /** By order key: the one unfinished task that has it. Of other keys nothing is known. */
  readonly #alone = new Map<string, number>();
  /** By key: the versions of rows of state that were read for who is going to write them. */
  readonly #versions = new Map<string, number | null>();
  lastSeq = 0;
  /** No claim gets a smaller fence: the epoch of this owner, and more once larger ones have been forgotten. */
  leastFence = 0;
  maxUnfinished = Infinity;
  maxFamily = Infinity;
  agingMs = AGING_MS;
  kinds: Readonly<Record<string, KindLimits>> = {};
  #token = 0;
  #writtenToken = 0;
  /** Version of the file that is known; undefined when it must be read again. */
  #version: number | undefined;

  constructor(db: DatabaseSync) {
    this.sql = prepareStatements(db);
    this.tally = new Tally(this.sql);
    this.held = new HeldTasks(this.sql);
    this.claims = new Claims(this.sql, this.tally, () => this.leastFence);
    this.turns = new Turns(this.sql, this.claims);
    this.locks = new SqliteLocks(this.sql, () => this.nextToken());
    this.families = new Families(this.sql);
    this.tenants = new TenantCounts(this.sql);
    this.workers = new Workers(this.sql);
    this.story = new SqliteStory(this.sql);
  }

  /** Takes over what the owner asks for. */
  configure(command: OpenCommand): void {
    const { maxUnfinished, maxFamily = Infinity, agingMs = AGING_MS, kinds = {} } = command;
    const { mostPassed = MOST_PASSED, mostBegun = MOST_BEGUN } = command;
    Object.assign(this, { maxUnfinished, maxFamily, agingMs, kinds });
    this.locks.table.mostPassed = mostPassed;
    this.turns.weights = kinds;
    this.turns.mostBegun = mostBegun;
    this.tenants.count(kinds);
  }

  /** Unfinished tasks of a kind that are accepted. */
  mostOf(kind: string): number {
    return Object.hasOwn(this.kinds, kind) ? (this.kinds[kind]!.maxUnfinished ?? Infinity) : Infinity;
  }

  /** The same of one tenant. */
  mostOfTenant(kind: string): number {
    return Object.hasOwn(this.kinds, kind) ? (this.kinds[kind]!.maxOfTenant ?? Infinity) : Infinity;
  }

  /** A task comes, or goes. */
  count(kind: string, { rootId, tenant }: TaskOptions, n: 1 | -1): void {
    this.families.add(rootId, n);
    this.tenants.add(kind, tenant, n);
  }

  /** Greater than every one before: of locks, of rows, of users' leases. */
  nextToken(): number {
    this.#token += 1;
    return this.#token;
  }

  /** It has arrived with these. */
  keepOptions(seq: number, options: TaskOptions): void {
    if (this.#options.young.size >= MOST_OPTIONS) this.#options = { young: new Map(), old: this.#options.young };
    this.#options.young.set(seq, options);
  }

  /** It is claimed; `json` is what its row says. */
  takeOptions(seq: number, json: string | null): TaskOptions | null {
    if (json === null) return null;
    const { young, old } = this.#options;
    const options = young.get(seq) ?? old.get(seq);
    if (options === undefined) return parseOptions(json);
    young.delete(seq);
    old.delete(seq);
    return options;
  }

  /** This task is the only unfinished one of its order key. */
  isAlone(orderKey: string, seq: number): void {
    if (this.#alone.size >= MOST_FACTS) this.#alone.clear();
    this.#alone.set(orderKey, seq);
  }

  /** Somebody else may have this order key from now on. */
  notAlone(orderKey: string): void {
    this.#alone.delete(orderKey);
  }

  /** A task of this order key has ended: whether it is known that nobody else has it. */
  wasAlone(orderKey: string, seq: number): boolean {
    return this.#alone.get(orderKey) === seq && this.#alone.delete(orderKey);
  }

  /** This is the version of a row; undefined: whatever is known of it is over. */
  keepVersion(key: string, version: number | null | undefined): void {
    if (version === undefined) {
      this.#versions.delete(key);
      return;
    }
    if (this.#versions.size >= MOST_FACTS) this.#versions.clear();
    this.#versions.set(key, version);
  }

  /** Undefined when it has to be read. */
  versionOf(key: string): number | null | undefined {
    return this.#versions.get(key);
  }

  /** Something lies beside the row of this run from now on; then the row tells of its claim. */
  lies(run: HeldTask): void {
    run.fresh = false;
    if (this.claims.has(run.seq)) this.claims.write();
  }

  /** A transaction begins: reads what is not known. */
  refresh(): void {
    const [version] = this.sql.dataVersion.get() as unknown as [number];
    if (version === this.#version) return;
    this.#options = { young: new Map(), old: new Map() };
    this.#alone.clear();
    this.#versions.clear();
    this.tally.load();
    this.claims.verify();
    this.claims.write();
    this.held.load();
    this.turns.load();
    this.locks.load();
    this.families.load();
    this.workers.load();
    this.paused.clear();
    for (const [kind] of this.sql.paused.all() as unknown as [string][]) this.paused.add(kind);
    [this.lastSeq] = this.sql.lastSeq.get() as unknown as [number];
    [this.#token] = this.sql.token.get() as unknown as [number];
    this.#writtenToken = this.#token;
    this.#version = version;
  }

  /** It is about to commit: writes what was only counted so far. */
  flush(): void {
    this.tally.flush();
    this.families.flush();
    this.locks.flush();
    if (this.#token === this.#writtenToken) return;
    this.sql.setToken.run(this.#token);
    this.#writtenToken = this.#token;
  }

  /** It has committed. */
  committed(): void {
    this.claims.committed();
    this.tenants.committed();
  }

  /** It was rolled back. */
  forget(): void {
    this.claims.rolledBack();
    this.tenants.forget();
    this.#version = undefined;
  }
}
