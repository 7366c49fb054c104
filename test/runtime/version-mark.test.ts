/** The place of a child carries which version of its parent's code has asked for it, whatever that version is called. */
import { expect, test } from 'vitest';
import { agent, defineFleet } from 'drover';
import { readAsked, VersionMark } from '../../src/runtime/run/version-mark.ts';

const kind = (version: string, onVersionChange: 'replay' | 'restart') =>
  defineFleet({ name: 'marks', agents: { work: agent({ version, onVersionChange, run: async () => null }) } }).kinds['work']!;
const mark = (version: string, onVersionChange: 'replay' | 'restart') =>
  new VersionMark(kind(version, onVersionChange), '1', { memory: [], undo: null });

const PLACES = [
  'ask:review#1@17.4',
  'ask:review[a@1.2]@17.4',
  'ask:review[@9@x]@17.4',
  'ask:review~in:charge#1@17.4',
  'ask:review#1/draft#2@17.4',
];

test.each(PLACES)('%s is found again without its version, and with it', (place) => {
  for (const version of ['2', '2.0.1', 'v@3', '17.4', 'grün', '4@5.6'])
    expect(readAsked(mark(version, 'replay').asked(place, version))).toEqual({ place, version });
  expect(readAsked(mark('1', 'replay').asked(place, undefined))).toEqual({ place, version: undefined });
});

test('where each version has places of its own, those say it', () => {
  const stored = mark('2', 'restart').asked('ask:review#1@17.4', '2');
  expect(stored).toBe('ask@2:review#1@17.4');
  expect(readAsked(stored)).toEqual({ place: stored, version: undefined });
});
