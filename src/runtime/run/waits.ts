/**
 * Waits: a run waits for a time, an outside event, or a person.
 *
 *     first time here ─▶ until when is remembered ─▶ it waits ─┬─ it has come ─▶ what it took is remembered ─▶ seen
 *                                                              └─ too late ────▶ that is remembered ─────────▶ seen
 *
 * What is told while the run goes on is taken at once, whatever else is in flight.
 * Which event a wait has taken is remembered, so that none is taken twice. Whether one came in time is
 * asked of the task's story when nobody looked by then: a process that was away decides nothing. What has come or
 * is over when the run begins no earlier run has seen: it is seen after all that they have.
 */
import { describe } from '../../../actors/kernel/errors.ts';
import type { Remembered } from '../../../actors/ports/store.ts';
import type { Approved, KeyOptions, WaitOptions } from '../../topology/context.ts';
import type { Schema } from '../../topology/contract.ts';
import { PayloadInvalidError, UndeclaredError } from '../errors.ts';
import { decode, encode, hashText, parse } from '../payload.ts';
import type { Run, Settle } from '../run.ts';
import { ApprovalRejectedError, WaitTimeoutError } from './errors.ts';
import { checkOutsideStep } from './in-step.ts';
import { failureIn } from './memory.ts';
import { checkNoHold } from '../holding.ts';
import { Pending } from './operation.ts';
import { checkName } from './step.ts';

/** A hundred years. */
export const LONGEST_SLEEP_MS = 3_155_760_000_000;

export function sleep(run: Run, until: number | Date, { key }: KeyOptions, resolve: Settle, reject: Settle): void {
  checkOutsideStep(run, 'sleep');
  const place = run.memory.next('sleep', key);
  const over = `over:${place}`;
  const nowMs = run.engine.nowMs();
  const untilMs = untilOf(run, place, until, nowMs);
  const end = (): void => resolve(undefined);
  const seen = run.memory.recall(over, '');
  if (seen !== undefined) return run.inOrder(seen.hash, end);
  if (untilMs <= nowMs) return run.memory.has(place) ? run.inTime({ atMs: untilMs }, () => run.unseen(over, end)) : end();
  const isNew = !run.memory.has(place);
  if (!(isNew ? run.mayPass(end) : run.mayAct())) return;
  if (run.memory.isBefore(place) && isNew) run.holdBack(place, () => beginSleep(run, place, untilMs, end), reject);
  else beginSleep(run, place, untilMs, end);
}

function beginSleep(run: Run, place: string, untilMs: number, end: () => void): void {
  const over = `over:${place}`;
  const wait = run.opened(new Pending());
  const begin = (): void => {
    wait.waitsFor = 'sleep';
    wait.untilMs = untilMs;
    const wake = (): void => {
      wait.waitsFor = undefined;
      run.finish(wait, over, end);
    };
    if (untilMs !== Infinity) wait.stop = run.engine.alarm(untilMs - run.engine.nowMs(), wake);
    run.parks.linger();
  };
  if (run.memory.has(place) || untilMs === Infinity) begin();
  else run.note(place, untilMs, begin);
}

/** It ends at the same moment whatever restarts meanwhile: when it was to end at first. */
function untilOf(run: Run, place: string, until: unknown, nowMs: number): number {
  const known = run.memory.recall(place, '');
  if (known !== undefined) return decode(known.value) as number;
  if (until instanceof Date && !Number.isNaN(until.getTime())) return until.getTime();
  if (typeof until === 'number' && until >= 0 && until <= LONGEST_SLEEP_MS) return nowMs + until;
  const message = 'expected milliseconds of at least 0 and at most a hundred years, or a date; to wait for ever, wait for an event';
  throw new PayloadInvalidError('sleep', [{ path: '', message }], until, false);
}

export function waitFor(run: Run, name: string, options: WaitOptions, resolve: Settle, reject: Settle): void {
  const { kind, events, agent } = run.plan;
  if (!events.includes(name)) throw new UndeclaredError({ kind, field: 'events', name }, events);
  checkOutsideStep(run, `waitFor ${describe(name)}`);
  checkNoHold(run, kind, `event ${name}`);
  const schema = (agent.spec.events as Record<string, Schema>)[name];
  const place = run.memory.next(`wait:${name}`, options.key);
  const taken = (value: string): void => resolve(parse(schema, decode(value), `event ${name}`));
  new EventWait(run, { place, hash: '', event: name, kind: 'event', options, taken, reject }).begin();
}

