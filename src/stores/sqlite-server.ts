/**
 * SqliteServer: what the thread of an SQLite store does, without the thread. Group commit: whatever
 * has come while a transaction was running is run as the next one.
 *
 *   1. Take what waits, up to `MOST_ITEMS`.
 *   2. Run it in one transaction. When a command throws, everything is rolled back and each is run
 *      again in a transaction of its own: only the guilty one is refused.
 *   3. Answer all in one message. What was written is in the log then; the other end syncs it before
 *      it passes the answers on, while this one does the next group.
 */
import { invariant, InvariantError } from '../../actors/kernel/errors.ts';
import { SqliteTasks } from './sqlite-commands.ts';
import { adviceFor, isBusy, isDamaged, isFull, isSenseless, toError } from './sqlite-advice.ts';
import { closeFile, leaveFile, letGoOfFile, openFile } from './sqlite-file.ts';
import type { OpenFile } from './sqlite-file.ts';
import { Guard } from './sqlite-guard.ts';
import { rowLimit } from './sqlite-rows.ts';
import { decodeRemember, decodeRenew, decodeSettlements, decodeStarts, decodeTasks, encodeClaimed, encodeStarted } from './sqlite-cells.ts';
import type { Answer, Answers, Envelope, Failure, Replies, Request } from './sqlite-wire.ts';

/**
 * A transaction has as many commands as make up this many items, and at least one. More would save
 * commits, but then all that is under way meets in one group: each end stands still while the other works.
 * Measured with 300 runs under way: from 120 to 400 the rates differ by less than they do from run to run.
 */
const MOST_ITEMS = 240;

/** How a server is reached. */
export interface ServerOptions {
  readonly path: string;
  /** What has come in the meantime, if anything has. */
  readonly receive: () => readonly Envelope[] | undefined;
  readonly answer: (answers: Answers) => void;
  /** Milliseconds that only grow. For tests. */
  readonly nowMs?: () => number;
}

/** Serves one database, from its opening to its closing. */
export class SqliteServer {
  readonly #options: ServerOptions;
  readonly #waiting: Envelope[] = [];
  #open: { readonly file: OpenFile; readonly tasks: SqliteTasks; readonly guard: Guard } | undefined;
  /** The file has been found to be damaged, or not to be the one that was opened: then nothing more is written to it. */
  #damage: Failure | undefined;
  #knownChanges = 0;
  /** Transactions that wrote something since the opening. */
  #commits = 0;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** Whether the database is open. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /** Answers these, and all that comes meanwhile. */
  serve(envelopes: readonly Envelope[]): void {
    this.#waiting.push(...envelopes);
    while (this.#waiting.length > 0) {
      const answers = this.#answer(this.#nextGroup());
      const wrote = this.#hasWritten();
      this.#options.answer({ answers, wrote });
      if (!wrote || this.#open === undefined) continue;
      this.#commits += 1;
      this.#open.tasks.state.recent.commits = this.#commits;
    }
  }

  /** Opening and closing go by themselves. */
  #nextGroup(): readonly Envelope[] {
    const group: Envelope[] = [];
    let items = 0;
    for (;;) {
      const next = this.#waiting[group.length] ?? this.#received();
      if (next === undefined || (group.length > 0 && (items + next.size > MOST_ITEMS || isAlone(next)))) break;
      group.push(next);
      items += next.size;
      if (isAlone(next)) break;
    }
    this.#waiting.splice(0, group.length);
    return group;
  }

