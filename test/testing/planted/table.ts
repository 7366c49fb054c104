/**
 * Prints what the kit makes of each plant:
 *
 *     node --conditions=drover-source test/testing/planted/table.ts
 *
 * The trace of one of them, whole: the same with its class, such as D4, behind it.
 */
import { sample } from '../../../src/testing/deadlock/sample.ts';
import { refute } from '../../../src/testing/deadlock/refute.ts';
import type { RunSize } from '../../../src/testing/deadlock/refute.ts';
import { FINDS, RUNS } from './plant.ts';
import { PLANTS } from './plants.ts';

const [only] = process.argv.slice(2);
const rows: Record<string, string | number>[] = [];

for (const { code, what, instead, faulty, correct } of PLANTS) {
  if (only !== undefined && only !== code) continue;
  const startMs = performance.now();
  const sampled = await sample(faulty, { seed: 1, runs: RUNS, finds: FINDS });
  const foundMs = performance.now();
  const refutation = sampled.found.length === 0 ? undefined : await refute(faulty, sampled.found);
  const shrunkMs = performance.now();
  const { found, runs } = await sample(correct, { seed: 1, runs: RUNS });
  rows.push({
    class: code,
    variant: what,
    verdict: refutation === undefined ? 'not found' : `${refutation.kind} (${refutation.invariant})`,
    seed: refutation?.run.seed ?? '',
    'found, ms': Math.round(foundMs - startMs),
    'shrunk, ms': Math.round(shrunkMs - foundMs),
    'tasks, steps, switches': refutation === undefined ? '' : `${tell(refutation.before)} -> ${tell(refutation.after)}`,
    correct: found[0] === undefined ? `${runs} runs pass` : `fails: ${found[0].violation.message}`,
  });
  if (only !== undefined && refutation !== undefined)
    process.stdout.write([`${code}: ${what}; instead: ${instead}`, ...refutation.cycle, '', ...refutation.trace, '\n'].join('\n'));
}
// oxlint-disable-next-line no-console -- a table is what it is for
console.table(rows);

function tell({ tasks, steps, switches }: RunSize): string {
  return `${tasks}, ${steps}, ${switches}`;
}
