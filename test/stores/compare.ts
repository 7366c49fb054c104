/** Says every step of a history to the model and to an adapter, and compares what they answer. */
import { expect } from 'vitest';
import type {
  ClaimCommand,
  Firing,
  Held,
  SettledOutcome,
  Settlement,
  StartOutcome,
  StateSeen,
  SteerReply,
  Store,
  SweepReply,
} from '../../actors/ports/store.ts';
import { plain, Tokens } from './answers.ts';
import { compareShared, forgetWhatIsOver, SharedModels } from './compare-shared.ts';
import type { Place } from './conformance.ts';
import { picked, toOutcome, toTask } from './histories.ts';
import type { History, Runs, Step, World } from './histories.ts';
import { Invariants } from './invariants.ts';
import { PROMISE_MS } from './model-locks.ts';
import { Model } from './model.ts';
import type { ModelStart } from './model.ts';

const NOBODY: Runs = { held: [], ever: [] };

/** `seen` counts what was answered, e.g. `blocked`, `parked:locks`. A look at all tasks has a store write what it only knows: `looks`. */
export async function compare(
  { world, steps }: History,
  place: Place,
  { seen = new Map(), looks = 'always' }: { seen?: Map<string, number>; looks?: 'always' | 'at the end' } = {},
): Promise<void> {
  const comparison = new Comparison(world, place, seen);
  await comparison.open();
  try {
    for (const step of steps) {
      await comparison.take(step);
      if (looks === 'always') await comparison.look();
      await comparison.lookAtRows();
    }
    if (looks === 'at the end') await comparison.look();
    await comparison.end();
  } finally {
    await comparison.store.close();
  }
}

export class Comparison {
  readonly model = new Model();
  readonly shared = new SharedModels();
  readonly tokens = new Tokens();
  store: Store;
  nowMs = 1_000;
  readonly #world: World;
  readonly #place: Place;
  readonly #invariants = new Invariants();
  readonly #runs: Held[] = [];
  readonly #seen: Map<string, number>;
  #maxUnfinished = 12;

  constructor(world: World, place: Place, seen: Map<string, number>) {
    this.#seen = seen;
    this.#world = world;
    this.#place = place;
    this.store = place.store();
  }

  async open(): Promise<void> {
    const { mostPassed, mostBegun, maxFamily, maxOfKind, maxOfTenant } = this.#world;
    const command = {
      nowMs: this.nowMs,
      maxUnfinished: this.#maxUnfinished,
      agingMs: 10,
      mostPassed,
      mostBegun,
      ...(maxFamily === undefined ? {} : { maxFamily }),
      kinds: {
        l: {
          weights: { u: 2 },
          ...(maxOfKind === undefined ? {} : { maxUnfinished: maxOfKind }),
          ...(maxOfTenant === undefined ? {} : { maxOfTenant }),
        },
      },
    };
    this.shared.intents.open(this.nowMs);
    this.same(this.model.open(command), await this.store.open(command));
  }