export function approval(run: Run, name: string, request: unknown, options: WaitOptions, resolve: Settle, reject: Settle): void {
  checkName('an approval', name);
  checkOutsideStep(run, `approval ${describe(name)}`);
  checkNoHold(run, run.plan.kind, `approval ${name}`);
  const place = run.memory.once('approval', name, options.key);
  const text = encode(request, `request for approval of ${name}`, run.engine.maxBytes);
  const taken = (value: string): void => {
    const { approved, by, note } = decode(value) as Approved & { readonly approved: boolean };
    if (approved) return resolve({ by, note });
    throw new ApprovalRejectedError({ id: run.task.id, name, by, note });
  };
  // Under its name, and its key if it has one: that is what a person decides, and what comes for it.
  const named = run.memory.approvalName(place);
  const ask = (expiresAtMs: number | null, asked: () => void): void => {
    run.engine.requests.withdrawApprovals(run, run.memory.approvalsOfOthers(place), () => {});
    run.askPerson(named, text, expiresAtMs, asked);
  };
  new EventWait(run, { place, hash: hashText(text), event: `approval:${named}`, kind: 'approval', options, taken, reject, ask }).begin();
}

interface EventWaitOptions {
  readonly place: string;
  readonly hash: string;
  /** Its name, as the store knows it. */
  readonly event: string;
  readonly kind: 'event' | 'approval';
  readonly options: WaitOptions;
  /** Gives the run what came; what it throws, the run sees. */
  readonly taken: (value: string) => void;
  readonly reject: Settle;
  /** Asks for the event, before it is waited for. */
  readonly ask?: (expiresAtMs: number | null, asked: () => void) => void;
}

/** One wait for one event. */
export class EventWait extends Pending {
  /** It has been told of, as a later one of its name shows, and only the store knows what it says: the next run sees it. */
  isTold = false;
  /** What it waits for is there, or over, and has yet to be seen in its order. */
  #isHeld = false;
  /** An earlier run has asked the person this. */
  #isAsked = false;
  readonly #run: Run;
  readonly #options: EventWaitOptions;

  constructor(run: Run, options: EventWaitOptions) {
    super();
    this.#run = run;
    this.#options = options;
  }

