/**
 * Many seeds, over as many processes as there are cores.
 *
 *     node --conditions=drover-source test/simulation/many.ts [options]
 *
 *     --seeds N     random programs under drawn faults (default 2,000)
 *     --sqlite N    so many of them over a real database (default 200)
 *     --hours N     virtual hours of a fleet of 20 agents (default 200)
 *     --philosophers N  evenings of philosophers, for each of 3, 5, 10 and 50 seats (default 50)
 *     --twice N     so many of the seeds again, each in another process: the trace hash must be the same (default 1,000)
 *     --rounds N    as often, each round with the seeds that come after (default 1)
 *     --resume FILE what is done is kept there, a line a seed; what is there already is not done again, unless it was broken
 *     --jobs N      processes (default: cores)
 *     --limit N     seconds that one of all these may take (default 300): what goes on for longer is ended, and broken
 *
 * Exit code 1 when anything is broken or a hash differs.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SEATS } from '../testing/philosophers/fleet.ts';
import type { Dinner } from './philosophers.ts';
import type { Simulated } from './worker.ts';

interface Job {
  readonly what: Simulated['what'];
  readonly seed: number;
  /** The second time: not by the process that did it first. */
  readonly again: boolean;
}

/** A process, and another one after it that did not come to an end; it is asked one thing at a time. */
class Simulator {
  readonly id: number;
  readonly #limitMs: number;
  #process = started();

  constructor(id: number, limitMs: number) {
    this.id = id;
    this.#limitMs = limitMs;
  }

  async simulate({ what, seed }: Job): Promise<Simulated> {
    const { child, answers } = this.#process;
    let isLate = false;
    const limit = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, this.#limitMs);
    child.stdin.write(`${what} ${seed}\n`);
    const { value, done } = await answers.next();
    clearTimeout(limit);
    if (done !== true) return JSON.parse(value) as Simulated;
    this.#process = started();
    const how = isLate ? `takes more than ${this.#limitMs / 1_000} s` : 'has ended its process';
    return { what, seed, hash: '', hours: 0, tasks: 0, calls: 0, deliveries: 0, broken: how };
  }

  end(): void {
    this.#process.child.stdin.end();
  }
}

/** Answers come in the order of the questions. */
function started() {
  const worker = fileURLToPath(new URL('worker.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=drover-source', worker], { stdio: ['pipe', 'pipe', 'inherit'] });
  // A question to one that has ended is answered by its end.
  child.stdin.on('error', () => {});
  return { child, answers: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    sqlite: { type: 'string', default: '200' },
    hours: { type: 'string', default: '200' },
    philosophers: { type: 'string', default: '50' },
    twice: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    limit: { type: 'string', default: '300' },
    resume: { type: 'string' },
  },
});
const [seeds, onSqlite, hours, evenings, twice, rounds, jobs, limit] = [
  values.seeds,
  values.sqlite,
  values.hours,
  values.philosophers,
  values.twice,
  values.rounds,
  values.jobs,
  values.limit,
].map(Number) as [number, number, number, number, number, number, number, number];

/** By `what seed`: done by this process, or by an earlier call with the same file. */
const first = new Map<string, { readonly hash: string; readonly by: number }>();
const sums = { seeds: 0, hours: 0, evenings: 0, tasks: 0, calls: 0, deliveries: 0, twice: 0, skipped: 0 };
/** By seats and guests: of those evenings, also of an earlier call, how many, the worst Jain of meals, the least that anybody ate. */
const dinners = new Map<string, { evenings: number; worstJain: number; leastMeals: number }>();
const broken: string[] = [];
const began = performance.now();

if (values.resume !== undefined && existsSync(values.resume)) {
  for (const line of readFileSync(values.resume, 'utf8').split('\n').filter(Boolean)) {
    const { what, seed, hash, dinner, broken: before } = JSON.parse(line) as Simulated;
    if (before !== undefined) continue;
    first.set(`${what} ${seed}`, { hash, by: -1 });
    noteDinner(dinner);
  }
}

