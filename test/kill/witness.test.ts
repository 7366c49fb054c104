import { expect, test } from 'vitest';
import { snapshot, task } from './story.ts';
import type { Snapshot } from './snapshot.ts';
import { Witness } from './witness.ts';

const ended = task('a', 'note');
const open = task('b', 'note', { status: 'running', finishedMs: null });
const before = snapshot([ended, open], { epoch: 3, token: 8, rows: new Map([['row', { version: 5, value: 1 }]]) });

/** What is said of a store in which this has become of that one. */
function said(after: Snapshot | undefined, accepted: readonly string[] = []): readonly string[] {
  const witness = new Witness();
  witness.look(before, [], 100);
  witness.look(after, accepted, 200);
  return witness.violations;
}

test('a store that has only gone on has nothing taken back', () => {
  const later = task('b', 'note', { fence: 3 });
  expect(said({ ...before, epoch: 4, tasks: new Map([...before.tasks, ['b', later], ['c', open]]) }, ['a', 'c'])).toEqual([]);
});

test.each<[string, Snapshot | undefined, string]>([
  ['a store that is gone', undefined, 'the store is gone'],
  ['a task that is gone', { ...before, tasks: new Map([['a', ended]]) }, 'task b: is gone'],
  [
    'a fence that has shrunk',
    { ...before, tasks: new Map([...before.tasks, ['b', { ...open, fence: 1 }]]) },
    'task b: its fence was 2 and is 1',
  ],
  [
    'a task that had ended and ran again',
    { ...before, tasks: new Map([...before.tasks, ['a', { ...ended, fence: 3 }]]) },
    'task a: had ended completed and has changed',
  ],
  ['an epoch that has shrunk', { ...before, epoch: 2 }, 'the epoch was 3 and is 2'],
  ['a token that has shrunk', { ...before, token: 7 }, 'the token of locks was 8 and is 7'],
  ['a row that is gone', { ...before, rows: new Map() }, 'row row: is gone'],
  ['a row that is older', { ...before, rows: new Map([['row', { version: 4, value: 1 }]]) }, 'row row: its version was 5 and is 4'],
  ['a wrong count', { ...before, miscounted: ['note'] }, 'kind note: the store counts its tasks wrongly'],
])('%s is seen', (_, after, violation) => {
  expect(said(after)).toEqual([`look 2: ${violation}`]);
});

test('a task that was accepted and is not there is seen', () => {
  expect(said(before, ['a', 'z'])).toEqual(['look 2: task z: was accepted and is not there']);
});

test('it keeps when it saw first that a task had ended, and that an effect was remembered', () => {
  const witness = new Witness();
  witness.look(undefined, [], 50);
  witness.look({ ...before, remembered: new Set(['b/step:x']) }, [], 100);
  witness.look({ ...before, remembered: new Set(['b/step:x']) }, [], 200);
  expect([...witness.endedAtMs, ...witness.rememberedAtMs]).toEqual([
    ['a', 100],
    ['b/step:x', 100],
  ]);
  expect(witness.violations).toEqual([]);
});
