/** Tests a machine along its paths: events go through a host, states are checked by the user, and what was not covered is said. */
import { isDeepStrictEqual } from 'node:util';
import type { AnyEventObject, AnyMachineSnapshot, AnyStateMachine, SnapshotFrom } from 'xstate';
import { toErrorRecord } from '../../../actors/kernel/errors.ts';
import type { ExitReason, OwnEffect } from '../../../actors/kernel/effects.ts';
import { chartOf, statesIn, valueWords } from './chart.ts';
import type { Chart } from './chart.ts';
import { DrivenMachine, silenced } from './driven-machine.ts';
import { MachineTestError, MachineUncoveredError } from './errors.ts';
import { checkMachine, checkPathOptions, demand, PATH_OPTIONS } from './options.ts';
import type { PathOptions } from './options.ts';
import { coveringPaths } from './paths.ts';
import type { MachinePath } from './paths.ts';

/** What a check of a state gets. */
export interface Checked<M extends AnyStateMachine = AnyStateMachine> {
  /** As the actor has committed it. */
  readonly snapshot: SnapshotFrom<M>;
  /** The event that led here; undefined at the start. */
  readonly event: AnyEventObject | undefined;
  /** What the machine wanted done in this step, in order: messages to others (`send`), effects of its own, events that it emitted. */
  readonly effects: readonly OwnEffect[];
  /** As `effects`, since the start of the path. */
  readonly allEffects: readonly OwnEffect[];
  /** Virtual time since the start of the path. */
  readonly nowMs: number;
}

export interface TestMachineOptions<M extends AnyStateMachine = AnyStateMachine> extends PathOptions<M> {
  /**
   * Checks by the name of a state, such as `open` or `open.asking`, called whenever the machine has come
   * there; `*` is called for each state. One fails by throwing.
   */
  readonly states?: Readonly<Record<string, (checked: Checked<M>) => void | Promise<void>>>;
  /** Called when the machine has ended: at a final state, or by an error. */
  readonly ended?: (checked: Checked<M>, reason: ExitReason) => void | Promise<void>;
}

/** What the paths did. */
export interface MachineReport {
  readonly machine: string;
  readonly paths: number;
  readonly steps: number;
  readonly reached: readonly string[];
  readonly unreached: readonly string[];
  readonly taken: readonly string[];
  readonly untaken: readonly string[];
  /** Paths that time did not allow, and why: another delay came first. What is checked on them up to there counts. */
  readonly skipped: readonly string[];
}

/**
 * Runs a machine along paths that cover it, each time as a new actor on a host in virtual time: the same
 * host that runs the actors of a fleet. Delayed transitions fire by virtual time. What the machine wants
 * done is recorded and goes nowhere; the actors that it invokes are silent, and what they answer are
 * events of yours. Actions of the machine are run.
 *
 * What is unreached or untaken is in the report; `assertCovered` makes a failure of it.
 *
 * @throws MachineTestError when a check throws, when the machine ends by an error that `crashes` does not
 * name, or when it does something else than its pure transitions say
 * @throws what `pathsOf` throws
 * @example
 * const report = await testMachine(doorMachine, {
 *   events: [{ type: 'open', by: 'ada' }],
 *   states: { open: ({ snapshot }) => expect(snapshot.context.by).toBe('ada') },
 * });
 * assertCovered(report);
 */
export async function testMachine<M extends AnyStateMachine>(machine: M, options: TestMachineOptions<M> = {}): Promise<MachineReport> {
  checkMachine(machine);
  const tested = silenced(machine);
  const chart = chartOf(tested);
  const given = options as unknown as TestMachineOptions;
  checkPathOptions(tested, chart, given, [...PATH_OPTIONS, 'states', 'ended']);
  checkChecks(chart, given);
  const paths = coveringPaths(tested, given);
  const tour = new Tour(tested, given);
  for (const path of paths) await tour.walk(path);
  return tour.report(chart, paths.length);
}

/**
 * For tests: throws unless every state was reached and every transition taken.
 *
 * @throws MachineUncoveredError
 */
export function assertCovered({ machine, unreached, untaken, skipped }: MachineReport): void {
  if (unreached.length > 0 || untaken.length > 0) throw new MachineUncoveredError({ machine, unreached, untaken }, skipped);
}

