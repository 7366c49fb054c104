/** Which tasks a claim may choose: whose turn it is among tenants is the adapter's choice, everything else is not. */
import { expect } from 'vitest';
import { MOST_BEGUN } from '../../actors/ports/store.ts';
import type { ClaimCommand } from '../../actors/ports/store.ts';
import type { ModelTask } from './model-task.ts';

/** The lower goes first, among those of one tenant. */
export function rankIn({ task, sinceMs }: ModelTask, agingMs: number): number {
  return sinceMs - task.priority * agingMs;
}

/** What is remembered of claims, while the store is open. */
export class ClaimModel {
  mostBegun = MOST_BEGUN;
  /** By line: resumed ones that were claimed in a row. */
  readonly #inRow = new Map<string, number>();

  open(mostBegun: number | undefined): void {
    this.mostBegun = mostBegun ?? MOST_BEGUN;
    this.#inRow.clear();
  }

  unboxed(kind: string, box: string): void {
    this.#inRow.delete(nameOf(kind, box));
  }

  /** The tasks that were claimed. Throws where the port would not have had these, in this order. */
  chosen(tasks: readonly ModelTask[], wants: ClaimCommand['wants'], answered: readonly string[], agingMs: number): ModelTask[] {
    const bestFirst = (a: ModelTask, b: ModelTask): number => rankIn(a, agingMs) - rankIn(b, agingMs) || a.seq - b.seq;
    const ready = tasks.filter(({ status }) => status === 'queued').toSorted(bestFirst);
    const claimed = answered.map((id) => {
      const task = ready.find((other) => other.task.id === id);
      if (task === undefined) throw new Error(`${id} was claimed, and is not queued`);
      return task;
    });
    if (new Set(claimed).size !== claimed.length) throw new Error(`claimed twice: ${answered.join(' ')}`);
    const lines = Map.groupBy(wants, ({ kind, box }) => nameOf(kind, box ?? null));
    for (const [line, wanted] of lines) {
      const isOf = ({ task, box }: ModelTask): boolean => nameOf(task.kind, box) === line;
      const candidates = ready.filter(isOf);
      const picked = claimed.filter(isOf);
      const most = wanted.reduce((sum, { limit }) => sum + Math.max(0, Math.floor(limit)), 0);
      if (picked.length !== Math.min(most, candidates.length))
        throw new Error(`${picked.length} of ${candidates.length} ${line} were claimed, up to ${most} were wanted`);
      // Of two claims of one line in a command the answers are mixed.
      if (wanted.length === 1) this.#inOrder(line, candidates, picked);
      else this.#inAnyOrder(line, candidates, picked);
    }
    const strangers = claimed.filter(({ task, box }) => !lines.has(nameOf(task.kind, box)));
    if (strangers.length > 0) throw new Error(`nobody wanted ${strangers.map(({ task }) => task.id).join(' ')}`);
    return claimed;
  }

  /** Resumed ones first, but not for ever; and within a tenant in their order. */
  #inOrder(line: string, candidates: readonly ModelTask[], picked: readonly ModelTask[]): void {
    const left = new Set(candidates);
    for (const task of picked) {
      const isNext = this.#next(line, left);
      if (task.resumed !== isNext) throw new Error(`${task.task.id} of ${line}, ${task.resumed ? 'resumed' : 'new'}, was claimed`);
      const own = [...left].find((other) => other.resumed === isNext && tenantOf(other) === tenantOf(task));
      expectSame([task], [own!], `${line} of tenant '${tenantOf(task)}'`);
      left.delete(task);
    }
  }

  #inAnyOrder(line: string, candidates: readonly ModelTask[], picked: readonly ModelTask[]): void {
    const left = new Set(candidates);
    let resumed = 0;
    for (const _ of picked) {
      const isResumed = this.#next(line, left);
      if (isResumed) resumed += 1;
      left.delete([...left].find((task) => task.resumed === isResumed)!);
    }
    expect(picked.filter((task) => task.resumed)).toHaveLength(resumed);
  }

  /** Whether a resumed one goes next. */
  #next(line: string, left: ReadonlySet<ModelTask>): boolean {
    const inRow = this.#inRow.get(line) ?? 0;
    const wanted = inRow < this.mostBegun;
    const isThere = [...left].some(({ resumed }) => resumed === wanted);
    const goes = isThere ? wanted : !wanted;
    this.#inRow.set(line, goes ? inRow + 1 : 0);
    return goes;
  }
}

const nameOf = (kind: string, box: string | null): string => JSON.stringify([kind, box]);
const tenantOf = ({ task }: ModelTask): string => task.tenant ?? '';

function expectSame(found: readonly ModelTask[], expected: readonly ModelTask[], of: string): void {
  const names = (some: readonly ModelTask[]): string => some.map(({ task }) => task.id).join(' ');
  if (names(found) !== names(expected)) throw new Error(`claimed of ${of}: ${names(found)}; expected: ${names(expected)}`);
}
