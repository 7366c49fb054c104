/**
 * Health: looks after suspended workers, and resumes those that are well again.
 *
 *     suspended ─▶ rests (doubling, jittered) ─▶ checked ── passed ─▶ resumed
 *                        ▲                          └─ failed ─┐
 *                        └─────────────────────────────────────┘
 *
 * A check is the kind's own `healthCheck`; without one the rest itself is the check. It sees no task
 * and runs in this process, whatever the isolation of its kind. What it calls waits in a flow of its
 * own: by the fairness of the limiter a busy fleet passes it at most once a flow.
 */
import type { Host } from '../../actors/host/host.ts';
import type { ActorId } from '../../actors/kernel/effects.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { HealthContext, RunLogger } from '../topology/context.ts';
import type { KindPlan } from '../topology/fleet.ts';
import type { Caller, Operation } from '../admission/caller.ts';
import type { Calls } from '../admission/calls.ts';
import { HealthCheckError, UndeclaredError } from './errors.ts';

/** The reasons that a passed check clears. The others have owners of their own. */
export const CURABLE: readonly string[] = ['health', 'quality', 'intensity'];

export interface HealthOptions {
  readonly host: Host;
  readonly random: Random;
  readonly callsOf: (dependency: string) => Calls;
  readonly logOf: (worker: ActorId) => RunLogger;
  readonly resume: (worker: ActorId, reason: string) => void;
  readonly onChecked: (worker: ActorId, error: unknown) => void;
}

const REST_MS = 1_000;
const LONGEST_REST_MS = 60_000;
/** Where only time says that a worker is well: what took minutes to be seen is not gone in a second. */
const UNCHECKED_REST_MS = 60_000;
const LONGEST_UNCHECKED_REST_MS = 900_000;
/** How long a recovery may turn out to be none. */
const RELAPSE_MS = 900_000;
const CHECK_MS = 30_000;

/** A worker that is suspended for something that a check may clear. */
interface Patient {
  readonly plan: KindPlan;
  reasons: readonly string[];
  checks: number;
  stop: () => void;
}

export class Health {
  readonly #options: HealthOptions;
  readonly #patients = new Map<ActorId, Patient>();
  /** How often a worker was checked before it was resumed last: one that falls ill again soon rests longer. */
  readonly #relapses = new Map<ActorId, { readonly checks: number; readonly atMs: number }>();
  #keys = 0;

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** The worker is suspended, or its reasons have changed. */
  suspended(plan: KindPlan, worker: ActorId, reasons: readonly string[]): void {
    const curable = reasons.filter((reason) => CURABLE.includes(reason));
    const known = this.#patients.get(worker);
    if (known !== undefined) known.reasons = curable;
    if (curable.length === 0) return this.#discharge(worker);
    if (known !== undefined) return;
    const before = this.#relapses.get(worker);
    const recent = before !== undefined && this.#options.host.clock.nowMs() - before.atMs < RELAPSE_MS;
    const patient: Patient = { plan, reasons: curable, checks: recent ? before.checks : 0, stop: () => {} };
    this.#patients.set(worker, patient);
    this.#rest(worker, patient);
  }

  /** The worker is not suspended any more. */
  resumed(worker: ActorId): void {
    const patient = this.#patients.get(worker);
    if (patient !== undefined) this.#relapses.set(worker, { checks: patient.checks + 1, atMs: this.#options.host.clock.nowMs() });
    this.#discharge(worker);
  }

  /** The worker has an incarnation: whatever it was suspended for is over. */
  started(worker: ActorId): void {
    this.#discharge(worker);
  }

