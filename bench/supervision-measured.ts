/**
 * What `supervision` measures, each in a process of its own, so that no subject pays for the garbage of
 * another: `restarts SIZE`, `instances SIZE` and `tree SUBJECT SIZE`. Prints one line of JSON. What is
 * compared is the main thread's time, in which other processes of a busy machine do not count.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { bareRegistry, pool, supervisedRegistry, workers } from './supervision-subjects.ts';
import type { Supervisor } from '../supervisors/create-supervisor.ts';
import type { Registry } from './supervision-subjects.ts';

const ROUNDS = 5;
const CRASHES = 5_000;
const BURST = 100;

/** Microseconds of the main thread a restart, a round each. */
export interface Restarts {
  readonly bare: readonly number[];
  readonly ours: readonly number[];
}

export type TreeSubject = 'bare' | 'agents' | 'workers' | 'instances' | 'lazy agents' | 'lazy instances';

export interface TreeMeasured {
  /** By the clock on the wall. */
  readonly startMs: number;
  readonly stopMs: number;
  /** Of the main thread. */
  readonly startCpuMs: number;
  readonly stopCpuMs: number;
  readonly bytesEach: number;
}

async function restarts(size: number): Promise<Restarts> {
  const bare = bareRegistry(size);
  const ours = await supervisedRegistry(size);
  const rounds: (readonly [number, number])[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) rounds.push([await usACrash(bare, size), await usACrash(ours, size)]);
  await bare.stop();
  await ours.stop();
  const counted = rounds.slice(1);
  return { bare: counted.map(([us]) => us), ours: counted.map(([, us]) => us) };
}

/** Bursts over all of the children, so that each restart finds its own as cold as it is. */
async function usACrash(registry: Registry, size: number): Promise<number> {
  const bursts = Array.from({ length: CRASHES / BURST }, (_, burst) =>
    Array.from({ length: BURST }, (__, at) => Math.floor((at * size) / BURST + (burst * size) / CRASHES)),
  );
  const [, , cpuMs] = await timed(async () => {
    for (const burst of bursts) await registry.crash(burst);
  });
  return (cpuMs * 1_000) / CRASHES;
}

/** One more of a template, and away with it: microseconds of the main thread the pair, a round each. */
async function instances(size: number): Promise<readonly number[]> {
  const supervisor = await pool(size);
  const rounds: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const [, , cpuMs] = await timed(async () => {
      for (let pair = 0; pair < CRASHES; pair += BURST) await Promise.all(Array.from({ length: BURST }, () => oneMore(supervisor)));
    });
    rounds.push((cpuMs * 1_000) / CRASHES);
  }
  await supervisor.stop();
  return rounds.slice(1);
}

async function oneMore(supervisor: Supervisor): Promise<void> {
  const answer = await supervisor.startChild({ name: 'one more' });
  if (!('ok' in answer) || answer.ok === 'ignored') throw new Error(`the instance did not start: ${JSON.stringify(answer)}`);
  await supervisor.terminateChild(answer.ok);
}

const SUBJECTS: Readonly<Record<TreeSubject, (size: number) => Promise<{ stop(): Promise<unknown> }>>> = {
  bare: async (size) => bareRegistry(size),
  agents: async (size) => (await supervisedRegistry(size)).supervisor,
  workers,
  instances: pool,
  'lazy agents': async (size) => (await supervisedRegistry(size, { lazy: true })).supervisor,
  'lazy instances': (size) => pool(size, { lazy: true }),
};

async function tree(subject: TreeSubject, size: number): Promise<TreeMeasured> {
  // Whatever is compiled, parsed and cached once is no child's.
  await (await SUBJECTS[subject](1_000)).stop();
  const before = heapUsed();
  const [running, startMs, startCpuMs] = await timed(() => SUBJECTS[subject](size));
  await sleep(100);
  const bytesEach = (heapUsed() - before) / size;
  const [, stopMs, stopCpuMs] = await timed(() => running.stop());
  return { startMs, stopMs, startCpuMs, stopCpuMs, bytesEach };
}

async function timed<T>(act: () => Promise<T>): Promise<readonly [result: T, ms: number, cpuMs: number]> {
  const beganMs = performance.now();
  const cpu = process.threadCpuUsage();
  const result = await act();
  const { user, system } = process.threadCpuUsage(cpu);
  return [result, performance.now() - beganMs, (user + system) / 1_000];
}

function heapUsed(): number {
  for (let time = 0; time < 3; time += 1) globalThis.gc!();
  return process.memoryUsage().heapUsed;
}

const [what, ...more] = process.argv.slice(2);
const size = Number(more.at(-1));
const measured = what === 'restarts' ? restarts(size) : what === 'instances' ? instances(size) : tree(more[0] as TreeSubject, size);
console.log(JSON.stringify(await measured));
