/**
 * Judge: one look at the whole fleet. What each rule finds, how far each anomaly has gone, and the
 * commands that follow. Pure: measures, time and plan in; commands and decisions out.
 *
 *   1. Rules about kinds are looked at before rules about workers, for a kind that is bad excuses its workers.
 *   2. Each anomaly moves, see `anomaly.ts`. Steps that are due compete: kinds first, then whoever
 *      has got furthest, then the oldest.
 *   3. A step is taken, has to wait (its turn comes when there is room again), or is passed over (it
 *      cannot help or is not allowed, and the next one is due at once).
 *
 * What bounds it: one command about one target at a time, and a rest between two; a number of
 * commands a minute over the fleet; a share of each kind that may be suspended.
 */
import type { ActorId } from '../../actors/kernel/effects.ts';
import { follow, isDue, isRelapse, stepped } from './anomaly.ts';
import type { Anomaly, OpenAnomaly } from './anomaly.ts';
import { evidenceOf, findIn, suspectOf } from './compare.ts';
import type { Finding, Findings } from './compare.ts';
import { excuse } from './excuse.ts';
import type { Measure, WorkerRecord } from './measures.ts';
import { targetOf } from './operator.ts';
import type { OperatorCommand, OperatorOrder } from './operator.ts';
import type { MetaAgentPlan } from './plan.ts';
import { read } from './reading.ts';
import type { Reading } from './reading.ts';
import type { Rule, Step } from './rules.ts';
import type { Decision, Suspension, Watch } from './watch.ts';

export interface Judgement {
  readonly watch: Watch;
  readonly commands: readonly OperatorCommand[];
  readonly decisions: readonly Decision[];
}

const MINUTE_MS = 60_000;
/** A suspension is taken back when no more than this later the trouble turns out to be the kind's. */
const REGRET_MS = 300_000;
const STUCK_TASKS = 64;

/** Looks at everything once. */
export function judge(watch: Watch, plan: MetaAgentPlan, nowMs: number): Judgement {
  return new Round(watch, plan, nowMs).run();
}

interface Due {
  readonly key: string;
  readonly rule: Rule;
  readonly finding: Finding;
  readonly anomaly: OpenAnomaly;
}

/** The draft of one judgement: filled in place, and handed out when it is finished. */
class Round {
  readonly #watch: Watch;
  readonly #plan: MetaAgentPlan;
  readonly #nowMs: number;
  readonly #kinds: ReadonlyMap<string, readonly WorkerRecord[]>;
  readonly #readings = new Map<string, readonly Reading[]>();
  readonly #anomalies: Map<string, Anomaly>;
  readonly #actions: number[];
  readonly #commanded: Map<string, number>;
  readonly #suspensions: Map<ActorId, Suspension>;
  readonly #excused = new Set<string>();
  readonly #stuckTasks: Map<string, ActorId>;
  readonly #commands: OperatorCommand[] = [];
  readonly #decisions: Decision[] = [];
  #lastId: number;

  constructor(watch: Watch, plan: MetaAgentPlan, nowMs: number) {
    this.#watch = watch;
    this.#plan = plan;
    this.#nowMs = nowMs;
    const { workers } = watch.measures;
    this.#kinds = Map.groupBy(workers.values(), ({ kind }) => kind);
    this.#anomalies = new Map([...watch.anomalies].filter(([, { worker }]) => worker === undefined || workers.has(worker)));
    this.#actions = watch.actions.filter((atMs) => nowMs - atMs < MINUTE_MS);
    const longestMs = Math.max(plan.restMs, MINUTE_MS);
    this.#commanded = new Map([...watch.commanded].filter(([, atMs]) => nowMs - atMs < longestMs));
    this.#suspensions = new Map([...watch.suspensions].filter(([worker]) => workers.get(worker)?.suspended === true));
    this.#stuckTasks = new Map(watch.stuckTasks);
    this.#lastId = watch.lastId;
  }

