import { describe, expect, test } from 'vitest';
import { formatError, TopologyLoadError, UsageError } from '../../src/cli/errors.ts';
import { EXITS, exitHelp, exitOf } from '../../src/cli/exit-codes.ts';
import type { RunOutcome } from '../../src/cli/exit-codes.ts';
import { meaningOf } from '../../src/cli/interrupts.ts';
import { topologyIn } from '../../src/cli/load-topology.ts';
import { noteOf } from '../../src/cli/log.ts';
import { chooseStore, sumUnfinished } from '../../src/cli/open-store.ts';
import { resumeCommand } from '../../src/cli/report.ts';
import { duration, printable, rate, shellWord, short } from '../../src/cli/text.ts';
import { Throttle } from '../../src/cli/throttle.ts';
import { noCounts } from '../../src/stores/task-status.ts';
import { agent } from '../../src/topology/agent.ts';
import { defineFleet } from '../../src/topology/fleet.ts';

describe('the exit code', () => {
  const well: RunOutcome = { at: 'finished', endedBadly: 0, refusedLines: 0, brokeOff: false };

  test.each<[Partial<RunOutcome>, keyof typeof EXITS]>([
    [{}, 'completed'],
    [{ endedBadly: 1 }, 'incomplete'],
    [{ refusedLines: 1 }, 'incomplete'],
    [{ brokeOff: true }, 'incomplete'],
    [{ at: 'interrupted' }, 'interrupted'],
    [{ at: 'interrupted', endedBadly: 1, refusedLines: 1 }, 'interrupted'],
    [{ at: 'unread' }, 'unread'],
    [{ at: 'failed', endedBadly: 1 }, 'failed'],
  ])('of %j is that of %s', (outcome, exit) => {
    expect(exitOf({ ...well, ...outcome })).toBe(exit);
  });

  test('is another one for each ending, and each is in the help', () => {
    const codes = Object.values(EXITS).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    for (const { code, means } of Object.values(EXITS)) expect(exitHelp()).toContain(`${code}  ${means}`);
  });
});

describe('a signal', () => {
  test('is the first, its echo, or the second', () => {
    expect(meaningOf(undefined, 1_000)).toBe('first');
    expect(meaningOf(1_000, 1_000)).toBe('echo');
    expect(meaningOf(1_000, 1_249)).toBe('echo');
    expect(meaningOf(1_000, 1_250)).toBe('second');
  });
});

describe('a topology', () => {
  const topology = defineFleet({ name: 'small', agents: { one: agent({ run: async () => 1 }) } });

  test('is the default export, the export `topology`, or what CommonJS makes of it', () => {
    expect(topologyIn({ default: topology }, 'a.ts')).toBe(topology);
    expect(topologyIn({ topology, default: undefined }, 'a.ts')).toBe(topology);
    expect(topologyIn({ default: { default: topology } }, 'a.cjs')).toBe(topology);
  });

  test('is known by what it says it is, because it may come from another copy of the package', () => {
    const copy = JSON.parse(JSON.stringify(topology)) as object;
    expect(topologyIn({ default: copy }, 'a.ts')).toBe(copy);
  });

  test('is missed in words that name what is exported instead', () => {
    expect(() => topologyIn({}, 'a.ts')).toThrow(
      expect.objectContaining({ code: 'DROVER_NO_TOPOLOGY', message: expect.stringContaining('it exports nothing') as string }),
    );
    expect(() => topologyIn({ default: null, fleet: 1 }, 'a.ts')).toThrow('it exports default, fleet');
  });

  test('that lacks fields was made by another version', () => {
    expect(() => topologyIn({ default: { ...topology, bounds: undefined } }, 'a.ts')).toThrow(
      expect.objectContaining({ code: 'DROVER_TOPOLOGY_VERSION', detail: { file: 'a.ts', missing: ['bounds'] } }),
    );
  });
});

describe('an error on the screen', () => {
  test('is its code, its message, and its causes, on a line each, without steering the terminal', () => {
    const error = new TopologyLoadError('a.ts', 'a.ts:3', { cause: new Error('two\nlines \u001B[2J', { cause: new UsageError('deep') }) });
    expect(formatError(error, false)).toBe(
      'DROVER_TOPOLOGY_LOAD: a.ts: loading it failed at a.ts:3\n  cause: two lines [2J\n  cause: DROVER_USAGE: deep',
    );
  });

  test('leaves out a cause that the message quotes, and a code that the message begins with', () => {
    expect(formatError(new Error('cannot: no room', { cause: new Error('no room') }), false)).toBe('cannot: no room');
    expect(formatError(Object.assign(new Error('ENOENT: gone'), { code: 'ENOENT' }), false)).toBe('ENOENT: gone');
  });

  test('may have been thrown as anything, or have become data', () => {
    expect(formatError('a text', false)).toBe('"a text"');
    expect(formatError(undefined, false)).toBe('undefined');
    expect(formatError({ name: 'Error', message: 'from an event', code: 'X' }, false)).toBe('X: from an event');
  });
});