  /** The adapter has answered what the model expects; numbers in these fields are tokens. */
  same(expected: unknown, answered: unknown, tokens: readonly string[] = [], pairs = this.tokens): void {
    expect(plain(this.#hinted(answered, expected), tokens)).toEqual(plain(expected, tokens));
    pairs.pairAll(expected, answered, tokens);
    this.#count(answered);
  }

  /** Every `at` of an answer; and of tasks where they are. */
  #count(answered: unknown): void {
    if (typeof answered !== 'object' || answered === null) return;
    for (const [key, value] of Object.entries(answered)) {
      if (key === 'at' || key === 'why' || key === 'parkedFor' || key === 'noted')
        this.#seen.set(String(value), (this.#seen.get(String(value)) ?? 0) + 1);
      if ((['undone', 'kept', 'more'].includes(key) && value === true) || key === 'nextAtMs' || (key === 'forgotten' && value !== 0))
        this.#seen.set(key, (this.#seen.get(key) ?? 0) + 1);
      this.#count(value);
    }
  }

  async look(): Promise<void> {
    const rows = await this.#invariants.look(this.store, this.model.unused);
    const { unused } = this.model;
    this.same(
      this.model.all().map((task, at) => (unused.has(task.id) ? { ...task, fence: rows[at]?.fence } : task)),
      rows,
    );
  }

  async lookAtRows(): Promise<void> {
    this.same(this.model.state.list(''), await this.store.listState({ prefix: '', limit: 100 }), ['version']);
  }

  async end(): Promise<void> {
    const asked = await this.store.approvals({ limit: 100, nowMs: 0 });
    // They grow from one to the next, whatever tokens there are.
    this.same(this.model.approvals(0), asked, ['cursor'], new Tokens());
    for (const [at, { cursor }] of asked.entries())
      this.same(asked.slice(at + 1), await this.store.approvals({ limit: 100, nowMs: 0, after: cursor }));
    this.same(this.model.pausedKinds(), (await this.store.pausedKinds()).toSorted());
    this.same(
      this.model.schedules.all(),
      (await this.store.schedules()).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    );
    await this.shared.end(this);
  }

  async take(step: Step): Promise<void> {
    const { model, nowMs } = this;
    switch (step.op) {
      case 'submit': {
        const tasks = step.tasks.map((task) => toTask(task, this.#world, this.#picks(), nowMs));
        const answered = await this.store.submit(tasks, nowMs);
        const expected = model.submit(tasks, nowMs).map((outcome, at) => {
          const answer = answered[at];
          const isUnused = outcome.at === 'known' && answer?.at === 'known' && model.unused.has(outcome.task.id);
          return isUnused ? { ...outcome, task: { ...outcome.task, fence: answer.task.fence } } : outcome;
        });
        return this.same(expected, answered);
      }
      case 'claim':
        return this.#claim(
          step.wants.map(({ box, ...want }) => (box === null ? want : { ...want, box })),
          step.leaseMs,
        );
      case 'start':
        return this.#start(step.picks.map((at) => this.#run(at)));
      case 'go':
        await this.#claim(
          ['k', 'l'].map((kind) => ({ kind, limit: 9 })),
          step.leaseMs,
        );
        return this.#start(this.#picks().held);
      case 'remember': {
        const items = step.items.map(({ pick, failed, replace, ...entry }) => ({
          ...this.#run(pick),
          ...entry,
          hash: 'h',
          ...(failed ? { failed } : {}),
          ...(replace ? { replace } : {}),
        }));
        return this.same(model.remember(items), await this.store.remember(items, nowMs));
      }
      case 'renew': {
        const items = step.items.map(({ pick, leaseMs }) => ({ ...this.#run(pick), leaseUntilMs: nowMs + leaseMs }));
        return this.same(model.renew(items, nowMs), await this.store.renew(items, nowMs));
      }
      case 'settle': {
        const items = step.items.map(({ pick, outcome }): Settlement => {
          const held = this.#run(pick);
          const versionOf = (key: string): number | null => model.state.get(key)?.version ?? null;
          return { ...held, outcome: this.#sensible(held, toOutcome(outcome, this.#world, this.#picks(), nowMs, versionOf)) };
        });
        const expected = model.settle(items, nowMs);
        const answered = await this.store.settle(
          items.map((item) => this.#toAdapter(item)),
          nowMs,
        );
        // Of what had begun to gather before, it may be told again.
        const again = this.model.gatheringUntil().filter((ms) => ms === answered.nextAtMs && ms < (expected.nextAtMs ?? Infinity));
        this.same(again.length === 0 ? expected : { ...expected, nextAtMs: again[0] }, answered, ['version']);
        this.#invariants.settled(items, answered.outcomes);
        return;
      }
      case 'sweep':
        return this.#sweep();
      case 'forget': {
        const endedByMs = Object.fromEntries(step.statuses.map((status) => [status, nowMs - step.agoMs]));
        const rows = new Map((await this.store.list({ limit: 1_000 })).map(({ id, fence }) => [id, fence]));
        const command = { endedByMs, limit: step.limit };
        const reply = await this.store.forget(command);
        this.same(
          model.forget(command, (id) => rows.get(id)!),
          reply,
        );
        return this.#invariants.forgot(model.all().map(({ id }) => id));
      }
      case 'unbox':
        model.unbox([step]);
        return this.store.unbox([{ kind: step.kind, box: step.box }]);
      case 'read': {
        const items = step.items.map(({ pick, key }) => ({ ...this.#run(pick), key, place: `state:${key}` }));
        return this.same(model.readState(items), await this.store.readState(items, nowMs), ['version']);
      }
      case 'signal': {
        const items = step.items.map(({ id, name, key }) => ({ id, name, value: '"v"', ...(key === null ? {} : { key }) }));
        return this.same(model.signal(items, nowMs), await this.store.signal(items, nowMs));
      }
      case 'ask': {
        const items = step.items.map(({ pick, name }) => ({ ...this.#run(pick), name, request: '"may I?"', expiresAtMs: null }));
        return this.same(model.askApproval(items, nowMs), await this.store.askApproval(items, nowMs));
      }
      case 'unask': {
        const items = step.items.map(({ pick, name }) => ({ ...this.#run(pick), name }));
        return this.same(model.withdrawApproval(items), await this.store.withdrawApproval(items, nowMs));
      }
      case 'decide': {
        const items = step.items.map((item) => ({ ...item, decision: '"yes"' }));
        return this.same(model.decideApproval(items, nowMs), await this.store.decideApproval(items, nowMs));
      }
      case 'steer': {
        const items = step.items.map((item) => ({ ...item, by: 'ann', reason: null }));
        this.#invariants.steered(items);
        const told = ({ outcomes, ...reply }: SteerReply): unknown => ({
          ...reply,
          // Lines of order keys may be put right after each item, or after all: how one stands who is refused in between is not said.
          outcomes: outcomes.map((outcome) => (outcome.at === 'refused' && items.length > 1 ? { ...outcome, status: '' } : outcome)),
        });
        return this.same(told(model.steer(items, nowMs)), told(await this.store.steer(items, nowMs)));
      }
      case 'pause': {
        model.pauseKinds([step]);
        return this.store.pauseKinds([{ kind: step.kind, paused: step.paused }]);
      }
      case 'fire': {
        const schedule = model.schedules.all().find(({ name }) => name === step.name);
        // Firing what is due, once too often or too late; not before its time.
        if (schedule !== undefined && !step.late && schedule.nextAtMs > nowMs) return;
        const atMs = schedule === undefined || step.late ? nowMs + 0.125 : schedule.nextAtMs;
        const tasks = [toTask({ ...step.task, parent: null }, this.#world, NOBODY, nowMs)];
        const firing: Firing = { name: step.name, atMs, nextAtMs: nowMs + step.againMs, tasks };
        return this.same(model.fireSchedules([firing, firing], nowMs), await this.store.fireSchedules([firing, firing], nowMs));
      }
      case 'wait':
        this.nowMs += step.ms;
        // Promises to those who wait for locks end by the next sweep: nobody says what other commands make of it before.
        if (step.ms >= PROMISE_MS) await this.#sweep();
        return;
      case 'reopen': {
        if (step.backMs > 0) await forgetWhatIsOver(this);
        if (step.crash) await this.#place.crash(this.store);
        await this.store.close();
        this.#maxUnfinished = step.maxUnfinished;
        this.nowMs -= step.backMs;
        this.store = this.#place.store();
        return this.open();
      }
      default:
        return compareShared(this, step);
    }
  }

  /** In which order it tells of tasks is not said. */
  async #sweep(): Promise<void> {
    const answered = await this.store.sweep(this.nowMs);
    const order = [...answered.expired.map(({ id }) => id), ...answered.ended];
    this.same(sorted(this.model.sweep(this.nowMs, order)), sorted(answered));
  }

  async #claim(wants: ClaimCommand['wants'], leaseMs: number): Promise<void> {
    const command = { wants, leaseUntilMs: this.nowMs + leaseMs, nowMs: this.nowMs };
    const answered = await this.store.claim(command);
    const ids = answered.map(({ id }) => id);
    this.same(this.model.claim(command, ids), answered);
    this.#invariants.claimed(answered);
    this.#runs.push(...answered.map(({ id, fence }) => ({ id, fence })));
  }

  async #start(items: readonly Held[]): Promise<void> {
    const answered = await this.store.start(items, this.nowMs);
    const expected = this.model.start(items, this.nowMs);
    const named = expected.map((outcome, at) => nameHolder(outcome, answered[at]!));
    this.same(named, answered, ['lockFence']);
    this.#invariants.started(items, answered);
  }

  /** With the version that the adapter knows by what the model's is. */
  rowToAdapter<S extends StateSeen>(seen: S): S {
    return { ...seen, version: seen.version === null ? null : this.tokens.toAdapter(seen.version) };
  }

  #toAdapter({ outcome, ...held }: Settlement): Settlement {
    if (outcome.at !== 'completed') return { ...held, outcome };
    const { writes, reads } = outcome;
    const rows = {
      ...(writes === undefined ? {} : { writes: writes.map((write) => this.rowToAdapter(write)) }),
      ...(reads === undefined ? {} : { reads: reads.map((read) => this.rowToAdapter(read)) }),
    };
    return { ...held, outcome: { ...outcome, ...rows } };
  }

  #picks(): Runs {
    return { held: this.#runs.filter((run) => this.model.holding(run) !== undefined), ever: this.#runs };
  }

  #run(pick: number): Held {
    return picked(this.#picks(), pick);
  }

  /** What a fleet would say: whoever is being undone does not complete, and who is not is not undone. */
  #sensible(held: Held, outcome: SettledOutcome): SettledOutcome {
    const task = this.model.holding(held);
    if (task?.undone === true && outcome.at === 'completed') return { at: 'undone' };
    if (task?.undone !== true && outcome.at === 'undone') return { at: 'completed', result: null, sends: [] };
    // Whether a run that fails while it is being cancelled has failed is not said.
    if (task?.noted === 'cancel' && (outcome.at === 'failed' || outcome.at === 'dead')) return { at: 'released' };
    return outcome;
  }

  /** Kinds that are ready are a hint: all that have got something, and maybe more. */
  #hinted(answered: unknown, expected: unknown): unknown {
    if (!hasReady(answered) || !hasReady(expected)) return answered;
    const paused = this.model.pausedKinds();
    const missing = expected.ready.filter((kind) => !paused.includes(kind) && !answered.ready.includes(kind));
    return missing.length === 0 ? { ...answered, ready: expected.ready } : answered;
  }
}

function sorted({ expired, ended, noted, ...reply }: SweepReply): SweepReply {
  const byId = (a: Held, b: Held): number => (a.id < b.id ? -1 : 1);
  return { ...reply, expired: expired.toSorted(byId), ended: ended.toSorted(), noted: noted.toSorted(byId) };
}

function hasReady(answer: unknown): answer is { readonly ready: readonly string[] } {
  return typeof answer === 'object' && answer !== null && 'ready' in answer;
}

/** The one of several in the way that the adapter has named. */
function nameHolder(expected: ModelStart, answered: StartOutcome): unknown {
  if (expected.at !== 'blocked' && expected.at !== 'rejected') return expected;
  const { at, by } = expected;
  if (!('holder' in answered)) return { at, ...by[0]! };
  const named = by.find(({ resource, holder }) => resource === answered.resource && holder === answered.holder);
  return { at, ...(named ?? by[0]!) };
}