  /** The first of those that have come meanwhile. */
  #received(): Envelope | undefined {
    const envelopes = this.#options.receive();
    if (envelopes === undefined) return undefined;
    this.#waiting.push(...envelopes);
    return envelopes[0];
  }

  /** `isSecond`: room has been made meanwhile. */
  #answer(group: readonly Envelope[], isSecond = false): readonly Answer[] {
    const [first] = group;
    if (first?.request.op === 'open') return [this.#openFile(first.ticket, first.request)];
    if (first?.request.op === 'close') return [this.#closeFile(first.ticket)];
    invariant(this.#open !== undefined, 'commands come between open and close');
    const { tasks, guard } = this.#open;
    const damage = (this.#damage ??= guard.look(this.#nowMs()));
    if (damage !== undefined) return group.map(({ ticket }) => ({ ticket, failure: damage }));
    try {
      const values = tasks.transaction(() => group.map(({ request }) => run(tasks, request)));
      return group.map(({ ticket, request }, at): Answer => {
        const since = sinceOf(tasks, request);
        return since === undefined ? { ticket, value: values[at]! } : { ticket, value: values[at]!, since };
      });
    } catch (thrown) {
      if (!isSecond && isFull(thrown) && this.#writeLogBack()) return this.#answer(group, true);
      // Somebody else holds the file: no command is to blame, and each would wait as long again.
      if (group.length > 1 && !isBusy(thrown)) return group.flatMap((envelope) => this.#answer([envelope], isSecond));
      const failure = toFailure(thrown);
      // What is damaged may get worse: nothing more is written to it, nor believed of what is read.
      if (failure.at === 'damaged') this.#damage = failure;
      return group.map(({ ticket }) => ({ ticket, failure }));
    }
  }

  /** It may be the log that fills the disk, kept from being written back by a reader that has gone by now. Whether it could be. */
  #writeLogBack(): boolean {
    try {
      const row = this.#open?.file.db.prepare('pragma wal_checkpoint(passive)').get();
      const { busy, log, checkpointed } = row as { readonly busy: number; readonly log: number; readonly checkpointed: number };
      return busy === 0 && log > 0 && checkpointed === log;
    } catch {
      return false;
    }
  }

  #openFile(ticket: number, { command }: Extract<Request, { op: 'open' }>): Answer {
    const file = openFile(this.#options.path);
    if (file.at !== 'opened') return { ticket, failure: file };
    try {
      const tasks = new SqliteTasks(file.db);
      const opened = tasks.transaction(() => tasks.open(command));
      // SQLite has synced that one itself. From here on the other end does, see LogSync.
      file.db.exec('pragma synchronous = normal');
      this.#open = { file, tasks, guard: new Guard(file, this.#nowMs()) };
      this.#knownChanges = tasks.totalChanges();
      return { ticket, value: { ...opened, log: file.log } };
    } catch (thrown) {
      closeFile(file);
      return { ticket, failure: toFailure(thrown) };
    }
  }

  /** That all went well is said only when what was acknowledged is in the file that stands under the name. */
  #closeFile(ticket: number): Answer {
    const { file, guard } = this.#open ?? {};
    this.#open = undefined;
    if (file === undefined || guard === undefined) return { ticket, value: undefined };
    const damage = this.#damage ?? guard.lookAtAll();
    if (damage?.at === 'removed' && damage.how === 'replaced' && damage.file === file.path) guard.setLogAside();
    if (damage === undefined) closeFile(file);
    else if (damage.at === 'damaged') leaveFile(file);
    // What SQLite still has of it goes back into the file, where that is there and nobody else's.
    else letGoOfFile(file);
    return damage === undefined ? { ticket, value: undefined } : { ticket, failure: damage };
  }

  #nowMs(): number {
    return this.#options.nowMs?.() ?? performance.now();
  }

  /** Whether there are changes since it was asked last. */
  #hasWritten(): boolean {
    const changes = this.#open?.tasks.totalChanges() ?? 0;
    const wrote = changes !== this.#knownChanges;
    this.#knownChanges = changes;
    return wrote;
  }
}

function toFailure(thrown: unknown): Failure {
  const cause = toError(thrown);
  if (isDamaged(thrown)) return { at: 'damaged', why: cause.message, cause };
  if (isSenseless(thrown)) return { at: 'damaged', why: `what it holds makes no sense: ${cause.message}`, cause };
  return { at: 'failed', why: adviceFor(thrown), cause };
}

