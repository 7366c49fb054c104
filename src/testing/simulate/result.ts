/** Result of a simulation: data, whatever it found. */
import { SimulationViolatedError } from '../errors.ts';

/** An invariant that was seen broken. */
export interface Violation {
  /** Such as `S4`. */
  readonly invariant: string;
  /** What was seen. */
  readonly message: string;
  /** Virtual time since the start. */
  readonly atMs: number;
}

/** Something in a user's own code that a replay could not repeat, or a wait that the runtime cannot see. */
export interface Nondeterminism {
  /**
   * What was used, such as `Date.now`; `wait` for a run that waits for something that is not its `ctx`'s; `nested` for an
   * operation inside a step; `undeclared` for one that its kind does not declare.
   */
  readonly api: string;
  /** `file:line:column` in the user's code, where it could be told. */
  readonly place: string | undefined;
  /** In a run of this task; undefined outside of runs. */
  readonly task: { readonly id: string; readonly kind: string } | undefined;
  /** What it means, in a sentence. */
  readonly message: string;
  /** How many times it was seen there. */
  readonly count: number;
}

/** Runs that threw or rejected: an outcome of their task. Faults make runs reject too. */
export interface Rejection {
  readonly kind: string;
  /** Its code or name, and message. */
  readonly error: string;
  /** `file:line:column` in the user's code, where the error tells. */
  readonly place: string | undefined;
  readonly count: number;
}

export interface SimulationStatistics {
  /** Tasks accepted, children among them. */
  readonly tasks: number;
  readonly completed: number;
  readonly failed: number;
  readonly dead: number;
  readonly cancelled: number;
  readonly runs: number;
  readonly parked: number;
  /** Starts that found their locks taken. */
  readonly blocked: number;
  /** Events and decisions that tasks were told of. */
  readonly told: number;
  /** Tasks cancelled, paused, resumed, put back: orders that were taken. */
  readonly steered: number;
  /** Tasks that the store has deleted, by the topology's `retention`. */
  readonly forgotten: number;
  /** Runs lost with their worker, their process or their lease. */
  readonly lost: number;
  readonly stolen: number;
  /** Tries of calls. */
  readonly calls: number;
  readonly deliveries: number;
  /** Processes that were started. */
  readonly processes: number;
  /** How often each fault struck. */
  readonly faults: Readonly<Record<string, number>>;
  /** How tasks that did not complete ended: by the code, or the name, of their error. */
  readonly ends: Readonly<Record<string, number>>;
}

/** Statistics that are being counted. */
export type Counting = { -readonly [K in keyof SimulationStatistics]: SimulationStatistics[K] } & {
  readonly faults: Record<string, number>;
  readonly ends: Record<string, number>;
};

/** Nothing has happened yet. */
export function noStatistics(): Counting {
  return {
    tasks: 0,
    completed: 0,
    failed: 0,
    dead: 0,
    cancelled: 0,
    runs: 0,
    parked: 0,
    blocked: 0,
    told: 0,
    steered: 0,
    forgotten: 0,
    lost: 0,
    stolen: 0,
    calls: 0,
    deliveries: 0,
    processes: 0,
    faults: {},
    ends: {},
  };
}

export interface SimulationResult {
  readonly seed: number | string;
  /** Virtual time that passed, healing included. */
  readonly virtualMs: number;
  readonly statistics: SimulationStatistics;
  /** The first hundred. */
  readonly violations: readonly Violation[];
  readonly nondeterminism: readonly Nondeterminism[];
  /** Runs that rejected, the most frequent first; a hundred places at most. */
  readonly rejections: readonly Rejection[];
  readonly trace: {
    /** Covers deliveries, commits, calls and ends of tasks with their virtual times. */
    readonly hash: string;
    readonly events: number;
    /** With `trace: 'full'`: each choice of a delivery, to be given as `schedule`. */
    readonly choices: readonly number[];
    /** With `trace: 'full'`: each event in words. */
    readonly lines: readonly string[];
  };
  /** One line that does the same again. */
  readonly replay: string;
}

/**
 * For tests: throws unless the result is clean, with everything that was found.
 *
 * @throws SimulationViolatedError
 */
export function assertClean({ seed, violations, nondeterminism, replay }: SimulationResult): void {
  if (violations.length === 0 && nondeterminism.length === 0) return;
  const invariants = [...new Set(violations.map(({ invariant }) => invariant))];
  const said = [
    ...violations.map(({ invariant, message, atMs }) => `  ${invariant} at ${Math.round(atMs)} ms: ${message}`),
    ...nondeterminism.map(({ message }) => `  nondeterminism: ${message}`),
  ];
  const found = `${violations.length} violations, ${nondeterminism.length} sources of nondeterminism`;
  throw new SimulationViolatedError(`seed ${seed}: ${found}\n${said.join('\n')}\nreplay: ${replay}`, { seed, invariants, replay });
}