  close(): void {
    for (const worker of [...this.#patients.keys()]) this.#discharge(worker);
  }

  #discharge(worker: ActorId): void {
    this.#patients.get(worker)?.stop();
    this.#patients.delete(worker);
  }

  #rest(worker: ActorId, patient: Patient): void {
    const { host, random } = this.#options;
    const { plan, reasons, checks } = patient;
    const unchecked = plan.agent.spec.healthCheck === undefined && reasons.some((reason) => reason !== 'intensity');
    const [leastMs, mostMs] = unchecked ? [UNCHECKED_REST_MS, LONGEST_UNCHECKED_REST_MS] : [REST_MS, LONGEST_REST_MS];
    const restMs = Math.min(mostMs, leastMs * 2 ** Math.min(checks, 16)) * (0.5 + random.next() / 2);
    patient.stop = host.alarm(host.clock.nowMs() + restMs, () => this.#check(worker, patient));
  }

  #check(worker: ActorId, patient: Patient): void {
    patient.checks += 1;
    const check = new Check(this.#options, patient.plan, worker, `health/${worker}/${(this.#keys += 1)}`);
    patient.stop = () => check.abort();
    check.result.then(
      () => this.#checked(worker, patient, undefined),
      (error: unknown) => this.#checked(worker, patient, error),
    );
  }

  #checked(worker: ActorId, patient: Patient, error: unknown): void {
    if (this.#patients.get(worker) !== patient) return;
    this.#options.onChecked(worker, error);
    // Resumed or not, it is looked at again until somebody says that it is well.
    this.#rest(worker, patient);
    if (error === undefined) for (const reason of patient.reasons) this.#options.resume(worker, reason);
  }
}

/** One check under way: the context that `healthCheck` is given. */
class Check implements HealthContext {
  readonly result: Promise<void>;
  readonly #options: HealthOptions;
  readonly #plan: KindPlan;
  readonly #worker: ActorId;
  readonly #key: string;
  readonly #controller = new AbortController();
  readonly #open = new Set<Operation>();
  readonly #abort: (error: unknown) => void;
  #calls = 0;

  constructor(options: HealthOptions, plan: KindPlan, worker: ActorId, key: string) {
    this.#options = options;
    this.#plan = plan;
    this.#worker = worker;
    this.#key = key;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#abort = reject;
    const { host } = options;
    const late = (): void => this.abort(new HealthCheckError(worker, `took longer than ${CHECK_MS} ms`));
    const cancel = host.alarm(host.clock.nowMs() + CHECK_MS, late);
    this.result = promise.finally(() => {
      cancel();
      this.#end();
    });
    const { healthCheck } = plan.agent.spec;
    if (healthCheck === undefined) {
      resolve();
      return;
    }
    const checked = (verdict: unknown): void => (verdict === false ? reject(new HealthCheckError(worker, 'said no')) : resolve());
    new Promise((settle) => settle(healthCheck(this as never))).then(checked, reject);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get log(): RunLogger {
    return this.#options.logOf(this.#worker);
  }

  call(name: string, request: unknown): Promise<never> {
    const { uses, kind } = this.#plan;
    if (!Object.hasOwn(uses, name)) return Promise.reject(new UndeclaredError({ kind, field: 'uses', name }, Object.keys(uses)));
    if (this.#controller.signal.aborted) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      const held: { operation?: Operation } = {};
      const over = (settle: () => void): void => {
        if (held.operation === undefined || this.#open.delete(held.operation)) settle();
      };
      const caller: Caller = {
        flow: 'health',
        idempotencyKey: `${this.#key}#${(this.#calls += 1)}`,
        subject: undefined,
        within: (act) => act(),
        replied: (reply) => over(() => resolve(reply as never)),
        failed: (error) => over(() => reject(error)),
      };
      held.operation = this.#options.callsOf(uses[name]!).begin(request, caller);
      this.#open.add(held.operation);
    });
  }

  abort(error: unknown = new HealthCheckError(this.#worker, 'is not needed any more')): void {
    this.#abort(error);
    this.#end();
  }

  #end(): void {
    this.#controller.abort();
    for (const operation of this.#open) operation.cancel();
    this.#open.clear();
  }
}
