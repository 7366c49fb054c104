/** SqliteEvents: what tasks are told from outside, and what they ask of people. */
import { MOST_EVENTS } from '../../actors/ports/store.ts';
import type {
  Approval,
  ApprovalQuery,
  ApprovalRequest,
  ApprovalWithdrawal,
  Decision,
  Signal,
  SignalOutcome,
} from '../../actors/ports/store.ts';
import type { Endings } from './sqlite-endings.ts';
import type { OfRow } from './sqlite-held.ts';
import type { Known } from './sqlite-known.ts';
import { APPROVAL_EVENT, FIRST_TERMINAL, statusOf } from './task-status.ts';

/** `undo`: as what it ends when it has been undone; null: it is not being undone. */
interface Listener {
  readonly seq: number;
  readonly status: number;
  readonly undo: number | null;
}

type Ends = Extract<SignalOutcome, { at: 'undoing' }>['ends'];

type ApprovalRow = readonly [
  id: string,
  kind: string,
  name: string,
  request: string,
  askedAtMs: number,
  expiresAtMs: number | null,
  cursor: number,
];

const UNKNOWN: SignalOutcome = { at: 'unknown' };

/** Of one database. Everything is called within a transaction. */
export class SqliteEvents {
  readonly #known: Known;

  constructor(known: Known) {
    this.#known = known;
  }

  signal(items: readonly Signal[], nowMs: number, endings: Endings): SignalOutcome[] {
    return items.map((item) => {
      const task = this.#find(item.id);
      return task === undefined ? UNKNOWN : this.#tell(task, item, nowMs, endings);
    });
  }

  ask(items: readonly OfRow<ApprovalRequest>[], nowMs: number): boolean[] {
    return items.map((item) => {
      const task = this.#known.held.get(item);
      if (task === undefined) return false;
      this.#known.lies(task);
      this.#known.sql.ask.run(task.seq, item.name, item.request, nowMs, item.expiresAtMs);
      return true;
    });
  }

  withdraw(items: readonly OfRow<ApprovalWithdrawal>[]): boolean[] {
    return items.map((item) => {
      const task = this.#known.held.get(item);
      if (task === undefined) return false;
      this.#known.sql.withdrawApproval.run(task.seq, item.name);
      return true;
    });
  }

  decide(items: readonly Decision[], nowMs: number, endings: Endings): SignalOutcome[] {
    return items.map(({ id, name, decision }) => {
      const task = this.#find(id);
      if (task === undefined) return UNKNOWN;
      const event = { id, name: `${APPROVAL_EVENT}${name}`, value: decision, key: decision };
      const isKnown = task.status < FIRST_TERMINAL && this.#known.sql.toldWith.get(task.seq, event.name, event.key) !== undefined;
      if (isKnown) return { at: 'known', value: decision };
      const expired = this.#known.sql.expiredApproval.get(task.seq, name, nowMs) as unknown as [number] | undefined;
      if (expired !== undefined && task.status < FIRST_TERMINAL) return { at: 'expired', expiresAtMs: expired[0] };
      const decided = Number(this.#known.sql.decide.run(task.seq, name).changes) === 1;
      if (!decided && task.status < FIRST_TERMINAL) return { at: 'not-asked' };
      return this.#tell(task, event, nowMs, endings, decision);
    });
  }

  approvals({ limit, nowMs, after }: Required<ApprovalQuery>): Approval[] {
    const rows = this.#known.sql.approvals.all(after, nowMs, limit) as unknown as ApprovalRow[];
    return rows.map(([id, kind, name, request, askedAtMs, expiresAtMs, cursor]) => ({
      id,
      kind,
      name,
      request,
      askedAtMs,
      expiresAtMs,
      cursor,
    }));
  }

  #find(id: string): Listener | undefined {
    const row = this.#known.sql.seqOf.get(id) as unknown as [seq: number, status: number, undo: number | null] | undefined;
    return row === undefined ? undefined : { seq: row[0], status: row[1], undo: row[2] };
  }

  #tell({ seq, status, undo }: Listener, { name, value, key }: Signal, nowMs: number, endings: Endings, decision?: string): SignalOutcome {
    const { sql, held, story } = this.#known;
    // Who tells an ended task once more is told that it knows; a decision is one of a task that has not ended.
    const isTold = key !== undefined && (decision === undefined || status < FIRST_TERMINAL);
    const known = isTold ? (sql.toldWith.get(seq, name, key) as unknown as [string] | undefined) : undefined;
    if (known !== undefined) return { at: 'known', value: known[0] };
    if (status >= FIRST_TERMINAL) return { at: 'ended', status: statusOf(status) };
    if (undo !== null) return { at: 'undoing', status: statusOf(status), ends: statusOf(undo) as Ends };
    const [at] = sql.told.get(seq) as unknown as [number];
    if (at >= MOST_EVENTS) return { at: 'full', limit: MOST_EVENTS };
    const [n] = sql.toldOf.get(seq, name) as unknown as [number];
    sql.tell.run(seq, at, name, n, key ?? null, value);
    // Even its first run does not begin with nothing then.
    sql.setTold.run(seq);
    const run = held.of(seq);
    if (run !== undefined) run.fresh = false;
    story.append(seq, { at: 'event', atMs: nowMs, name, ...(decision === undefined ? {} : { decision }) });
    const fence = endings.moves.waits.wokenByEvent(seq, { name, n });
    if (fence !== undefined) endings.moves.wake([{ seq, fence }]);
    return { at: 'told', n };
  }
}
