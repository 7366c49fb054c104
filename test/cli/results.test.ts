import { expect, test } from 'vitest';
import { Results, resultLine } from '../../src/cli/results.ts';
import type { TaskRecord } from '../../actors/ports/store.ts';

const record = (id: string, change: Partial<TaskRecord> = {}): TaskRecord => ({
  id,
  kind: 'k',
  version: '1',
  status: 'completed',
  input: '',
  result: '{"n":1}',
  error: null,
  priority: 0,
  attempt: 1,
  losses: 0,
  maxAttempts: 5,
  maxLosses: 5,
  fence: 1,
  depth: 0,
  parentId: null,
  parkedFor: null,
  submittedAtMs: 0,
  finishedAtMs: 1,
  rootId: null,
  tenant: null,
  affinity: null,
  orderKey: null,
  deadlineMs: null,
  locks: [],
  dueAtMs: null,
  undone: false,
  kept: false,
  noted: null,
  ...change,
});

function resultsOver(get: (ids: readonly string[]) => Promise<readonly (TaskRecord | undefined)[]>) {
  const lines: Record<string, unknown>[] = [];
  const results = new Results({
    write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
    backlog: () => undefined,
    get,
    debug: false,
  });
  return { results, lines };
}

test('a task of which only the id is known is fetched, in batches', async () => {
  const batches: number[] = [];
  const { results, lines } = resultsOver(async (ids) => {
    batches.push(ids.length);
    return ids.map((id) =>
      id === '7'
        ? undefined
        : record(id, id === '8' ? { status: 'dead', result: null, error: '{"name":"E","message":"m","stack":"s"}', parentId: 'p' } : {}),
    );
  });
  for (let id = 0; id < 300; id += 1) results.fetch(String(id));
  await results.flush();
  expect(batches).toEqual([256, 44]);
  expect(lines).toHaveLength(299);
  expect(lines[0]).toEqual({ id: '0', kind: 'k', status: 'completed', result: { n: 1 } });
  expect(lines[7]).toEqual({ id: '8', kind: 'k', status: 'dead', parentId: 'p', error: { name: 'E', message: 'm' } });
});

test('a resumed task whose line is read later is written once', async () => {
  const { results, lines } = resultsOver(async (ids) => ids.map((id) => record(id)));
  results.fetch('a');
  results.add({ id: 'a', kind: 'k', status: 'completed', result: 1 });
  await results.flush();
  results.add({ id: 'a', kind: 'k', status: 'completed', result: 1 });
  results.add({ id: 'b', kind: 'k', status: 'completed', result: 1 });
  expect(lines.map(({ id }) => id)).toEqual(['a', 'b']);
});

test('a store that answers no more loses only the lines, which stay in it', async () => {
  const { results, lines } = resultsOver(async () => {
    throw new Error('closed');
  });
  results.fetch('a');
  await results.flush();
  expect(lines).toEqual([]);
});

test('an error has its causes, and its stack only for debugging', () => {
  const error = { name: 'E', message: 'm', code: 'C', stack: 's', cause: { name: 'F', message: 'n', stack: 't' } };
  const task = { id: 'a', kind: 'k', status: 'failed' as const, error };
  expect(JSON.parse(resultLine(task, null, false))).toEqual({
    id: 'a',
    kind: 'k',
    status: 'failed',
    error: { name: 'E', message: 'm', code: 'C', cause: { name: 'F', message: 'n' } },
  });
  expect(JSON.parse(resultLine(task, null, true))).toMatchObject({ error });
  expect(resultLine({ id: 'a', kind: 'k', status: 'completed', result: undefined }, null, false)).toBe(
    '{"id":"a","kind":"k","status":"completed","result":null}\n',
  );
});
