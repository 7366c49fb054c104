/** Compare: what each rule finds about each worker or kind, and the numbers that say so. */
import type { ActorId } from '../../actors/kernel/effects.ts';
import { median, medianOfOthers } from './averages.ts';
import type { DependencyRecord, Measure } from './measures.ts';
import type { Reading } from './reading.ts';
import type { Comparison, Rule } from './rules.ts';

/** Why a decision was taken: enough to judge it without anything else. */
export interface Evidence {
  readonly measure: Measure;
  /** In the measure's unit; of a kind, the median of its workers. */
  readonly value: number;
  readonly vs: Comparison;
  /** What the value was divided by; absent when it was taken as it is. */
  readonly reference?: number;
  /** What was held against the threshold: the value, or how many times the reference it is. */
  readonly compared: number;
  readonly threshold: { readonly above: number } | { readonly below: number };
  /** Of the worker, or of the kind's worker that has fewest. */
  readonly samples: number;
  /** Peers that were compared with, or workers that the median is of. */
  readonly workers: number;
  /** When it began. */
  readonly sinceMs: number;
  /** The task that it was busy with. */
  readonly task?: string;
}

/** `between` the two lines of a rule nothing changes. Who has too few samples is not found at all. */
export type Verdict = 'bad' | 'between' | 'good';

/** What a rule finds about one subject. Plain numbers: most findings are that all is well. */
export interface Finding {
  readonly kind: string;
  /** Absent when it is about the kind. */
  readonly worker?: ActorId;
  readonly verdict: Verdict;
  readonly value: number;
  readonly reference: number | undefined;
  readonly compared: number;
  readonly samples: number;
  readonly workers: number;
  readonly task: string | undefined;
}

/** Fewer others are no peers, and fewer workers no kind: one of two is as likely to be the odd one as the other. */
const FEWEST_PEERS = 3;
/** How much more history than present it takes to tell the two apart. */
const HISTORY_FACTOR = 10;

/** What a rule finds in one kind. */
export interface Findings {
  /** Those that are bad, and those that were asked for. */
  readonly found: readonly Finding[];
  readonly bad: number;
  /** Workers that there was enough to say about. */
  readonly judged: number;
}

/**
 * Judges one kind by the readings of its workers that are not suspended. Most are well, and there
 * is nothing to say about them: those are only counted, unless `asked`.
 */
export function findIn(kind: string, readings: readonly Reading[], rule: Rule, asked: (worker: ActorId | undefined) => boolean): Findings {
  const known = readings.filter(({ samples }) => samples >= rule.minSamples);
  if (rule.scope === 'worker') return findWorkers(kind, known, rule, asked);
  const finding = findKind(kind, known, readings.length, rule);
  if (finding === undefined) return { found: [], bad: 0, judged: 0 };
  const bad = finding.verdict === 'bad';
  return { found: bad || asked(undefined) ? [finding] : [], bad: Number(bad), judged: 1 };
}

function findWorkers(kind: string, known: readonly Reading[], rule: Rule, asked: (worker: ActorId) => boolean): Findings {
  const peers = rule.enter.vs === 'peers';
  if (peers && known.length <= FEWEST_PEERS) return { found: [], bad: 0, judged: 0 };
  const sorted = peers ? Float64Array.from(known, ({ value }) => value).toSorted() : NONE;
  const found: Finding[] = [];
  let bad = 0;
  let judged = 0;
  for (const reading of known) {
    const { worker, value, samples, task } = reading;
    const reference = peers ? medianOfOthers(sorted, value) : referenceOf(reading, rule);
    const compared = against(value, reference, rule);
    if (compared === undefined) continue;
    judged += 1;
    const verdict = verdictOf(compared, rule);
    if (verdict === 'bad') bad += 1;
    else if (!asked(worker)) continue;
    found.push({ kind, worker, verdict, value, reference, compared, samples, workers: peers ? known.length - 1 : 1, task });
  }
  return { found, bad, judged };
}

const NONE = new Float64Array(0);

/** The median of how its workers compare: no single worker, however bad or busy, moves it far. */
function findKind(kind: string, known: readonly Reading[], active: number, rule: Rule): Finding | undefined {
  const compared: number[] = [];
  for (const reading of known) {
    const one = against(reading.value, referenceOf(reading, rule), rule);
    if (one !== undefined) compared.push(one);
  }
  // The few that happen to be busy, or to have a history, do not speak for a kind.
  const fewest = rule.enter.vs === 'absolute' ? 1 : FEWEST_PEERS;
  if (compared.length < Math.max(fewest, active / 2)) return undefined;
  const middle = median(compared.toSorted(ascending))!;
  const value = median(known.map((reading) => reading.value).toSorted(ascending))!;
  const samples = Math.min(...known.map((reading) => reading.samples));
  const reference = rule.enter.vs === 'absolute' || middle === 0 ? undefined : value / middle;
  return { kind, verdict: verdictOf(middle, rule), value, reference, compared: middle, samples, workers: compared.length, task: undefined };
}

function referenceOf({ usual, usualSamples }: Reading, { enter, minSamples }: Rule): number | undefined {
  return enter.vs === 'own-history' && usualSamples >= minSamples * HISTORY_FACTOR ? usual : undefined;
}

function against(value: number, reference: number | undefined, { enter }: Rule): number | undefined {
  if (enter.vs === 'absolute') return value;
  if (reference === undefined) return undefined;
  const least = Math.max(reference, enter.floor);
  return least > 0 ? value / least : undefined;
}

function verdictOf(compared: number, { enter, leave }: Rule): Verdict {
  if (enter.above !== undefined) return compared > enter.above ? 'bad' : compared < leave.below! ? 'good' : 'between';
  return compared < enter.below ? 'bad' : compared > leave.above! ? 'good' : 'between';
}

/** A finding as evidence. */
export function evidenceOf(
  { measure, enter }: Rule,
  { value, compared, reference, samples, workers, task }: Finding,
  sinceMs: number,
): Evidence {
  return {
    measure,
    value,
    vs: enter.vs,
    ...(reference === undefined ? {} : { reference: Math.max(reference, enter.floor) }),
    compared,
    threshold: enter.above === undefined ? { below: enter.below } : { above: enter.above },
    samples,
    workers,
    sinceMs,
    ...(task === undefined ? {} : { task }),
  };
}

const ascending = (a: number, b: number): number => a - b;

/** Below this a dependency is as it always was. */
const BLAME = 1.5;
const USUAL_FAILURES = 0.05;

/** The dependency of a kind that has changed most against its own history, if one has: who to blame for a whole kind. */
export function suspectOf(kind: string, dependencies: Iterable<DependencyRecord>): string | undefined {
  let most = BLAME;
  let suspect: string | undefined;
  for (const record of dependencies) {
    if (record.kind !== kind) continue;
    const { latency, failures } = record;
    const slower = Math.exp(latency.recent.mean - latency.history.mean);
    const worse = failures.recent.mean / Math.max(USUAL_FAILURES, failures.history.mean);
    const blame = Math.max(slower, worse);
    if (blame <= most) continue;
    most = blame;
    suspect = record.dependency;
  }
  return suspect;
}
