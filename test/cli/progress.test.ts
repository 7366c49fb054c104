import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { addSample, linesToCome, perSecond, progressLine, progressLines } from '../../src/cli/progress.ts';
import type { ProgressView, Sample } from '../../src/cli/progress.ts';

const view: ProgressView = {
  fleet: 'inbox',
  queue: 188,
  running: 80,
  waiting: 0,
  done: 330,
  before: 0,
  retries: 4,
  failed: 2,
  restarts: 0,
  refusedLines: 0,
  inputTokens: 118_204,
  outputTokens: 9_180,
  perSecond: 10.87,
  left: 268,
};

describe('progress in a pipe', () => {
  test('is one line', () => {
    expect(progressLine(view)).toBe(
      'inbox: 55% of 600, queue 188, running 80, done 330, retries 4, failed 2, tokens 118k in 9.2k out, 10.9/s, 0:25 left',
    );
  });

  test('leaves out what nobody can tell, and shows what is unusual', () => {
    const { perSecond: _rate, ...rest } = view;
    expect(progressLine({ ...rest, perSecond: undefined, left: undefined, waiting: 3, restarts: 1, refusedLines: 2, before: 7 })).toBe(
      'inbox: queue 188, running 80, waiting 3, done 330, done before 7, retries 4, failed 2, refused lines 2, restarts 1, tokens 118k in 9.2k out',
    );
  });
});

describe('progress on a terminal', () => {
  test('has a bar and everything else in a wide one', () => {
    expect(progressLines(view, 100, 24)).toEqual([
      'inbox  [######################..................] 55%  332 of 600',
      '  queue 188  running 80  done 330  retries 4  failed 2  tokens 118k in 9.2k out  10.9/s  0:25 left',
    ]);
  });

  test('takes more lines in a narrow one instead of showing less', () => {
    expect(progressLines(view, 40, 24)).toEqual([
      'inbox  [#######.......] 55%  332 of 600',
      '  queue 188  running 80  done 330',
      '  retries 4  failed 2',
      '  tokens 118k in 9.2k out  10.9/s',
      '  0:25 left',
    ]);
  });

  test('says how long a drain may last and what ends it', () => {
    expect(progressLines({ ...view, drainMs: 12_300 }, 120, 24)).toEqual([
      'inbox  draining: runs may end within 0:13, Ctrl-C again stops at once',
      '  queue 188  running 80  done 330  retries 4  failed 2  tokens 118k in 9.2k out  10.9/s',
    ]);
  });

  test('says 100% only when everything is over', () => {
    expect(progressLines({ ...view, done: 99_999, failed: 0, left: 1 }, 100, 24)[0]).toContain(' 99%  99,999 of 100,000');
    expect(progressLines({ ...view, done: 100, failed: 0, left: 0 }, 100, 24)[0]).toContain('####] 100%');
    expect(progressLines({ ...view, done: 0, failed: 0, left: 0 }, 100, 24)[0]).toContain('100%  0 of 0');
  });

  property.prop([
    fc.integer({ min: 1, max: 200 }),
    fc.integer({ min: 1, max: 50 }),
    fc.integer({ min: 0, max: 1e9 }),
    fc.option(fc.nat(), { nil: undefined }),
  ])('never is wider or higher than the terminal', (columns, rows, done, left) => {
    const lines = progressLines({ ...view, done, left, before: 3, waiting: 9 }, columns, rows);
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 1));
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(Math.max(1, columns - 1));
  });
});

describe('the recent rate', () => {
  const run = (samples: readonly Sample[]): readonly Sample[] => samples.reduce<readonly Sample[]>(addSample, []);

  test('is unknown before a second has passed', () => {
    expect(perSecond([])).toBeUndefined();
    expect(
      perSecond(
        run([
          { atMs: 0, ended: 0 },
          { atMs: 900, ended: 50 },
        ]),
      ),
    ).toBeUndefined();
    expect(
      perSecond(
        run([
          { atMs: 0, ended: 0 },
          { atMs: 1_000, ended: 50 },
        ]),
      ),
    ).toBe(50);
  });

  test('is that of the last half minute, not of the whole run', () => {
    const samples = Array.from({ length: 241 }, (_, at) => ({ atMs: at * 500, ended: at < 120 ? at * 100 : 12_000 + (at - 120) }));
    expect(perSecond(run(samples))).toBeCloseTo(2, 1);
    expect(run(samples).length).toBeLessThan(70);
  });

  test('goes to zero when nothing ends any more', () => {
    const stuck = Array.from({ length: 100 }, (_, at) => ({ atMs: at * 500, ended: 7 }));
    expect(perSecond(run(stuck))).toBe(0);
    expect(progressLine({ ...view, perSecond: 0 })).not.toContain('left');
  });
});

test('lines to come are guessed from the share of the file that is read, and known at its end', () => {
  expect(linesToCome({ lines: 100, bytesRead: 1_000, readAll: false }, 5_000)).toBe(400);
  expect(linesToCome({ lines: 100, bytesRead: 1_000, readAll: false }, undefined)).toBeUndefined();
  expect(linesToCome({ lines: 0, bytesRead: 0, readAll: false }, 5_000)).toBeUndefined();
  expect(linesToCome({ lines: 100, bytesRead: 1_000, readAll: true }, undefined)).toBe(0);
  // A file that grew while it was read.
  expect(linesToCome({ lines: 100, bytesRead: 6_000, readAll: false }, 5_000)).toBe(0);
});
