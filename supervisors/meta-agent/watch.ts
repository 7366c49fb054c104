/** Watch: what a meta-agent knows and remembers from one look at the fleet to the next, and what it decides. */
import type { ActorId } from '../../actors/kernel/effects.ts';
import type { Anomaly } from './anomaly.ts';
import type { Evidence } from './compare.ts';
import { absorb, cleanSlate } from './measures.ts';
import type { Measures } from './measures.ts';
import type { OperatorCommand, OperatorOrder, SuspendReason } from './operator.ts';
import type { Rule, Step } from './rules.ts';

/** What happened to an anomaly, and why: every decision is one of these. */
export interface Decision {
  readonly atMs: number;
  readonly rule: string;
  readonly kind: string;
  readonly worker?: ActorId;
  readonly evidence?: Evidence;
  readonly decided:
    | { readonly at: 'entered' }
    /** A step was taken. All but `note` are commands, with the number of theirs. */
    | { readonly at: 'stepped'; readonly step: Step; readonly order?: OperatorOrder; readonly id?: number }
    | { readonly at: 'passed-over'; readonly step: Step; readonly why: string }
    /** Told once for each step. */
    | { readonly at: 'waiting'; readonly step: Step; readonly why: string }
    /** A rule about workers does not hold for this kind now. Told once while it lasts. */
    | { readonly at: 'excused'; readonly why: string }
    /** A worker that was suspended for what turned out to be its whole kind's trouble. */
    | { readonly at: 'taken-back'; readonly order: OperatorOrder; readonly id: number }
    | { readonly at: 'recovered' };
}

/** What a meta-agent knows and remembers. */
export interface Watch {
  readonly measures: Measures;
  /** By `rule/subject`. */
  readonly anomalies: ReadonlyMap<string, Anomaly>;
  /** When commands of the last minute were given, oldest first. */
  readonly actions: readonly number[];
  /** When each target was last commanded about; those long ago are forgotten. */
  readonly commanded: ReadonlyMap<string, number>;
  /** Whom it has suspended, for what. */
  readonly suspensions: ReadonlyMap<ActorId, Suspension>;
  /** `rule/kind` pairs whose excuse has been told. */
  readonly excused: ReadonlySet<string>;
  /** The last tasks that stood still, and on whose hands. */
  readonly stuckTasks: ReadonlyMap<string, ActorId>;
  readonly lastId: number;
}

export interface Suspension {
  readonly rule: Rule;
  readonly reason: SuspendReason;
  readonly atMs: number;
}

export const NOTHING_KNOWN: Omit<Watch, 'measures'> = {
  anomalies: new Map(),
  actions: [],
  commanded: new Map(),
  suspensions: new Map(),
  excused: new Set(),
  stuckTasks: new Map(),
  lastId: 0,
};

/** After a command was answered. A refused one has had its turn: the next step follows when it is due. */
export function answer(watch: Watch, command: OperatorCommand, done: boolean, nowMs: number): Watch {
  if (!done || !('worker' in command) || command.worker === undefined) return watch;
  const { worker } = command;
  const record = watch.measures.workers.get(worker);
  if (record === undefined) return watch;
  if (command.type === 'operator.suspend') {
    return { ...watch, measures: absorb(watch.measures, [{ type: 'worker.suspended', atMs: nowMs, worker, kind: record.kind }]) };
  }
  if (command.type !== 'operator.restart') return watch;
  // The next one is judged by what it does itself, also when the news of its start comes late.
  const workers = new Map(watch.measures.workers).set(worker, cleanSlate(record, nowMs));
  return { ...watch, measures: { ...watch.measures, workers } };
}
