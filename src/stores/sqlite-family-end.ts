/** Families: those whom a task has asked are cancelled with its end, as `parent-end` says. */
import type { Held } from '../../actors/ports/store.ts';
import { fateOf, orderOf } from './parent-end.ts';
import type { CancelOrder } from './parent-end.ts';
import type { Arrival, HeldTask } from './sqlite-held.ts';
import type { Known } from './sqlite-known.ts';
import { toFree } from './sqlite-rows.ts';
import type { FreeRow, FreeTask } from './sqlite-rows.ts';
import { FIRST_TERMINAL } from './task-status.ts';

/** What becomes known by it: who has ended, and which runs are to let go. */
export interface FamilyTold {
  readonly ended: string[];
  readonly held: Held[];
}

/** How a child is cancelled: by its run, when that lets go, or at once. */
export interface Cancelling {
  readonly note: (run: HeldTask) => void;
  readonly cancel: (child: FreeTask, told: FamilyTold) => void;
}

/** One that ends. `sends`: it completes, and those whom it sends to by that go on. */
interface Fallen {
  readonly id: string;
  readonly order: CancelOrder;
  readonly sends?: readonly Arrival[];
}

const NOTHING: readonly never[] = [];

/** Of one command. */
export class Families {
  hasCancelled = false;
  readonly #known: Known;
  readonly #nowMs: number;
  readonly #cancelling: Cancelling;
  readonly #fallen: Fallen[] = [];

  constructor(known: Known, nowMs: number, cancelling: Cancelling) {
    this.#known = known;
    this.#nowMs = nowMs;
    this.#cancelling = cancelling;
  }

  /** It has asked somebody, and completes. */
  completed(id: string, sends: readonly Arrival[]): void {
    this.#fallen.push({ id, order: orderOf(id, 'completed'), sends });
  }

  /** It ends otherwise. */
  fell(id: string, order: CancelOrder): void {
    this.#fallen.push({ id, order });
  }

  /** Cancels whom those have asked that were told of. */
  close(): void {
    const { sql, endedBeside } = this.#known;
    const fallen = this.#fallen.splice(0);
    // Of those that complete few have left somebody: that is looked up for all at once.
    const completed = fallen.flatMap(({ id, sends }) => (sends === undefined ? [] : [id]));
    const leave = new Set(completed.length === 0 ? [] : (sql.leavesChildren.all(completed) as [string][]).map(([id]) => id));
    const told = { ended: endedBeside, held: [] };
    for (const { id, order, sends } of fallen) if (sends === undefined || leave.has(id)) this.cancel(id, order, told, sends);
  }

  /** Cancels whom it has asked, but for those of `sends`. */
  cancel(id: string, order: CancelOrder, told: FamilyTold, sends: readonly Arrival[] = NOTHING): void {
    const { sql, held, story } = this.#known;
    for (const [seq] of sql.unfinishedChildren.all(id) as unknown as [number][]) {
      const run = held.of(seq);
      const child = run ?? toFree(sql.free.get(seq) as unknown as FreeRow);
      if (sends.some((send) => send.id === child.id)) continue;
      const fate = fateOf({ hasEnded: child.status >= FIRST_TERMINAL, isHeld: run !== undefined, isUndoing: child.undo !== null });
      if (fate === 'left') continue;
      this.hasCancelled = true;
      story.append(seq, { at: 'steered', atMs: this.#nowMs, action: 'cancel', by: order.by, reason: order.reason });
      if (run !== undefined) {
        this.#cancelling.note(run);
        told.held.push({ id: run.id, fence: run.fence });
        continue;
      }
      this.#cancelling.cancel(child as FreeTask, told);
      this.cancel(child.id, order, told);
    }
  }
}
