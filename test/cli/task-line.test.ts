import { describe, expect, test } from 'vitest';
import { deriveId, parseTaskLine } from '../../src/cli/task-line.ts';

describe('a task line', () => {
  test('needs a kind and nothing else', () => {
    expect(parseTaskLine('{"kind":"triage"}')).toEqual({ kind: 'triage', input: undefined, id: undefined, priority: undefined });
    expect(parseTaskLine(' {"kind":"triage","input":null,"id":"a","priority":-2}\r')).toEqual({
      kind: 'triage',
      input: null,
      id: 'a',
      priority: -2,
    });
  });

  test.each([
    ['{"kind"', 'expected JSON, got "{\\"kind\\""'],
    ['', 'expected JSON'],
    ['[]', 'expected an object {"kind"'],
    ['null', 'expected an object {"kind"'],
    ['"text"', 'got "text"'],
    ['{}', 'expected kind: the name of an agent, got undefined'],
    ['{"kind":""}', 'kind: the name of an agent'],
    ['{"kind":5}', 'got 5'],
    ['{"kind":"a","id":""}', 'id: a text of 1 to 512 characters, got ""'],
    ['{"kind":"a","id":7}', 'got 7'],
    [`{"kind":"a","id":"${'x'.repeat(513)}"}`, 'id: a text of 1 to 512 characters'],
    ['{"kind":"a","id":"\\ud800"}', 'id: a text of 1 to 512 characters'],
    ['{"kind":"a","priority":"high"}', 'priority: a whole number, got "high"'],
    ['{"kind":"a","priority":1e400}', 'priority: a whole number'],
    ['{"kind":"a","Input":1}', 'only the fields kind, input, id, priority, got "Input"'],
    ['{"kind":"a","__proto__":{"id":"x"}}', 'got "__proto__"'],
  ])('%s is refused, with what was expected and what came', (text, message) => {
    expect(() => parseTaskLine(text)).toThrow(
      expect.objectContaining({ code: 'DROVER_TASK_LINE', message: expect.stringContaining(message) as string }),
    );
  });
});

describe('the id of a line that gives none', () => {
  const origin = { label: 'tasks.jsonl', identity: 'tasks.jsonl' };
  const task = parseTaskLine('{"kind":"triage","input":{"mailId":"17"}}');

  test('is the same for the same line of the same file, however it is spaced', () => {
    expect(deriveId(origin, 3, task)).toBe(deriveId(origin, 3, parseTaskLine('{ "input": {"mailId" : "17"}, "kind":"triage" }')));
    expect(deriveId(origin, 3, task)).toMatch(/^tasks\.jsonl:3:[\da-f]{16}$/);
  });

  test('does not change with the priority, which is no part of the work', () => {
    expect(deriveId(origin, 3, { ...task, priority: 5 })).toBe(deriveId(origin, 3, task));
  });

  test('is another one for another line, kind, input or file', () => {
    const ids = [
      deriveId(origin, 3, task),
      deriveId(origin, 4, task),
      deriveId(origin, 3, { ...task, kind: 'extract' }),
      deriveId(origin, 3, { ...task, input: { mailId: '18' } }),
      deriveId(origin, 3, { ...task, input: undefined }),
      deriveId(origin, 3, { ...task, input: null }),
      deriveId({ ...origin, identity: '../other/tasks.jsonl' }, 3, task),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('fits into a store whatever the file is called', () => {
    const id = deriveId({ label: `${'x'.repeat(63)}\u{1F600}${'y'.repeat(300)}`, identity: '-' }, 1, task);
    expect(id.length).toBeLessThan(512);
    expect(id.isWellFormed()).toBe(true);
  });
});
