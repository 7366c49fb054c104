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
  readonly #events: TaskEvent[] = [];
  readonly #counts = new Map<string, number>();
  /** By name: the keys of those that had one. */
  readonly #keys = new Map<string, Set<string>>();
  readonly approvals = new Map<string, MemoryApproval>();

  /** In order of arrival. */
  events(): readonly TaskEvent[] {
    return [...this.#events];
  }

  get isFull(): boolean {
    return this.#events.length >= MOST_EVENTS;
  }

  hasKey(name: string, key: string): boolean {
    return this.#keys.get(name)?.has(key) === true;
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
      const keys = this.#keys.get(name);
      if (keys === undefined) this.#keys.set(name, new Set([key]));
      else keys.add(key);
    }
    return n;
  }

  /** What was asked before stays as it was. */
  ask({ name, request, expiresAtMs }: ApprovalRequest, n: number, askedAtMs: number): MemoryApproval | undefined {
    if (this.approvals.has(name)) return undefined;
    const approval = { n, name, request, askedAtMs, expiresAtMs, decided: false };
    this.approvals.set(name, approval);
    return approval;
  }
}
