/** Requests: what runs ask of the store while they go on, in batches, again until it has answered. */
import type {
  ApprovalRequest,
  ApprovalWithdrawal,
  RememberItem,
  StateRead,
  StateReadOutcome,
  StateRow,
} from '../../../actors/ports/store.ts';
import { Batcher } from '../batcher.ts';
import type { BatcherOptions, Requester } from '../batcher.ts';
import type { Run } from '../run.ts';
import type { Came } from '../run/came.ts';
import { refOf } from './core.ts';
import type { EngineCore } from './core.ts';
import { toldAtMs } from './told-in-time.ts';
import { whyCancelled } from './why-cancelled.ts';
import type { WhyCancelled } from './why-cancelled.ts';

/** A story that could not be read is asked for again after so long. */
const STORY_RETRY_MS = 1_000;

export class RunRequests {
  readonly #core: EngineCore;
  readonly #memories: Batcher<RememberItem, boolean>;
  readonly #reads: Batcher<StateRead, StateReadOutcome>;
  readonly #rows: Batcher<string, StateRow | undefined>;
  readonly #approvals: Batcher<ApprovalRequest, boolean>;
  readonly #withdrawals: Batcher<ApprovalWithdrawal, boolean>;

  constructor(core: EngineCore, batching: BatcherOptions) {
    this.#core = core;
    const { store } = core;
    this.#memories = new Batcher((items) => store.remember(items, core.nowMs()), batching);
    this.#reads = new Batcher((items) => store.readState(items, core.nowMs()), batching);
    this.#rows = new Batcher((keys) => store.getState(keys), batching);
    this.#approvals = new Batcher((items) => store.askApproval(items, core.nowMs()), batching);
    this.#withdrawals = new Batcher((items) => store.withdrawApproval(items, core.nowMs()), batching);
  }

  /** Resolves when what runs have brought is in the store. */
  idle(): Promise<void> {
    return this.#memories.idle();
  }

  close(): void {
    for (const batcher of [this.#memories, this.#reads, this.#rows, this.#approvals, this.#withdrawals]) batcher.close();
  }

  remember(item: RememberItem, from: Requester<boolean>): void {
    this.#memories.add(item, from);
  }

  /** Reads a row and remembers what was read. */
  readState(run: Run, key: string, place: string, read: (row: StateRow | null) => void): void {
    const { id, fence } = run.task;
    const replied = (outcome: StateReadOutcome): void => (outcome.at === 'stale' ? run.leaseLost() : read(outcome.row));
    const { version } = run.memory;
    this.#reads.add({ id, fence, place, key, ...(version === undefined ? {} : { version }) }, { replied });
  }

  /** The row as it is now. */
  getState(key: string, read: (row: StateRow | undefined) => void): void {
    this.#rows.add(key, { replied: read });
  }

  askApproval(run: Run, name: string, request: string, expiresAtMs: number | null, asked: () => void): void {
    const { id, fence } = run.task;
    const replied = (kept: boolean): void => {
      if (!kept) return run.leaseLost();
      this.#core.emit('approval.asked', () => ({ ...refOf(run.claimed), atMs: this.#core.nowMs(), name, expiresAtMs }));
      asked();
    };
    this.#approvals.add({ id, fence, name, request, expiresAtMs }, { replied });
  }

  /** `withdrawn` is called once for each name. */
  withdrawApprovals(run: Run, names: readonly string[], withdrawn: (name: string) => void): void {
    const { id, fence } = run.task;
    for (const name of names)
      this.#withdrawals.add({ id, fence, name }, { replied: (isHeld) => (isHeld ? withdrawn(name) : run.leaseLost()) });
  }

  /** Whether the task had ended, and an operator has put it back. Asked again until the store answers. */
  hasBeenPutBack(run: Run, answered: (isPutBack: boolean) => void): void {
    this.#core.store.story(run.task.id).then(
      (story) => answered(story.some((entry) => entry.at === 'steered' && entry.action === 'requeue')),
      (error: unknown) => {
        if (run.over === undefined && this.#core.isPassing(error))
          this.#core.alarm(STORY_RETRY_MS, () => this.hasBeenPutBack(run, answered));
      },
    );
  }

  /** By whom and why a child was cancelled. */
  whyCancelled(id: string, answered: (why: WhyCancelled) => void): void {
    void whyCancelled(this.#core.store, id).then(answered);
  }

  /** Whether an event was told before `untilMs`. Asked again until the store answers. */
  toldBy(run: Run, event: { readonly name: string; readonly n: number }, untilMs: number, answered: (inTime: boolean) => void): void {
    this.whenCame(run, [{ event }], ([atMs]) => answered(atMs! < untilMs));
  }

  /** When each of these came; what nobody remembers came long ago. Asked again until the store answers. */
  whenCame(run: Run, came: readonly Came[], answered: (atMs: readonly number[]) => void): void {
    this.#timesOf(run, came).then(answered, (error: unknown) => {
      if (run.over === undefined && this.#core.isPassing(error)) this.#core.alarm(STORY_RETRY_MS, () => this.whenCame(run, came, answered));
    });
  }

  async #timesOf(run: Run, came: readonly Came[]): Promise<readonly number[]> {
    const { store } = this.#core;
    const totals = came.map(({ event }) => (event === undefined ? 0 : run.events.countOf(event.name)));
    const children = came.flatMap(({ child }) => (child === undefined ? [] : [child]));
    const story = came.some(({ event }) => event !== undefined) ? await store.story(run.task.id) : [];
    const records = children.length > 0 ? await store.get(children) : [];
    return came.map(({ event, child, atMs = Infinity }, at) => {
      const toldMs = event === undefined ? Infinity : toldAtMs(story, event, totals[at]!);
      const endedMs = child === undefined ? Infinity : (records[children.indexOf(child)]?.finishedAtMs ?? -Infinity);
      return Math.min(atMs, toldMs, endedMs);
    });
  }
}