function isAlone({ request }: Envelope): boolean {
  return request.op === 'open' || request.op === 'close';
}

/**
 * Of how many commits the answer tells, if not of all. A claim that a power failure undoes was made by a
 * process that it has ended, and nothing acts on a claim before its start is on the disk.
 */
function sinceOf(tasks: SqliteTasks, request: Request): number | undefined {
  if (request.op === 'claim') return 0;
  return request.op === 'get-state' ? tasks.state.recent.of(request.keys) : undefined;
}

function run(tasks: SqliteTasks, request: Request): Replies[keyof Replies] {
  switch (request.op) {
    case 'submit':
      return tasks.submit(decodeTasks(request.cells), request.nowMs);
    case 'claim':
      return encodeClaimed(tasks.claim(request.command), (row) => tasks.heldOf(row));
    case 'start':
      return encodeStarted(tasks.start(decodeStarts(request.cells), request.nowMs));
    case 'remember':
      return tasks.remember(decodeRemember(request.cells));
    case 'renew':
      return tasks.renew(decodeRenew(request.cells), request.nowMs);
    case 'settle':
      return tasks.settle(decodeSettlements(request.cells), request.nowMs);
    case 'sweep':
      return tasks.sweep(request.nowMs);
    case 'unbox':
      return tasks.unbox(request.items);
    case 'forget':
      return tasks.forget(request.command);
    case 'read-state':
      return tasks.state.read(request.items);
    case 'get-state':
      return tasks.state.getAll(request.keys);
    case 'list-state':
      return tasks.state.list({ ...request.query, limit: rowLimit(request.query.limit) });
    case 'set-state':
      return tasks.state.set(request.items);
    case 'signal':
      return tasks.signal(request.items, request.nowMs);
    case 'ask-approval':
      return tasks.events.ask(request.items, request.nowMs);
    case 'withdraw-approval':
      return tasks.events.withdraw(request.items);
    case 'decide-approval':
      return tasks.decideApproval(request.items, request.nowMs);
    case 'approvals':
      return tasks.events.approvals({ ...request.query, limit: rowLimit(request.query.limit) });
    case 'steer':
      return tasks.steer(request.items, request.nowMs);
    case 'pause-kinds':
      return tasks.pauseKinds(request.items);
    case 'paused-kinds':
      return tasks.pausedKinds();
    case 'story':
      return tasks.story(request.id);
    case 'put-schedules':
      return tasks.schedules.put(request.items);
    case 'remove-schedules':
      return tasks.schedules.remove(request.names);
    case 'schedules':
      return tasks.schedules.all();
    case 'fire-schedules':
      return tasks.fireSchedules(
        request.items.map((item) => ({ ...item, tasks: decodeTasks(item.tasks) })),
        request.nowMs,
      );
    case 'take-leases':
      return tasks.leases.take(request.items, request.nowMs);
    case 'renew-leases':
      return tasks.leases.renew(request.items, request.nowMs);
    case 'release-leases':
      return tasks.leases.release(request.items, request.nowMs);
    case 'read-leases':
      return tasks.leases.read(request.names, request.nowMs);
    case 'get':
      return tasks.get(request.ids);
    case 'list':
      return tasks.list(request.query);
    case 'counts':
      return tasks.counts();
    case 'take-budget':
      return tasks.shared.takeBudget(request.items);
    case 'return-budget':
      return tasks.shared.returnBudget(request.items);
    case 'read-budgets':
      return tasks.shared.readBudgets(request.items);
    case 'register-intents':
      return tasks.shared.registerIntents(request.items, request.nowMs);
    case 'withdraw-intents':
      return tasks.shared.withdrawIntents(request.items);
    case 'open':
    case 'close':
      throw new InvariantError(`broken invariant: ${request.op} goes by itself, not in a transaction`);
  }
}