  begin(): void {
    const run = this.#run;
    const { place, hash, kind, options, reject } = this.#options;
    const { withinMs } = options;
    if (withinMs !== undefined && !(typeof withinMs === 'number' && withinMs >= 0)) {
      throw new PayloadInvalidError('withinMs', [{ path: '', message: 'expected milliseconds of at least 0' }], withinMs, false);
    }
    const known = run.memory.recall(place, hash);
    if (known !== undefined) {
      if (failureIn(known.value) !== undefined) return run.give(known, reject, reject);
      return run.inOrder(known.hash, () => run.read(() => this.#give((decode(known.value) as Taken).value), reject));
    }
    if (!run.mayAct(reject)) return;
    // A word that was given to another question is no answer to this one.
    this.#isAsked = kind === 'approval' && run.memory.recall(`asked:${place}`, hash) !== undefined;
    const until = run.memory.recall(`until:${place}`, '');
    // Which event it gets follows from when it begins, so it begins at once, and is looked at all the same.
    if (run.memory.isBefore(place) && until === undefined && kind === 'event') run.holdBack(place, () => {}, reject);
    else if (run.memory.isBefore(place) && until === undefined) return run.holdBack(place, () => this.#begin(until), reject);
    this.#begin(until);
  }

  #begin(until: Remembered | undefined): void {
    const run = this.#run;
    const { place, options } = this.#options;
    const { withinMs } = options;
    run.opened(this);
    if (until !== undefined) this.untilMs = decode(until.value) as number;
    else if (withinMs !== undefined && withinMs !== Infinity) {
      this.untilMs = run.engine.nowMs() + withinMs;
      return run.note(`until:${place}`, this.untilMs, () => this.#look());
    }
    this.#look();
  }

  /** The next one that nobody has taken, or waits for. Those that begin later wait for later ones. */
  #look(): void {
    const run = this.#run;
    const { event, ask, place, hash } = this.#options;
    this.event = { name: event, n: run.events.claim(event, this) };
    if (run.events.valueOf(this.event) !== undefined || run.engine.nowMs() >= this.untilMs) return this.#holdBack();
    if (ask === undefined) return this.#await();
    const begin = (): void => ask(this.untilMs === Infinity ? null : this.untilMs, () => this.#await());
    if (this.#isAsked) begin();
    else run.noteAsked(`asked:${place}`, hash, begin);
  }

  /** An earlier run may have seen another end of the same race, and have gone on from there. */
  #holdBack(): void {
    const run = this.#run;
    const { place, kind, reject } = this.#options;
    this.#isHeld = true;
    this.waitsFor = kind;
    const see = (): void =>
      run.afterSeen(() => {
        if (run.over !== undefined) return;
        this.#isHeld = false;
        if (run.events.valueOf(this.event!) !== undefined) this.#decide();
        else if (run.engine.nowMs() >= this.untilMs) this.#late();
        else this.#await();
      }, run.events.orderOf(this.event!));
    const came = { ...(run.events.valueOf(this.event!) === undefined ? {} : { event: this.event! }), atMs: this.untilMs };
    const look = (): void => run.inTime(came, see);
    if (run.memory.isBefore(place)) run.holdBack(place, look, reject);
    else look();
  }

  #await(): void {
    const run = this.#run;
    if (run.over !== undefined) return;
    // Told while it was asked for.
    if (run.events.valueOf(this.event!) !== undefined) return this.#holdBack();
    this.waitsFor = this.#options.kind;
    this.cancel();
    if (this.untilMs !== Infinity) this.stop = run.engine.alarm(this.untilMs - run.engine.nowMs(), () => this.#due());
    run.parks.linger();
  }

  /** The task has been told of an event of its name. */
  told(): void {
    if (this.waitsFor === undefined || this.#isHeld) return;
    const { events } = this.#run;
    if (events.valueOf(this.event!) === undefined) this.isTold = events.isMissing(this.event!);
    else this.#holdBack();
  }

  /** The event before it has been given up: this one waits for that now. */
  moved(n: number): void {
    this.event!.n = n;
    if (this.#run.events.valueOf(this.event!) !== undefined && !this.settling && !this.#isHeld) this.#decide();
  }

  #due(): void {
    this.stop = undefined;
    // Whether that was told in time is looked at when it is its turn.
    if (this.#isHeld) return;
    // It may have been told in time: the run parks, and the next one asks when that was.
    if (this.isTold) return this.#run.parkIfPostponed();
    this.#late();
  }

  #decide(): void {
    const run = this.#run;
    this.#settles();
    if (run.engine.nowMs() < this.untilMs) return this.#take();
    run.engine.requests.toldBy(run, this.event!, this.untilMs, (inTime) => {
      if (run.over !== undefined) return;
      if (inTime) this.#take();
      else this.#late();
    });
  }

  #take(): void {
    const run = this.#run;
    const { place, hash } = this.#options;
    const value = run.events.valueOf(this.event!)!;
    run.keep(this, place, hash, { n: this.event!.n, value } satisfies Taken, () => this.#give(value), this.#options.reject);
  }

  #late(): void {
    const run = this.#run;
    const { place, hash, reject } = this.#options;
    this.#settles();
    run.events.release(this.event!);
    run.keepFailure(this, place, hash, new WaitTimeoutError({ id: run.task.id, place, untilMs: this.untilMs }), reject);
  }

  #settles(): void {
    this.settling = true;
    this.waitsFor = undefined;
    this.cancel();
  }

  #give(value: string): void {
    const { taken, reject } = this.#options;
    this.#run.read(() => taken(value), reject);
  }
}

/** What is remembered of an event that a wait has taken. */
export interface Taken {
  readonly n: number;
  readonly value: string;
}