for (let round = 0; round < rounds && broken.length === 0; round += 1) await runRound(round);
console.log(
  `${sums.seeds} seeds, ${sums.hours.toFixed(1)} fleet-hours, ${sums.evenings} evenings of philosophers, ${sums.tasks} tasks, ${sums.calls} calls, ${sums.deliveries} deliveries` +
    `${sums.skipped === 0 ? '' : `, ${sums.skipped} done before`}; ${sums.twice} run twice in different processes with the same trace hash`,
);
const seconds = (performance.now() - began) / 1_000;
console.log(`${seconds.toFixed(0)} s, ${(sums.seeds / seconds).toFixed(1)} seeds/s, ${(sums.hours / seconds).toFixed(2)} fleet-hours/s`);
for (const [who, { evenings: count, worstJain, leastMeals }] of dinners)
  console.log(
    `${count} evenings of ${who} philosophers: Jain of meals at least ${worstJain.toFixed(3)}, everybody ate ${leastMeals} times or more`,
  );
console.log(`violations: ${broken.length}`);
for (const text of broken) console.log(text);
process.exit(broken.length === 0 ? 0 : 1);

async function runRound(round: number): Promise<void> {
  const list = (what: Simulated['what'], count: number): Job[] =>
    Array.from({ length: count }, (_, at) => ({ what, seed: round * count + at + 1, again: false }));
  const again = list('programs', Math.min(twice, seeds)).map((job) => ({ ...job, again: true }));
  // Hours first: they take longest, so nobody waits for the last of them. What is done again comes last.
  const todo = [
    ...list('fleet', hours),
    ...list('philosophers', evenings * SEATS.length),
    ...list('sqlite', onSqlite),
    ...list('programs', seeds),
    ...again,
  ];
  const simulators = Array.from({ length: jobs }, (_, id) => new Simulator(id, limit * 1_000));
  await Promise.all(
    simulators.map(async (simulator) => {
      for (let job = take(todo, simulator.id); job !== undefined; job = take(todo, simulator.id))
        note(job, await simulator.simulate(job), simulator.id);
      simulator.end();
    }),
  );
}

/** The next that this process may do, undefined when there is none. */
function take(todo: Job[], by: number): Job | undefined {
  for (let at = 0; at < todo.length; at += 1) {
    const job = todo[at]!;
    const known = first.get(`${job.what} ${job.seed}`);
    if (job.again && (known === undefined || (known.by === by && jobs > 1))) continue;
    todo.splice(at, 1);
    if (job.again || known === undefined) return job;
    sums.skipped += 1;
    at -= 1;
  }
  return undefined;
}

function note({ what, seed, again }: Job, done: Simulated, by: number): void {
  const name = `${what} ${seed}`;
  if (done.broken !== undefined) report(`${name}: ${done.broken}`);
  if (again) {
    sums.twice += 1;
    const { hash } = first.get(name)!;
    if (hash !== done.hash) report(`${name} does not replay: ${hash}, then ${done.hash}`);
    return;
  }
  first.set(name, { hash: done.hash, by });
  if (what === 'programs' || what === 'sqlite') sums.seeds += 1;
  else if (what === 'fleet') sums.hours += done.hours;
  else sums.evenings += 1;
  noteDinner(done.dinner);
  sums.tasks += done.tasks;
  sums.calls += done.calls;
  sums.deliveries += done.deliveries;
  if (values.resume === undefined) return;
  mkdirSync(dirname(values.resume), { recursive: true });
  appendFileSync(values.resume, `${JSON.stringify(done)}\n`);
}

function noteDinner(dinner: Dinner | undefined): void {
  if (dinner === undefined) return;
  const { seats, guests, jain, leastMeals } = dinner;
  const who = `${seats} ${guests}`;
  const before = dinners.get(who) ?? { evenings: 0, worstJain: 1, leastMeals: Infinity };
  dinners.set(who, {
    evenings: before.evenings + 1,
    worstJain: Math.min(before.worstJain, jain),
    leastMeals: Math.min(before.leastMeals, leastMeals),
  });
}

/** Said at once, too: the other seeds may take long. */
function report(text: string): void {
  broken.push(text);
  console.error(text.split('\n', 2).join(' '));
}
