/** MemoryApprovals: what is asked of people and not decided, over all tasks, in order of asking. */
import type { Approval, ApprovalQuery } from '../../actors/ports/store.ts';
import type { MemoryApproval, MemoryTold } from './memory-events.ts';
import type { MemoryTask } from './memory-task.ts';

export class MemoryApprovals {
  #open = new Map<MemoryApproval, MemoryTask>();
  #asked = 0;

  nextNumber(): number {
    this.#asked += 1;
    return this.#asked;
  }

  open(task: MemoryTask, approval: MemoryApproval): void {
    this.#open.set(approval, task);
  }

  decided(approval: MemoryApproval): void {
    approval.decided = true;
    this.#open.delete(approval);
  }

  withdrawn(approval: MemoryApproval): void {
    this.#open.delete(approval);
  }

  /** The task has ended: nobody need decide any more. */
  close({ approvals }: MemoryTold): void {
    for (const approval of approvals.values()) this.#open.delete(approval);
  }

  /** The task goes on after it had ended. */
  reopen(task: MemoryTask, { approvals }: MemoryTold): void {
    const before = this.#open.size;
    for (const approval of approvals.values()) if (!approval.decided) this.#open.set(approval, task);
    if (this.#open.size > before) this.#open = new Map([...this.#open].toSorted(([a], [b]) => a.n - b.n));
  }

  list({ limit, nowMs, after = 0 }: ApprovalQuery): readonly Approval[] {
    const found: Approval[] = [];
    for (const [{ n: cursor, name, request, askedAtMs, expiresAtMs }, { id, kind, more }] of this.#open) {
      if (found.length >= Math.floor(limit)) break;
      if (cursor <= after || more?.undo !== undefined || (expiresAtMs !== null && expiresAtMs <= nowMs)) continue;
      found.push({ id, kind: kind.name, name, request, askedAtMs, expiresAtMs, cursor });
    }
    return found;
  }
}