  run(): Judgement {
    const due: Due[] = [];
    for (const scope of ['kind', 'worker'] as const) {
      for (const rule of this.#plan.rules) if (rule.scope === scope) due.push(...this.#look(rule));
    }
    const kindFirst = (a: Due, b: Due): number => Number(a.rule.scope === 'worker') - Number(b.rule.scope === 'worker');
    due.sort((a, b) => kindFirst(a, b) || b.anomaly.taken - a.anomaly.taken || a.anomaly.sinceMs - b.anomaly.sinceMs);
    for (const one of due) this.#step(one);
    const watch: Watch = {
      measures: this.#watch.measures,
      anomalies: this.#anomalies,
      actions: this.#actions,
      commanded: this.#commanded,
      suspensions: this.#suspensions,
      excused: this.#excused,
      stuckTasks: this.#stuckTasks,
      lastId: this.#lastId,
    };
    return { watch, commands: this.#commands, decisions: this.#decisions };
  }

  /** Moves the anomalies of one rule. Returns those whose next step is due. */
  #look(rule: Rule): readonly Due[] {
    const due: Due[] = [];
    const going = [...this.#anomalies.values()].filter((anomaly) => anomaly.rule === rule.name);
    for (const [kind, records] of this.#kinds) {
      if (rule.kinds !== 'all' && !rule.kinds.includes(kind)) continue;
      const readings = this.#read(rule.measure, kind, records);
      // Those that something is going on about, and those that are bad: of all others there is nothing to say.
      const subjects = new Map<ActorId | undefined, Finding | undefined>();
      for (const anomaly of going) if (anomaly.kind === kind) subjects.set(anomaly.worker, undefined);
      const findings = findIn(kind, readings, rule, (worker) => subjects.has(worker));
      if (!this.#excuse(rule, kind, findings, readings.length)) {
        for (const finding of findings.found) subjects.set(finding.worker, finding);
      }
      for (const [worker, finding] of subjects) due.push(...this.#move(rule, kind, worker, finding));
    }
    return due;
  }

  #move(rule: Rule, kind: string, worker: ActorId | undefined, finding: Finding | undefined): readonly Due[] {
    const key = `${rule.name}/${worker ?? kind}`;
    const before = this.#anomalies.get(key);
    const after = follow(before, worker === undefined ? { kind } : { kind, worker }, finding?.verdict, rule, this.#nowMs);
    if (after === undefined) this.#anomalies.delete(key);
    else this.#anomalies.set(key, after);
    if (finding === undefined) return [];
    if (after === undefined && before?.at === 'recovering') this.#tell(rule, finding, before, { at: 'recovered' });
    if (after?.at !== 'open') return [];
    if (before === undefined || before.at === 'suspected') this.#tell(rule, finding, after, { at: 'entered' });
    if (rule.scope === 'kind' && finding.verdict === 'bad') this.#takeBack(rule, after);
    const due = isDue(after, rule, this.#nowMs) || isRelapse(after, rule, this.#nowMs);
    return finding.verdict === 'bad' && due ? [{ key, rule, finding, anomaly: after }] : [];
  }

  /** Several rules look at one measure: it is read once. */
  #read(measure: Measure, kind: string, records: readonly WorkerRecord[]): readonly Reading[] {
    const key = `${measure}/${kind}`;
    const known = this.#readings.get(key);
    if (known !== undefined) return known;
    const readings = records.filter(({ suspended }) => !suspended).map((record) => read(record, measure, this.#nowMs));
    this.#readings.set(key, readings);
    return readings;
  }

  #excuse(rule: Rule, kind: string, findings: Findings, active: number): boolean {
    if (rule.scope === 'kind') return false;
    const why = excuse(rule, kind, findings, active, this.#anomalies.values(), this.#plan, this.#nowMs);
    if (why === undefined) return false;
    const key = `${rule.name}/${kind}`;
    this.#excused.add(key);
    if (!this.#watch.excused.has(key)) {
      this.#decisions.push({ atMs: this.#nowMs, rule: rule.name, kind, decided: { at: 'excused', why } });
    }
    return true;
  }

  /** Takes the next step, or the one after it when that is passed over. */
  #step({ key, rule, finding, anomaly }: Due): void {
    const relapse = isRelapse(anomaly, rule, this.#nowMs);
    const step = relapse ? 'suspend' : rule.steps[anomaly.taken];
    if (step === undefined) return void this.#anomalies.set(key, anomaly);
    if (step === 'note') {
      this.#tell(rule, finding, anomaly, { at: 'stepped', step });
      return void this.#anomalies.set(key, stepped(anomaly, this.#nowMs));
    }
    const order = this.#orderFor(step, rule, finding);
    if ('passedOver' in order) {
      // It has been told before, and nothing else is left.
      if (relapse) return void this.#anomalies.set(key, { ...anomaly, steppedAtMs: this.#nowMs });
      this.#tell(rule, finding, anomaly, { at: 'passed-over', step, why: order.passedOver });
      return this.#step({ key, rule, finding, anomaly: stepped(anomaly, undefined) });
    }
    const wait = this.#whyWait(order);
    if (wait !== undefined) {
      if (!anomaly.waiting) this.#tell(rule, finding, anomaly, { at: 'waiting', step, why: wait });
      return void this.#anomalies.set(key, { ...anomaly, waiting: true });
    }
    const id = this.#command(order, inWords(rule, finding));
    this.#tell(rule, finding, anomaly, { at: 'stepped', step, order, id });
    this.#anomalies.set(key, stepped(anomaly, this.#nowMs));
    if (order.type === 'operator.suspend') {
      this.#suspensions.set(order.worker, { rule, reason: order.reason, atMs: this.#nowMs });
    }
    if (finding.task !== undefined && finding.worker !== undefined) this.#remember(finding.task, finding.worker);
  }

  #orderFor(step: Exclude<Step, 'note'>, rule: Rule, { kind, worker, task }: Finding): OperatorOrder | { readonly passedOver: string } {
    const records = this.#kinds.get(kind)!;
    switch (step) {
      case 'restart':
      case 'suspend': {
        const other = task === undefined ? undefined : this.#stuckTasks.get(task);
        if (other !== undefined && other !== worker) return { passedOver: `task ${task} did the same on ${other}: it is the task` };
        if (step === 'restart') return { type: 'operator.restart', worker: worker! };
        const suspended = new Set(records.filter((record) => record.suspended).map((record) => record.worker));
        for (const one of this.#suspensions.keys()) if (records.some((record) => record.worker === one)) suspended.add(one);
        const allowed = mostSuspended(records.length, this.#plan.suspendedShare);
        if (suspended.size >= allowed) return { passedOver: `${suspended.size} of ${records.length} are suspended, and ${allowed} may be` };
        return { type: 'operator.suspend', worker: worker!, reason: rule.measure === 'score' ? 'quality' : 'health' };
      }
      case 'open-breaker': {
        const dependency = suspectOf(kind, this.#watch.measures.dependencies.values());
        if (dependency === undefined) return { passedOver: 'no dependency of the kind has changed' };
        const lastMs = this.#commanded.get(targetOf({ type: 'operator.open-breaker', dependency, kind }));
        if (lastMs !== undefined) return { passedOver: `the breaker of ${dependency} was opened ${this.#nowMs - lastMs} ms ago` };
        return { type: 'operator.open-breaker', dependency, kind };
      }
      case 'scale':
        return { type: 'operator.scale', kind, replicas: Math.max(1, records.length + rule.scaleBy) };
      case 'call-person':
        return worker === undefined ? { type: 'operator.call-person', kind } : { type: 'operator.call-person', kind, worker };
    }
  }

  #whyWait(order: OperatorOrder): string | undefined {
    const { actionsPerMinute, restMs } = this.#plan;
    const lastMs = this.#commanded.get(targetOf(order));
    if (lastMs !== undefined && this.#nowMs - lastMs < restMs) return `another command was given ${this.#nowMs - lastMs} ms ago`;
    if (this.#actions.length >= actionsPerMinute) return `${actionsPerMinute} commands were given within a minute`;
    return undefined;
  }

  /** What was held against single workers was the whole kind's trouble: those who are suspended for it come back. */
  #takeBack(rule: Rule, { kind, sinceMs }: Anomaly): void {
    for (const [worker, { rule: mine, reason, atMs }] of this.#suspensions) {
      if (mine.measure !== rule.measure || mine.enter.vs === 'peers' || sinceMs - atMs > REGRET_MS) continue;
      if (this.#watch.measures.workers.get(worker)?.kind !== kind) continue;
      const order: OperatorOrder = { type: 'operator.resume', worker, reason };
      if (this.#whyWait(order) !== undefined) continue;
      const id = this.#command(order, `it is the whole kind ${kind}: ${rule.name}`);
      this.#suspensions.delete(worker);
      this.#decisions.push({ atMs: this.#nowMs, rule: rule.name, kind, worker, decided: { at: 'taken-back', order, id } });
    }
  }

  #command(order: OperatorOrder, why: string): number {
    this.#lastId += 1;
    this.#commands.push({ ...order, id: this.#lastId, why });
    this.#actions.push(this.#nowMs);
    this.#commanded.set(targetOf(order), this.#nowMs);
    return this.#lastId;
  }

  #remember(task: string, worker: ActorId): void {
    this.#stuckTasks.delete(task);
    this.#stuckTasks.set(task, worker);
    for (const oldest of this.#stuckTasks.keys()) {
      if (this.#stuckTasks.size <= STUCK_TASKS) break;
      this.#stuckTasks.delete(oldest);
    }
  }

  #tell(rule: Rule, finding: Finding, { sinceMs }: Anomaly, decided: Decision['decided']): void {
    const { kind, worker } = finding;
    const about = worker === undefined ? { kind } : { kind, worker };
    this.#decisions.push({ atMs: this.#nowMs, rule: rule.name, ...about, evidence: evidenceOf(rule, finding, sinceMs), decided });
  }
}

/** One at least, so that a small kind can lose a bad worker too; never the last, unless everything may go. */
export function mostSuspended(workers: number, share: number): number {
  if (share === 1) return workers;
  return share === 0 ? 0 : Math.min(workers - 1, Math.max(1, Math.floor(share * workers)));
}

function inWords(rule: Rule, finding: Finding): string {
  const { measure, value, compared, vs, reference } = evidenceOf(rule, finding, 0);
  const times =
    reference === undefined ? '' : `, ${short(compared)} times ${vs === 'peers' ? 'that of its peers' : 'its usual'}, ${short(reference)}`;
  return `${rule.name}: ${measure} of ${finding.worker ?? finding.kind} is ${short(value)}${times}`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
