/** Replay: one simulation again, every step of it written down. */
import type { Topology } from '../../topology/fleet.ts';
import { INVARIANTS } from '../invariants/index.ts';
import type { SimulateOptions } from '../simulate/options.ts';
import type { SimulationResult } from '../simulate/result.ts';
import { simulateWith } from '../simulate/simulate.ts';
import { Recorder } from './recorder.ts';
import type { InspectionObserver, Step } from './recorder.ts';

export interface Recording {
  readonly steps: readonly Step[];
  readonly result: SimulationResult;
}

/**
 * Simulates with a full trace and records each step. What is simulated is the same, event for event, as
 * without recording. Takes memory for as many steps as there are.
 *
 * @throws what `simulate` throws
 */
export async function record(topology: Topology, options: SimulateOptions, observer?: InspectionObserver): Promise<Recording> {
  const recorder = new Recorder(topology.name, observer);
  const invariants = [...(options.invariants ?? INVARIANTS), recorder.invariant];
  const result = await simulateWith(topology, { ...options, trace: 'full', invariants }, recorder.internals);
  return { steps: withFaults(recorder.steps, result.trace.lines), result };
}

/** Steps and lines of the trace that stand for the same: one of each is one of the other. */
const COMMITS = ['store.accepted', 'store.claimed', 'store.started', 'store.remembered', 'store.settled', 'store.expired', 'store.opened'];
const CALLS = ['call.began', 'step.began'];

/**
 * Puts the faults of the trace between the steps: the simulator tells of them in its trace only. Their
 * place is exact up to the commits and calls around them, and to the ms between those.
 */
function withFaults(steps: readonly Step[], lines: readonly string[]): readonly Step[] {
  const all: Step[] = [];
  let at = 0;
  const takeWhile = (more: (step: Step) => boolean): void => {
    while (at < steps.length && more(steps[at]!)) all.push(steps[at++]!);
  };
  for (const line of lines) {
    const [ms, verb, fault] = line.split(' ');
    if (verb === 'strikes') {
      takeWhile(({ atMs, seen }) => !COMMITS.includes(seen.at) && !CALLS.includes(seen.at) && atMs < Number(ms));
      all.push({ atMs: Number(ms), says: `struck: ${fault}`, seen: { at: 'fault', fault: fault! } });
    } else if (verb === 'commits' || verb === 'calls') {
      const kinds: readonly string[] = verb === 'commits' ? COMMITS : CALLS;
      takeWhile(({ seen }) => !kinds.includes(seen.at));
      if (at < steps.length) all.push(steps[at++]!);
    }
  }
  return [...all, ...steps.slice(at)];
}
