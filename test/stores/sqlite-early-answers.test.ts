import { describe, expect, test } from 'vitest';
import { SqliteServer } from '../../src/stores/sqlite-server.ts';
import { RecentWrites } from '../../src/stores/sqlite-recent-writes.ts';
import type { Answer, Request } from '../../src/stores/sqlite-wire.ts';

const NOW_MS = 1_790_000_000_000;

/** Serves each of these as a group of its own; the last answer to each. */
function served(...groups: readonly (readonly Request[])[]): readonly Answer[] {
  const answers: Answer[] = [];
  const server = new SqliteServer({
    path: ':memory:',
    receive: () => undefined,
    answer: (group) => answers.push(...group.answers.slice(-1)),
  });
  for (const group of groups) server.serve(group.map((request, ticket) => ({ ticket, size: 1, request })));
  return answers;
}

const open: Request = { op: 'open', command: { nowMs: NOW_MS, maxUnfinished: 100 } };
const write = (key: string): Request => ({ op: 'set-state', items: [{ key, value: '1', version: null }] });
const read = (...keys: string[]): Request => ({ op: 'get-state', keys });

describe('what an answer tells of', () => {
  test('a claim tells of no commit: nothing acts on it before its start is on the disk', () => {
    const claim: Request = { op: 'claim', command: { wants: [{ kind: 'k', limit: 1 }], leaseUntilMs: NOW_MS + 1, nowMs: NOW_MS } };
    expect(served([open], [write('a'), claim]).at(-1)).toMatchObject({ since: 0, value: [] });
  });

  test('a row that is read tells of the commit that wrote it last, which may be the one under way', () => {
    const answers = served([open], [write('a')], [write('b')], [read('a')], [read('a', 'b')], [read('c')], [write('c'), read('c')]);
    expect(answers.slice(3).map((answer) => 'since' in answer && answer.since)).toEqual([1, 2, 0, 3]);
  });

  test('every other answer tells of all until now', () => {
    for (const answer of served([open], [write('a')], [{ op: 'counts' }], [{ op: 'list-state', query: { prefix: '', limit: 1 } }]))
      expect(answer).not.toHaveProperty('since');
  });
});

describe('RecentWrites', () => {
  test('a row that was written long before many others is not taken for one that never was', () => {
    const recent = new RecentWrites();
    recent.wrote('first');
    for (let at = 1; at <= 12_000; at += 1) {
      recent.commits = at;
      recent.wrote(`row-${at}`);
    }
    expect(recent.of(['row-12000'])).toBe(12_001);
    expect(recent.of(['first'])).toBeGreaterThanOrEqual(1);
    // Far enough behind what is written now not to wait for it.
    expect(recent.of(['first', 'never'])).toBeLessThan(8_000);
  });
});