describe('the store of --store', () => {
  test('is a file named after the fleet, unless another is given', () => {
    expect(chooseStore(undefined, 'inbox', '/work')).toEqual({ at: 'sqlite', name: 'inbox.db', path: '/work/inbox.db', folder: '/work' });
    expect(chooseStore('../data/x.db', 'inbox', '/work')).toEqual({
      at: 'sqlite',
      name: '../data/x.db',
      path: '/data/x.db',
      folder: '/data',
    });
    expect(chooseStore('memory', 'inbox', '/work')).toEqual({ at: 'memory', name: 'memory', folder: '/work' });
  });

  test('counts as unfinished what is of this fleet; other kinds are counted apart', () => {
    const counts = {
      mine: { ...noCounts(), queued: 1, leased: 2, running: 3, retrying: 4, parked: 5, completed: 100, dead: 9 },
      theirs: { ...noCounts(), queued: 7, completed: 1 },
    };
    expect(sumUnfinished(counts, { mine: true })).toEqual({ queued: 3, running: 3, waiting: 9, all: 15, others: 7 });
  });
});

describe('the command that resumes', () => {
  test('gives a file again, because ids make that safe', () => {
    expect(resumeCommand({ topology: 'my fleet.ts', tasks: 'a.jsonl', store: undefined, input: 'file' }, false)).toBe(
      "drover run 'my fleet.ts' --tasks a.jsonl",
    );
  });

  test('asks for the lines of a stream only when they were not all read', () => {
    expect(resumeCommand({ topology: 'f.ts', tasks: '-', store: 's.db', input: 'stream' }, true)).toBe(
      'drover run f.ts --store s.db </dev/null',
    );
    expect(resumeCommand({ topology: 'f.ts', tasks: undefined, store: 's.db', input: 'stream' }, false)).toBe(
      'drover run f.ts --store s.db --tasks - <THE_SAME_LINES',
    );
  });

  test('does not exist for a store in memory', () => {
    expect(resumeCommand({ topology: 'f.ts', tasks: 'a.jsonl', store: 'memory', input: 'file' }, false)).toBeNull();
  });
});

describe('a throttle', () => {
  test('lets the first few of a sort pass and tells how many it held back', () => {
    const throttle = new Throttle(2, 1_000);
    expect([0, 1, 2, 3].map((atMs) => throttle.pass('dead', atMs))).toEqual([true, true, false, false]);
    expect(throttle.pass('restart', 3)).toBe(true);
    expect(throttle.due(999)).toEqual([]);
    expect(throttle.due(1_000)).toEqual([{ sort: 'dead', held: 2 }]);
    expect(throttle.pass('dead', 1_001)).toBe(true);
    expect(throttle.due(Infinity)).toEqual([]);
  });
});

describe('text', () => {
  test('numbers are short', () => {
    expect([0, 999, 1_000, 12_345, 999_499, 999_950, 1_234_567, 5e9].map(short)).toEqual([
      '0',
      '999',
      '1k',
      '12.3k',
      '999k',
      '1M',
      '1.2M',
      '5G',
    ]);
  });

  test('times are as on a clock', () => {
    expect([0, 1, 7_000, 61_000, 3_723_000, 400 * 3_600_000].map(duration)).toEqual(['0:00', '0:01', '0:07', '1:01', '1:02:03', '17 days']);
  });

  test('slow rates are by the minute', () => {
    expect([0, 12.44, 0.1, 0.05, 1_234, 99.96].map(rate)).toEqual(['0/s', '12.4/s', '0.1/s', '3/min', '1.2k/s', '100/s']);
  });

  test('words for a shell are quoted where they must be', () => {
    expect(['a/b-c.ts', 'two words', "it's", ''].map(shellWord)).toEqual(['a/b-c.ts', "'two words'", "'it'\\''s'", "''"]);
  });

  test('what comes from outside has no control codes', () => {
    expect(printable('a\u001B[2J\r\nb\u009Bc\u2028d\u0000')).toBe('a [2J b c d');
  });
});

test('a log line becomes a note: level, words, task, facts, error', () => {
  const logged = { level: 40, msg: 'no text', task: 'm-1', kind: 'triage', time: 1, fleet: 'inbox', attempt: 1, bytes: 0 };
  expect(noteOf(logged)).toBe('warn: no text (triage m-1) {"bytes":0}');
  expect(noteOf({ level: 50, msg: 'an actor crashed', err: { message: 'boom', code: 'X' } })).toBe('error: an actor crashed: X: boom');
});
