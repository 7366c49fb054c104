/**
 * One bad worker in a fleet of 80, fifteen virtual minutes, with and without a meta-agent, side by side.
 *
 *     npm exec -c 'node --conditions=drover-source test/runtime/eighty/eighty.ts [seed ...]'
 *
 * Ends with 1 when somebody who is well was suspended or commanded about, or the bad one was not contained.
 */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { badWorkerOf, BADNESSES, runEighty } from './fleet-of-eighty.ts';
import type { Badness, Outcome, Scenario } from './fleet-of-eighty.ts';

const MINUTES = 15;
const SEEDS = [1, 2];

if (isMainThread) await main();
else parentPort!.on('message', (scenario: Scenario) => void runEighty(scenario).then((outcome) => parentPort!.postMessage(outcome)));

async function main(): Promise<void> {
  const given = process.argv.slice(2).map(Number);
  const seeds = given.length === 0 ? SEEDS : given;
  const cases: readonly (Badness | undefined)[] = [...BADNESSES, undefined];
  const scenarios = cases.flatMap((how) =>
    seeds.flatMap((seed) => [false, true].map((metaAgent): Scenario => ({ seed, how, metaAgent, minutes: MINUTES }))),
  );
  const outcomes = await runAll(scenarios);
  say(`a fleet of 80, ${MINUTES} virtual minutes, one worker bad in every run; without the meta-agent -> with it`);
  say('');
  say('case      seed  contained after  bad runs      of all runs         of all time         about others  wrongly suspended  persons');
  let wrong = 0;
  for (let at = 0; at < scenarios.length; at += 2) {
    const { how, seed } = scenarios[at]!;
    const [without, guarded] = [outcomes[at]!, outcomes[at + 1]!];
    say(row(how, seed, without, guarded));
    for (const command of guarded.commandsAboutOthers) say(`                ${command}`);
    const contained = how === undefined || guarded.containedAfterS !== undefined;
    if (!contained || guarded.commandsAboutOthers.length > 0 || guarded.suspendedOthers > 0) {
      say(`                that is wrong: the bad worker is ${how === undefined ? 'nobody' : badWorkerOf(seed)}`);
      wrong += 1;
    }
  }
  say('');
  say(wrong === 0 ? 'contained in every case, and nobody else was touched' : `${wrong} runs went wrong`);
  process.exitCode = wrong === 0 ? 0 : 1;
}

function row(how: Badness | undefined, seed: number, without: Outcome, guarded: Outcome): string {
  const after = guarded.containedAfterS === undefined ? '-' : `${guarded.containedAfterS.toFixed(0)} s`;
  const badRuns = how === undefined ? '-' : `${without.badRuns} -> ${guarded.badRuns}`;
  const shareOf = (value: (outcome: Outcome) => number): string =>
    how === undefined ? '-' : `${percent(value(without))} -> ${percent(value(guarded))}`;
  const shares = [shareOf((outcome) => outcome.badRuns / outcome.runs), shareOf(({ badTime }) => badTime)];
  const cells = [how ?? 'healthy', seed, after, badRuns, ...shares, guarded.commandsAboutOthers.length, guarded.suspendedOthers];
  const widths = [10, 6, 17, 14, 20, 20, 14, 19];
  return cells.map((cell, at) => String(cell).padEnd(widths[at]!)).join('') + String(guarded.personsCalled);
}

function percent(value: number): string {
  return `${(value * 100).toFixed(2)} %`;
}

/** Each in a thread, as many at a time as there are cores. */
async function runAll(scenarios: readonly Scenario[]): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    const thread = new Worker(new URL(import.meta.url));
    for (let at = next++; at < scenarios.length; at = next++) {
      const answered = once(thread, 'message') as Promise<[Outcome]>;
      thread.postMessage(scenarios[at]);
      [outcomes[at]] = await answered;
    }
    await thread.terminate();
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), scenarios.length) }, work));
  return outcomes;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
