/** One case: the others work, the culprit goes wrong in their midst, and both are timed. */
import { startFleet } from 'drover';
import type { IsolatedWorkerError } from 'drover';
import { pino } from 'pino';
import { fortyFleet } from './forty-fleet.ts';
import type { Deed } from './forty-fleet.ts';

export interface CaseResult {
  /** Runs of the others, in ms, shortest first. */
  readonly othersMs: readonly number[];
  /** Tasks of the others that did not complete at their first attempt. */
  readonly disturbed: number;
  /** How the culprit ended; undefined where it did nothing wrong. */
  readonly how: string | undefined;
  /** From going wrong to: its end seen, its successor started, its successor's first run over. */
  readonly endedMs: number | undefined;
  readonly replacedMs: number | undefined;
  readonly worksMs: number | undefined;
}

export async function runCase(
  isolation: 'thread' | 'process',
  deed: Deed,
  { others, tasks }: { readonly others: number; readonly tasks: number },
): Promise<CaseResult> {
  await using fleet = await startFleet(fortyFleet(others), { logger: pino({ level: 'silent' }) });
  const worker = `forty/agents/${isolation}/0`;
  const othersMs: number[] = [];
  const at = new Map<'wrong' | 'ended' | 'replaced', number>();
  let disturbed = 0;
  let how: string | undefined;
  let warm = false;
  const note = (what: 'wrong' | 'ended' | 'replaced'): void => void (at.has(what) || at.set(what, performance.now()));
  fleet.events.on('task.completed', ({ kind, ms, attempt }) => {
    if (kind !== 'steady') return;
    othersMs.push(ms);
    if (attempt !== 1) disturbed += 1;
  });
  fleet.events.on('task.progressed', () => warm && note('wrong'));
  fleet.events.on('worker.ended', ({ worker: ended, reason }) => {
    if (ended !== worker || reason.at !== 'error') return;
    note('ended');
    how = (reason.error as IsolatedWorkerError).detail.how;
  });
  fleet.events.on('worker.started', ({ worker: started }) => started === worker && at.has('ended') && note('replaced'));
  // Its child is there, as after a while of work.
  await (await fleet.submit(isolation, { deed: 'nothing' })).result();
  warm = true;
  const working = fleet.submitMany(
    'steady',
    Array.from({ length: tasks }, (_, input) => ({ input })),
  );
  const wrong = await fleet.submit(isolation, { deed });
  const outcome = await wrong.result().then(
    () => 'completed',
    () => 'dead',
  );
  // Behind it, in the hands of its successor.
  await (await fleet.submit(isolation, { deed: 'nothing' })).result();
  const worksMs = performance.now();
  await Promise.all((await working).map((handle) => handle.result()));
  const since = (ms: number | undefined): number | undefined =>
    ms === undefined || outcome === 'completed' ? undefined : ms - at.get('wrong')!;
  return {
    othersMs: othersMs.toSorted((a, b) => a - b),
    disturbed,
    how,
    endedMs: since(at.get('ended')),
    replacedMs: since(at.get('replaced')),
    worksMs: since(worksMs),
  };
}

/** The value below which that share of the others lies. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}
