/**
 * Refute: from a run that fails to the smallest one that fails the same way, told step by step.
 *
 * Of a run that stands still, the trace ends with the last thing that happened; one that goes round in
 * circles is told once round. Deliveries are told only where their order was chosen: first in,
 * first out, they follow from the rest.
 */
import type { ViolationKind } from '../explore/check.ts';
import { tellLaps } from './laps.ts';
import { perform } from './sample.ts';
import type { DrawnRun, Performed } from './sample.ts';
import { shrinkRun } from './shrink-sample.ts';
import type { Subject } from './subject.ts';

export interface Refutation {
  readonly kind: ViolationKind | 'invariant';
  /** The name of what is broken, such as `L1`. */
  readonly invariant: string;
  /** The circle of waits, one sentence each; of a broken invariant, what was seen. */
  readonly cycle: readonly string[];
  /** What was submitted, what goes wrong, each step, and what is broken. */
  readonly trace: readonly string[];
  /** Size of the run that was found, and of the smallest one. */
  readonly before: RunSize;
  readonly after: RunSize;
  /** Runs that it took to shrink. */
  readonly tries: number;
  readonly run: DrawnRun;
}

export interface RunSize {
  readonly tasks: number;
  /** Lines of its trace between what was submitted and what is broken. */
  readonly steps: number;
  /** Deliveries for which another message was passed over that had waited longer. */
  readonly switches: number;
}

const MOST_TRIES = 400;
/** How a store is opened, and what only sets the simulator going again. */
const NOTHING_SAID = / commits open | delivers simulation~nobody /;

/**
 * Shrinks runs that are known to fail, and gives the smallest: whoever only ever takes away comes to an
 * end where nothing single can be missed, and from another beginning that end may be a smaller one.
 *
 * @param found at least one; `Sampled.found`
 */
export async function refute(subject: Subject, found: readonly { readonly run: DrawnRun }[], mostTries = MOST_TRIES): Promise<Refutation> {
  const refutations: Refutation[] = [];
  for (const { run } of found) refutations.push(await refuteOne(subject, run, mostTries));
  return refutations.toSorted((a, b) => compareSizes(a.after, b.after))[0]!;
}

function compareSizes(a: RunSize, b: RunSize): number {
  return a.tasks - b.tasks || a.steps - b.steps || a.switches - b.switches;
}

async function refuteOne(subject: Subject, found: DrawnRun, mostTries: number): Promise<Refutation> {
  const first = await perform(subject, found, { trace: 'full' });
  const { invariant } = first.violation!;
  const kind = first.standstill.kindOf(first.violation!);
  let tries = 0;
  const fails = async (run: DrawnRun): Promise<boolean> => {
    tries += 1;
    const { violation, standstill } = await perform(subject, run, { until: invariant });
    return violation?.invariant === invariant && standstill.kindOf(violation) === kind;
  };
  // Its own choices first: they can be shrunk one by one, a sampler's cannot.
  const fixed = { ...found, schedule: first.result.trace.choices };
  const start = (await fails(fixed)) ? fixed : found;
  const run = await shrinkRun(start, subject, fails, () => tries < mostTries);
  const last = await perform(subject, run, { trace: 'full', until: invariant });
  const violation = last.violation!;
  const steps = stepsOf(run, last, kind);
  return {
    kind,
    invariant,
    cycle: circleOf(last),
    trace: [
      ...run.tasks.map(({ id, kind: its, input }) => `submitted: ${id} (${its}) ${subject.tell(input)}`),
      `faults: ${Object.keys(run.faults).join(', ') || 'none'}`,
      ...steps,
      `${invariant}: ${violation.message}`,
    ],
    before: sizeOf(found, first, kind),
    after: sizeOf(run, last, kind),
    tries,
    run,
  };
}

function circleOf({ violation, standstill }: Performed): readonly string[] {
  const { invariant, message } = violation!;
  if (invariant === 'waits') return message.split(/(?:^\d+ tasks wait for each other: )|; /).filter((text) => text !== '');
  return [message, ...standstill.tell(violation!)];
}

function sizeOf(run: DrawnRun, performed: Performed, kind: Refutation['kind']): RunSize {
  const switches = performed.result.trace.choices.filter((choice, at) => choice > 0 && isBefore(run, at)).length;
  return { tasks: run.tasks.length, steps: stepsOf(run, performed, kind).length, switches };
}

/** Past the end of its schedule a run is first in, first out; healed, it is fair. */
function isBefore({ schedule }: DrawnRun, at: number): boolean {
  return schedule === undefined || at < schedule.length;
}

/** What happened from the first task until it was seen: how the fleet starts, and what comes after, explains nothing. */
function stepsOf(run: DrawnRun, { result, violation }: Performed, kind: Refutation['kind']): readonly string[] {
  const { lines } = result.trace;
  const seen = lines.filter((line) => Number.parseFloat(line) <= violation!.atMs && !NOTHING_SAID.test(line));
  // Where no work is needed, how the fleet starts and stops is all there is to tell.
  if (run.tasks.length === 0) return tellLaps(seen);
  const first = seen.findIndex((line) => !line.includes(' delivers '));
  const isOrdered = run.schedule?.every((choice) => choice === 0) === true;
  const told = first < 0 ? [] : seen.slice(first).filter((line) => !(isOrdered && line.includes(' delivers ')));
  if (violation!.invariant !== 'L1') return told;
  if (kind === 'livelock' || kind === 'starvation') return tellLaps(told);
  return told.slice(0, told.findLastIndex((line) => !line.includes(' delivers ')) + 1);
}