function checkChecks(chart: Chart, { states = {}, ended }: TestMachineOptions): void {
  demand('states', states, typeof states === 'object' && (states as unknown) !== null, 'checks by the name of a state');
  demand('ended', ended, ended === undefined || typeof ended === 'function', 'a function of (checked, reason)');
  for (const [name, check] of Object.entries(states)) {
    demand(`states.${name}`, name, name === '*' || chart.states.includes(name), `the name of a state: ${chart.states.join(', ')}, *`);
    demand(`states.${name}`, check, typeof check === 'function', 'a function of (checked)');
  }
}

class Tour {
  readonly #machine: AnyStateMachine;
  readonly #options: TestMachineOptions;
  readonly #reached = new Set<string>();
  readonly #taken = new Set<unknown>();
  readonly #skipped: string[] = [];
  #steps = 0;

  constructor(machine: AnyStateMachine, options: TestMachineOptions) {
    this.#machine = machine;
    this.#options = options;
  }

  async walk(path: MachinePath): Promise<void> {
    const driven = new DrivenMachine(this.#machine, this.#options.input);
    try {
      await this.#check(driven, path, 0, 0);
      for (const [at, { event, state }] of path.steps.entries()) {
        const before = driven.effects.length;
        this.#steps += 1;
        const came = driven.feed(event);
        await this.#check(driven, path, at + 1, before);
        const lost = this.#isLost(driven, path, at + 1, state as AnyMachineSnapshot, came);
        if (lost === undefined) continue;
        this.#skipped.push(`${path.words}: ${lost}`);
        return;
      }
    } finally {
      for (const taken of driven.taken) this.#taken.add(taken);
      driven.close();
    }
  }

  report(chart: Chart, paths: number): MachineReport {
    const named = (taken: boolean) =>
      chart.transitions.filter(({ definition }) => this.#taken.has(definition) === taken).map(({ name }) => name);
    return {
      machine: this.#machine.id,
      paths,
      steps: this.#steps,
      reached: chart.states.filter((name) => this.#reached.has(name)),
      unreached: chart.states.filter((name) => !this.#reached.has(name)),
      taken: named(true),
      untaken: named(false),
      skipped: this.#skipped,
    };
  }

  /** Why the path can't be gone on with: time went another way. Undefined when it can. */
  #isLost(driven: DrivenMachine, path: MachinePath, step: number, expected: AnyMachineSnapshot, came: boolean): string | undefined {
    const { event } = path.steps[step - 1]!;
    const strayed = driven.strayed(event);
    if (!came) return strayed.length === 0 ? 'its delay is not running' : `${strayed.join(', ')} came first`;
    const value = driven.snapshot?.value;
    if (this.#crashes(event) || isDeepStrictEqual(value, expected.value)) return undefined;
    const where = `it is in ${valueWords(value ?? '')}, not in ${valueWords(expected.value)}`;
    if (driven.ranAway) return where;
    throw this.#failed(path, step, `${where}: what it does does not follow from its state and the event`);
  }

  async #check(driven: DrivenMachine, path: MachinePath, step: number, before: number): Promise<void> {
    const { snapshot, ended } = driven;
    const event = path.steps[step - 1]?.event as AnyEventObject | undefined;
    if (ended?.at === 'error' && !(event !== undefined && this.#crashes(event)))
      throw this.#failed(path, step, `it ended by an error: ${toErrorRecord(ended.error).message}`, ended.error);
    if (event !== undefined && ended?.at !== 'error' && this.#crashes(event))
      throw this.#failed(path, step, `${event.type} was to end it by an error, and did not`);
    const all = statesIn(snapshot?.value ?? '');
    const effects = driven.effects.slice(before);
    const checked: Checked = { snapshot: snapshot as never, event, effects, allEffects: [...driven.effects], nowMs: driven.nowMs };
    try {
      // What an error ended is in no state any more.
      if (ended?.at !== 'error') {
        for (const name of all) this.#reached.add(name);
        for (const [name, check] of Object.entries(this.#options.states ?? {}))
          if (name === '*' || all.includes(name)) await check(checked);
      }
      if (ended !== undefined) await this.#options.ended?.(checked, ended);
    } catch (cause) {
      throw this.#failed(path, step, toErrorRecord(cause).message, cause);
    }
  }

  #crashes({ type }: AnyEventObject): boolean {
    return (this.#options.crashes as readonly string[] | undefined)?.includes(type) === true;
  }

  #failed(path: MachinePath, step: number, why: string, cause?: unknown): MachineTestError {
    const detail = { machine: this.#machine.id, path: path.words, step, why };
    return new MachineTestError(detail, cause === undefined ? undefined : { cause });
  }
}
