/**
 * Forty: one of forty workers hangs, eats memory or ends its process; the other thirty-nine are timed
 * against a run in which it does its work. Then the same inline, under `drover run --supervised`.
 *
 *     node --conditions=drover-source test/isolation/forty.ts
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { quantile, runCase } from './forty-case.ts';
import { DEEDS } from './forty-fleet.ts';

const SIZE = { others: 39, tasks: 2_000 };
const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
const INLINE = join(import.meta.dirname, 'fixture-inline.ts');

const ms = (value: number | undefined): string => (value === undefined ? '-' : `${value.toFixed(0)} ms`);

function row(cells: readonly string[]): void {
  const widths = [32, 8, 8, 8, 8, 10, 14, 10, 10, 12];
  process.stdout.write(`${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(' ')}\n`);
}

process.stdout.write(
  `${SIZE.others} inline workers, ${SIZE.tasks} tasks of four calls of 10 ms, 20 calls at once; times of their runs\n\n`,
);
row(['the fortieth', 'runs', 'p50', 'p99', 'longest', 'disturbed', 'ended as', 'ended', 'replaced', 'works again']);
// The first fleet of a process is slower than those after it.
await runCase('thread', 'nothing', SIZE);
for (const isolation of ['thread', 'process'] as const) {
  for (const deed of ['nothing', ...DEEDS] as const) {
    const { othersMs, disturbed, how = '-', endedMs, replacedMs, worksMs } = await runCase(isolation, deed, SIZE);
    row([
      `${isolation}: ${deed}`,
      String(othersMs.length),
      ms(quantile(othersMs, 0.5)),
      ms(quantile(othersMs, 0.99)),
      ms(othersMs.at(-1)),
      String(disturbed),
      how,
      ms(endedMs),
      ms(replacedMs),
      ms(worksMs),
    ]);
  }
}

process.stdout.write('\ninline: an endless loop, under drover run --supervised (losses: 2)\n\n');
await inline();

/** The parent's and the fleet's own words, with the time at which they came. */
async function inline(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'drover-forty-'));
  const tasks = [
    ...Array.from({ length: 200 }, (_, at) => ({ kind: 'good', input: { at }, id: `good-${at}` })),
    { kind: 'bad', input: { how: 'loops' }, id: 'culprit', priority: 1 },
  ];
  writeFileSync(join(folder, 'tasks.jsonl'), tasks.map((task) => `${JSON.stringify(task)}\n`).join(''));
  const args = ['--conditions=drover-source', MAIN, 'run', INLINE, '--tasks', 'tasks.jsonl', '--supervised'];
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const beganMs = performance.now();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n')) {
        if (line !== '') process.stdout.write(`${(performance.now() - beganMs).toFixed(0).padStart(7)} ms  ${line.slice(0, 220)}\n`);
      }
    });
  }
  const code = await new Promise((resolve) => {
    child.on('close', resolve);
  });
  const done = readFileSync(join(folder, 'ran.log'), 'utf8').split('\n').filter(Boolean);
  process.stdout.write(
    `exit code ${String(code)}; of 200 tasks of the others ${new Set(done).size} were done, ${done.length - new Set(done).size} twice\n`,
  );
  rmSync(folder, { recursive: true });
}
