/** Which tasks a claim may choose: whose turn it is among tenants is the adapter's choice, everything else is not. */
import type { ClaimCommand } from '../../actors/ports/store.ts';
import type { ModelTask } from './model-task.ts';

/** The lower goes first, among those of one tenant. */
export function rankIn({ task, sinceMs }: ModelTask, agingMs: number): number {
  return sinceMs - task.priority * agingMs;
}

/** The tasks that were claimed. Throws where the port would not have had these, in this order. */
export function chosen(
  tasks: readonly ModelTask[],
  wants: ClaimCommand['wants'],
  answered: readonly string[],
  agingMs: number,
): ModelTask[] {
  const rank = (task: ModelTask): number => rankIn(task, agingMs);
  const bestFirst = (a: ModelTask, b: ModelTask): number => Number(b.resumed) - Number(a.resumed) || rank(a) - rank(b) || a.seq - b.seq;
  const ready = tasks.filter(({ status }) => status === 'queued').toSorted(bestFirst);
  const claimed = answered.map((id) => {
    const task = ready.find((other) => other.task.id === id);
    if (task === undefined) throw new Error(`${id} was claimed, and is not queued`);
    return task;
  });
  if (new Set(claimed).size !== claimed.length) throw new Error(`claimed twice: ${answered.join(' ')}`);
  const lines = new Set(wants.map(({ kind, box }) => JSON.stringify([kind, box ?? null])));
  for (const line of lines) {
    const isOf = ({ task, box }: ModelTask): boolean => JSON.stringify([task.kind, box]) === line;
    const candidates = ready.filter(isOf);
    const picked = claimed.filter(isOf);
    const most = wants
      .filter(({ kind, box }) => JSON.stringify([kind, box ?? null]) === line)
      .reduce((sum, { limit }) => sum + Math.max(0, Math.floor(limit)), 0);
    if (picked.length !== Math.min(most, candidates.length))
      throw new Error(`${picked.length} of ${candidates.length} ${line} were claimed, up to ${most} were wanted`);
    // Resumed ones first; and within a tenant in their order.
    const tenants = new Set(candidates.map(({ task }) => task.tenant ?? ''));
    for (const tenant of tenants) {
      const own = candidates.filter(({ task }) => (task.tenant ?? '') === tenant);
      const taken = picked.filter(({ task }) => (task.tenant ?? '') === tenant);
      expectSame(taken, own.slice(0, taken.length), `${line} of tenant '${tenant}'`);
    }
    const resumed = candidates.filter((task) => task.resumed).length;
    const ahead = picked.slice(0, resumed);
    if (ahead.some((task) => !task.resumed)) throw new Error(`new work of ${line} was claimed ahead of resumed: ${answered.join(' ')}`);
  }
  const strangers = claimed.filter(({ task, box }) => !lines.has(JSON.stringify([task.kind, box])));
  if (strangers.length > 0) throw new Error(`nobody wanted ${strangers.map(({ task }) => task.id).join(' ')}`);
  if (new Set(claimed.map(({ task }) => task.tenant)).size === 1) expectSame(claimed, claimed.toSorted(bestFirst), 'all that was claimed');
  return claimed;
}

function expectSame(found: readonly ModelTask[], expected: readonly ModelTask[], of: string): void {
  const names = (some: readonly ModelTask[]): string => some.map(({ task }) => task.id).join(' ');
  if (names(found) !== names(expected)) throw new Error(`claimed of ${of}: ${names(found)}; expected: ${names(expected)}`);
}
