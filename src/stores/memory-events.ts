/** MemoryTold: what one task was told of, and what it asks people. */
import { MOST_EVENTS } from '../../actors/ports/store.ts';
import type { ApprovalRequest, TaskEvent } from '../../actors/ports/store.ts';

/** One question to a person. */
export interface MemoryApproval {
  /** Order of asking in the whole store. */
  readonly n: number;
  readonly name: string;
  readonly request: string;
  readonly askedAtMs: number;
  readonly expiresAtMs: number | null;
  decided: boolean;
}

/** Of one task. */
export class MemoryTold {
  #events: TaskEvent[] = [];
  readonly #counts = new Map<string, number>();
  /** By name and key: the values of those that had one. */
  readonly #keyed = new Map<string, Map<string, string>>();
  readonly approvals = new Map<string, MemoryApproval>();

  /** In order of arrival. */
  events(): readonly TaskEvent[] {
    return [...this.#events];
  }

  get isFull(): boolean {
    return this.#events.length >= MOST_EVENTS;
  }

  /** What was told under this key; undefined: nothing. */
  valueOf(name: string, key: string): string | undefined {
    return this.#keyed.get(name)?.get(key);
  }

  has({ name, n }: { readonly name: string; readonly n: number }): boolean {
    return n < (this.#counts.get(name) ?? 0);
  }

  /** The how-manieth of its name it is. */
  tell(name: string, value: string, key: string | undefined): number {
    const n = this.#counts.get(name) ?? 0;
    this.#counts.set(name, n + 1);
    this.#events.push({ name, n, value });
    if (key !== undefined) {
      const keyed = this.#keyed.get(name);
      if (keyed === undefined) this.#keyed.set(name, new Map([[key, value]]));
      else keyed.set(key, value);
    }
    return n;
  }

  /** Its task is run no more: only what came under a key may come once more. True: nothing did. */
  forget(): boolean {
    this.#events = [];
    this.#counts.clear();
    this.approvals.clear();
    return this.#keyed.size === 0;
  }

  /** What was asked before stays as it was. */
  ask({ name, request, expiresAtMs }: ApprovalRequest, n: number, askedAtMs: number): MemoryApproval | undefined {
    if (this.approvals.has(name)) return undefined;
    const approval = { n, name, request, askedAtMs, expiresAtMs, decided: false };
    this.approvals.set(name, approval);
    return approval;
  }

  /** What has been decided stays as it was. */
  withdraw(name: string): MemoryApproval | undefined {
    const approval = this.approvals.get(name);
    if (approval === undefined || approval.decided) return undefined;
    this.approvals.delete(name);
    return approval;
  }
}
