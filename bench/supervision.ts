/**
 * supervision: what it costs to have a supervisor. A restart beside that of a bare Map that puts another
 * XState root in the place of one that has failed, and beside OTP's own; whether it stays the same among
 * 100,000; and what 100,000 idle agents take to start, to stop and to keep.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { otpRestarts, PUBLISHED } from './erlang.ts';
import type { OtpRestarts } from './erlang.ts';
import { atMost, median, ratio, report, row } from './report.ts';
import type { Report, Row } from './report.ts';
import type { Restarts, TreeMeasured, TreeSubject } from './supervision-measured.ts';

const SIZES = [100, 1_000, 10_000, 100_000] as const;
const AMONG = 1_000;
const MANY = 100_000;

/**
 * What still counts as flat from 100 to 100,000. The work is the same at any size; but a hundred children
 * are in the processor's cache when their turn comes, and a hundred thousand are not: so it is for a bare Map.
 */
const FLAT = 2;

const SUBJECTS: readonly TreeSubject[] = ['bare', 'agents', 'workers', 'instances', 'lazy agents', 'lazy instances'];

export async function supervision(say: (text: string) => void): Promise<Report> {
  say('restarts, in Erlang');
  const otp = otpRestarts();
  const restarts = new Map<number, Restarts>();
  for (const size of SIZES) {
    say(`restarts, among ${size}`);
    restarts.set(size, await measured<Restarts>('restarts', String(size)));
  }
  const instances = new Map<number, readonly number[]>();
  for (const size of [SIZES[0], MANY]) {
    say(`instances, among ${size}`);
    instances.set(size, await measured<readonly number[]>('instances', String(size)));
  }
  const trees = new Map<TreeSubject, TreeMeasured>();
  for (const subject of SUBJECTS) {
    say(`${MANY} ${subject}`);
    trees.set(subject, await measured<TreeMeasured>('tree', subject, String(MANY)));
  }
  const among = restarts.get(AMONG)!;
  const grown = (of: (size: number) => readonly number[]): number => middle(of(MANY)) / middle(of(SIZES[0]));
  const restartGrown = grown((size) => restarts.get(size)!.ours);
  const bareGrown = grown((size) => restarts.get(size)!.bare);
  const workers = trees.get('workers')!;
  const lazy = trees.get('lazy agents')!;
  return report(
    'supervision',
    [...SIZES.flatMap((size) => restartRows(size, restarts.get(size)!)), ...otpRows(otp), ...instanceRows(instances), ...treeRows(trees)],
    [
      atMost(`a restart among ${AMONG}: drover / a bare Map`, ratio(among.ours, among.bare), 2),
      atMost(`a restart is flat: among ${MANY} / among ${SIZES[0]} (a bare Map: ${bareGrown.toFixed(2)})`, restartGrown, FLAT),
      atMost(
        `an instance is flat: among ${MANY} / among ${SIZES[0]}`,
        grown((size) => instances.get(size)!),
        FLAT,
      ),
      atMost(`${MANY} idle workers: start, s`, workers.startMs / 1_000, 3),
      atMost(`${MANY} idle workers: stop in order, s`, workers.stopMs / 1_000, 5),
      atMost(`${MANY} agents of a user: start, s`, trees.get('agents')!.startMs / 1_000, 3),
      atMost(`${MANY} agents of a user: stop in order, s`, trees.get('agents')!.stopMs / 1_000, 5),
      atMost('an idle worker, bytes of heap', workers.bytesEach, 5_000),
      atMost('an idle agent of a user, bytes of heap', trees.get('agents')!.bytesEach, 5_000),
      atMost('a lazy agent that never had a task, bytes of heap', lazy.bytesEach, 1_000),
    ],
  );
}

function restartRows(size: number, { bare, ours }: Restarts): Row[] {
  return [row(`restart among ${size}: bare Map`, bare, 'us'), row(`restart among ${size}: drover`, ours, 'us')];
}

function otpRows(measuredHere: OtpRestarts | undefined): Row[] {
  const { release, burst, row: inARow } = measuredHere ?? PUBLISHED;
  const source = measuredHere === undefined ? 'published, for Erlang is not installed here' : 'measured here';
  return [
    row(`restart among ${AMONG}: OTP ${release}, bursts of 100 (${source})`, [burst], 'us'),
    row(`restart among ${AMONG}: OTP ${release}, 20,000 in a row (${source})`, [inARow], 'us'),
  ];
}

function instanceRows(instances: ReadonlyMap<number, readonly number[]>): Row[] {
  return [...instances].map(([size, us]) => row(`startChild and terminateChild of an instance among ${size}`, us, 'us'));
}

function treeRows(trees: ReadonlyMap<TreeSubject, TreeMeasured>): Row[] {
  return [...trees].flatMap(([subject, { startMs, stopMs, startCpuMs, stopCpuMs, bytesEach }]) => {
    const name = subject === 'bare' ? `${MANY} bare roots in a Map` : `${MANY} ${subject}`;
    return [
      row(`${name}: start`, [startMs], `ms (main thread ${Math.round(startCpuMs)})`),
      row(`${name}: stop`, [stopMs], `ms (main thread ${Math.round(stopCpuMs)})`),
      row(`${name}: heap of each`, [bytesEach], 'bytes'),
    ];
  });
}

function middle(values: readonly number[]): number {
  return median(values.toSorted((a, b) => a - b));
}

async function measured<T>(...what: readonly string[]): Promise<T> {
  const program = join(import.meta.dirname, 'supervision-measured.ts');
  const env = { ...process.env, NODE_ENV: 'production' };
  const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, '--expose-gc', program, ...what], { env });
  return JSON.parse(stdout) as T;
}
