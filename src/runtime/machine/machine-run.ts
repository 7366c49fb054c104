/**
 * Machine run: a run whose function is a statechart.
 *
 *     an operation ends, a time comes, an event is told ──▶ one macrostep ──▶ what has been left is stopped
 *                                                                        ──▶ the record is remembered
 *                                                                        ──▶ what has been entered begins
 *
 * What is remembered is the persisted snapshot with all that XState does not keep in it (`record.ts`), under
 * the place `machine`; each takes the place of the one before. An operation begins only once the record
 * that names it is safe. So whatever an operation has brought, the record that the next run begins with
 * names that operation or a later one: nothing is performed under a name that a restart would give to
 * another. What happened after the last record happens again: its causes are remembered at their own places.
 *
 * The machine is a real XState actor, a root of its own, whose scheduler is ours.
 */
import { createActor } from 'xstate';
import type { AnyActorRef, AnyMachineSnapshot, AnyStateMachine } from 'xstate';
import type { Context } from '../../topology/context.ts';
import { performIn } from '../../topology/operation.ts';
import type { AnyOperation } from '../../topology/operation.ts';
import { decode, textOf } from '../payload.ts';
import type { Run } from '../run.ts';
import { remember } from '../run/keeping.ts';
import { Pending } from '../run/operation.ts';
import { below, hasName, pathOf, sourcesOf } from './actors.ts';
import { MachineActorError, MachineChangedError, MachineContextError, MachineStuckError } from './errors.ts';
import { Inbox } from './inbox.ts';
import { Invocation } from './invocation.ts';
import { inPresentNames } from './former-names.ts';
import { lostDelay } from './after.ts';
import { knownAs, missingIn, notJsonIn, notJsonLater, orphansIn, replacedIn, underWay } from './record.ts';
import type { KeptInvocation, KeptSend, KeptSnapshot, MachineRecord } from './record.ts';
import { Overdue } from './overdue.ts';
import { MachineTimers } from './timers.ts';
import { onlookerOf } from './onlooker.ts';
import type { Onlooker } from './onlooker.ts';
import { performAgain } from './undo.ts';
import { viewsOf } from './views.ts';

const PLACE = 'machine';

/** Runs a machine for the run that `ctx` is of. Resolves with its output; rejects with the error that it ends in. */
export function runMachine(machine: AnyStateMachine, input: unknown, ctx: Context): Promise<unknown> {
  const onlooker = onlookerOf(ctx);
  const { run } = onlooker;
  let kept: MachineRecord | undefined;
  try {
    kept = recordOf(run);
  } catch (error) {
    // What is no JSON any more is kept as it stands.
    if (run.misfits(error)) return new Promise(() => {});
    throw error;
  }
  const record = kept === undefined ? undefined : inPresentNames(machine, kept);
  // What operations have registered is undone wherever the machine was, and whatever has become of that.
  if (run.undoing !== undefined) return performAgain(onlooker, machine, record);
  const changed = record === undefined ? undefined : changeOf(run, machine, record);
  if (changed !== undefined) {
    run.refuse(changed);
    return new Promise(() => {});
  }
  if (record !== undefined) {
    const labels = Array.from(underWay(machine, record), ({ label }) => label);
    run.memory.performs(labels, run.plan.onVersionChange);
  }
  return new Promise((resolve, reject) => new MachineRun({ onlooker, machine, record, input, resolve, reject }).start());
}

/** @throws ReplayDivergedError */
function recordOf(run: Run): MachineRecord | undefined {
  const known = run.memory.recall(PLACE, '');
  if (known === undefined) {
    // A machine does nothing before its record is safe: what is remembered is that of a function.
    if (run.memory.isBefore(PLACE)) throw run.memory.divergence(PLACE);
    return undefined;
  }
  return decode(known.value) as MachineRecord;
}

/** Why the machine cannot go on where the task is; undefined: it can. */
function changeOf(run: Run, machine: AnyStateMachine, record: MachineRecord): MachineChangedError | undefined {
  const { snapshot, timers } = record;
  const missing = missingIn(machine, snapshot) ?? replacedIn(machine, record);
  if (missing !== undefined) return changedError(run, machine, missing);
  const delay = lostDelay(machine, snapshot, timers);
  return delay === undefined ? undefined : changedError(run, machine, `state with the delay ${delay}`);
}

function changedError(run: Run, machine: AnyStateMachine, missing: string): MachineChangedError {
  return new MachineChangedError({ id: run.task.id, machine: machine.id, missing, version: versionOf(run) });
}

/** Of the code that has left the record. */
function versionOf(run: Run): string {
  return run.memory.recall(PLACE, '')?.version ?? run.claimed.version;
}

interface MachineRunOptions {
  readonly onlooker: Onlooker;
  readonly machine: AnyStateMachine;
  /** What is remembered; undefined: this is the first run. */
  readonly record: MachineRecord | undefined;
  readonly input: unknown;
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: unknown) => void;
}

class MachineRun {
  readonly #options: MachineRunOptions;
  readonly #run: Run;
  readonly #root: AnyActorRef;
  readonly #timers: MachineTimers;
  readonly #inbox: Inbox;
  readonly #overdue: Overdue;
  readonly #entries: Record<string, number>;
  readonly #sends: KeptSend[];
  readonly #undoable: KeptInvocation[];
  readonly #active = new Map<AnyActorRef, Invocation>();
  /** Asked in states that have been left; the store may not know yet. */
  readonly #withdrawn: Set<string>;
  /** Entered, and not begun: the record that names them is not safe yet. */
  #entered: (() => void)[] = [];
  /** The record that is safe. */
  #safe: string | undefined;
  #isSaving = false;
  /** Where other code may have left the machine; undefined: this is the first run. */
  readonly #restored: string | undefined;
  /** Places of actors that the state where it was left has no more. */
  readonly #orphans: readonly string[];
  /** Something has happened to it in this run. */
  #hasMoved = false;
  /** What is entered now was under way before. */
  #isRestoring = false;
  #isOver = false;

  constructor(options: MachineRunOptions) {
    const { onlooker, machine, record, input } = options;
    const { run } = onlooker;
    this.#options = options;
    this.#run = run;
    this.#entries = { ...record?.entries };
    this.#sends = [...(record?.sends ?? [])];
    this.#undoable = [...(record?.undoable ?? [])];
    this.#withdrawn = new Set(record?.withdrawn);
    this.#restored = record === undefined ? undefined : JSON.stringify(record.snapshot.value);
    this.#orphans = record === undefined ? [] : orphansIn(machine, record);
    this.#overdue = new Overdue({
      run,
      firstDueMs: () => this.#timers.firstDueMs,
      endFirst: () => this.#timers.fireFirst(),
      inLine: () => this.#inbox.line,
      give: () => this.#give(),
      isBusy: () => !this.#inbox.isOpen || this.#isSaving || [...this.#active.values()].some(({ isGiven }) => isGiven),
    });
    run.works = () => [...this.#active.values()].some(({ works }) => works);
    this.#timers = new MachineTimers({
      run,
      fire: (target, event) => this.#turn(() => target.send(event)),
      isHeld: () => this.#overdue.isUnderWay,
    });
    this.#inbox = new Inbox({
      run,
      machine,
      taken: record ?? { taken: {} },
      onCome: () => {
        this.#overdue.moved();
        this.#turn(() => {});
      },
      allows: (event) => this.#overdue.allows(event),
    });
    const from = record === undefined ? { input } : { snapshot: record.snapshot };
    const logger = (...said: readonly unknown[]): void => run.log.info({ said }, machine.id);
    this.#root = run.within(() => createActor(machine, { id: run.task.id, logger, ...from } as never));
    this.#timers.takeOver(this.#root.system as never);
    performIn(this.#root.system, this);
    viewsOf(run.engine)?.show(run, this.#root);
    // Who does not listen for errors has them thrown in a timer.
    this.#root.subscribe({ error: () => {} });
  }

  start(): void {
    this.#whole(() => this.#start());
  }

  #start(): void {
    const { record } = this.#options;
    this.#isRestoring = record !== undefined;
    this.#run.within(() => this.#root.start());
    this.#isRestoring = false;
    if (record !== undefined) {
      this.#timers.restore(this.#root, record.timers);
      this.#safe = this.#text();
      this.#withdraw(record.withdrawn ?? []);
    }
    const isEmpty = this.#inbox.line.length === 0;
    if (isEmpty || this.#active.size === 0) this.#inbox.open();
    else this.#openInbox();
    if (!isEmpty) this.#overdue.moved();
    this.#settle();
  }

  /** False when there was nothing that the machine takes. */
  #give(): boolean {
    const { length } = this.#inbox.line;
    this.#turn(() => {});
    return this.#inbox.line.length < length;
  }

  /** What was told and not taken comes after all that was under way has come by what it had brought: that was first. */
  #openInbox(): void {
    const run = this.#run;
    const { signs } = run;
    run.afterSeen(() => {
      const isQuiet = run.signs === signs || ![...this.#active.values()].some(({ hasBegun }) => !hasBegun);
      if (!isQuiet) return this.#openInbox();
      this.#inbox.open();
      this.#overdue.moved();
      this.#turn(() => {});
    });
  }

  /** An operation has been entered: it begins when that is safe. */
  begin(self: AnyActorRef, { perform }: AnyOperation, input: unknown): void {
    const run = this.#run;
    const { onlooker } = this.#options;
    const place = knownAs(this.#options.record?.former, pathOf(self));
    if (!this.#isRestoring) this.#entries[place] = (this.#entries[place] ?? 0) + 1;
    const label = `${place}#${this.#entries[place] ?? 1}`;
    const onCompensate = (): void => {
      if (!this.#undoable.some((known) => known.label === label)) this.#undoable.push({ label, sources: sourcesOf(self), input });
    };
    const invocation = new Invocation({
      run,
      label,
      onCompensate,
      inTime: (came, look) => this.#overdue.inTime(came, look),
      onGiven: () => this.#moved(),
      asked: this.#isRestoring ? (this.#options.record?.asked?.[label] ?? []) : [],
      onAsked: () => this.#turn(() => {}),
      // With the record that says that the state was left; whoever decides before that has decided.
      onWithdrawn: (names) => {
        for (const name of names) this.#withdrawn.add(name);
      },
    });
    this.#active.set(self, invocation);
    const end = (event: { readonly type: string }, sends: readonly KeptSend[] = []): void => {
      invocation.performs(false);
      const said = (): void => {
        // What was given up sends nothing.
        if (this.#active.get(self) !== invocation) return;
        this.#sends.push(...sends);
        this.#turn(() => self.send(event));
      };
      // Its state has not been left: it is performed again, and reads anew.
      invocation.whenSame(said, (error) => run.threw(error));
    };
    this.#entered.push(() => {
      if (this.#active.get(self) !== invocation) return;
      invocation.performs(true);
      new Promise((settle) => settle(run.within(() => onlooker.perform(invocation, (ctx) => perform(input, ctx))))).then(
        (output) => {
          const forgotten = invocation.begins.failureOf(run.task.id);
          if (forgotten !== undefined) return end({ type: 'operation.failed', error: forgotten } as { readonly type: string });
          // What was given up need not come by anything.
          const leftAside = this.#active.get(self) === invocation ? run.memory.leftAsideOf(label) : undefined;
          if (leftAside !== undefined) run.engine.leftAside(run, leftAside, leftAside.atEnd(), null);
          end({ type: 'operation.done', output } as { readonly type: string }, invocation.sends);
        },
        (error: unknown) => end({ type: 'operation.failed', error } as { readonly type: string }),
      );
    });
  }

  /** The record that is safe says that nobody need decide these. */
  #withdraw(names: readonly string[]): void {
    const run = this.#run;
    if (names.length === 0 || run.over !== undefined) return;
    // The run does not park over it.
    const wait = run.opened(new Pending());
    const left = new Set(names);
    run.engine.requests.withdrawApprovals(run, names, (name) => {
      left.delete(name);
      this.#withdrawn.delete(name);
      if (left.size === 0) run.done(wait);
    });
  }

  /** What is overdue may have waited for that. */
  #moved(): void {
    if (this.#overdue.isUnderWay) this.#overdue.moved();
  }

  /** One thing happens to the machine. */
  #turn(act: () => void): void {
    if (this.#isOver || this.#run.over !== undefined) return;
    this.#hasMoved = true;
    this.#whole(() => {
      this.#run.within(act);
      this.#settle();
    });
  }

  /**
   * What is left is given up before it is safe what was entered: no run parks in between, it would wait for what the store
   * does not know. One that is over has its end before it.
   */
  #whole(turn: () => void): void {
    const { parks } = this.#run;
    parks.hold();
    try {
      turn();
    } finally {
      if (!this.#isOver) parks.release();
      // What has ended may have been the last that was under way.
      if (this.#run.over === undefined && this.#run.occupied) parks.linger();
    }
  }

  #settle(): void {
    try {
      for (;;) {
        this.#stopLeft();
        const snapshot = this.#root.getSnapshot() as AnyMachineSnapshot;
        if (snapshot.status === 'done') return this.#complete(snapshot.output);
        if (snapshot.status !== 'active') return this.#fail(snapshot.error);
        if (this.#run.over !== undefined) return;
        const event = this.#inbox.look(this.#root);
        if (event === undefined) break;
        this.#run.within(() => this.#root.send(event));
      }
      this.#check();
      this.#save();
      this.#moved();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Gives up what an operation was doing when its state was left. */
  #stopLeft(): void {
    for (const [ref, invocation] of this.#active) {
      if ((ref.getSnapshot() as { readonly status: string }).status === 'active') continue;
      this.#active.delete(ref);
      invocation.stop();
    }
  }

  /** @throws what a person has to put right in the machine */
  #check(): void {
    const { id } = this.#run.task;
    const machine = this.#options.machine.id;
    for (const ref of below(this.#root)) if (!hasName(ref)) throw new MachineActorError({ id, machine, actor: ref.id });
    const snapshot = this.#root.getSnapshot() as AnyMachineSnapshot;
    if (this.#timers.refused !== undefined) throw this.#timers.refused;
    const odd = notJsonIn(snapshot) ?? notJsonLater(this.#timers.kept());
    if (odd !== undefined) throw new MachineContextError({ id, machine, path: odd.path }, odd.found);
    if (this.#active.size > 0 || this.#timers.size > 0 || this.#inbox.isAwaited(this.#root)) return;
    const state = JSON.stringify(snapshot.value);
    if (this.#isAsLeft(state)) throw changedError(this.#run, this.#options.machine, `way on from ${state}`);
    throw new MachineStuckError({ id, machine, state });
  }

  /** It stands where other code has left it, which had a way on from there: no code leaves a machine where nothing could move it. */
  #isAsLeft(state: string): boolean {
    if (state !== this.#restored) return false;
    return !this.#hasMoved || this.#orphans.length > 0 || versionOf(this.#run) !== this.#run.plan.version;
  }

  /** Remembers where the machine is, unless that is known, and then begins what was entered. One at a time: the last is what counts. */
  #save(): void {
    if (this.#isSaving || this.#run.over !== undefined) return;
    const text = this.#text();
    if (text === this.#safe) return this.#beginEntered();
    const run = this.#run;
    const entered = this.#entered;
    const withdrawn = [...this.#withdrawn];
    this.#entered = [];
    this.#isSaving = true;
    const item = { place: run.memory.stored(PLACE), hash: '', value: text, replace: true } as const;
    // It is an operation of the run, which so does not park over it.
    remember(run, run.opened(new Pending()), item, () => {
      this.#isSaving = false;
      this.#safe = text;
      for (const begin of entered) begin();
      this.#withdraw(withdrawn);
      if (!this.#isOver) this.#save();
      this.#moved();
    });
  }

  #beginEntered(): void {
    for (const begin of this.#entered.splice(0)) begin();
  }

  /** @throws PayloadNotJsonError, PayloadTooLargeError */
  #text(): string {
    const record: MachineRecord = {
      snapshot: this.#root.getPersistedSnapshot() as unknown as KeptSnapshot,
      timers: this.#timers.kept(),
      entries: this.#entries,
      ...this.#inbox.kept(),
      sends: this.#sends,
      undoable: this.#undoable,
      ...this.#approvals(),
      ...this.#actors(),
    };
    // XState's own fields come back as XState wants them; what is the user's has been looked at.
    return textOf(record, `snapshot of ${this.#options.machine.id}`, this.#run.engine.maxBytes);
  }

  #approvals(): Pick<MachineRecord, 'asked' | 'withdrawn'> {
    const asking = [...this.#active.values()].filter((invocation) => invocation.asked.size > 0);
    const asked = Object.fromEntries(asking.map((invocation) => [invocation.label, [...invocation.asked]]));
    return {
      ...(asking.length === 0 ? {} : { asked }),
      ...(this.#withdrawn.size === 0 ? {} : { withdrawn: [...this.#withdrawn] }),
    };
  }

  #actors(): Pick<MachineRecord, 'spawned' | 'former'> {
    const former = this.#options.record?.former;
    const spawned: string[] = [];
    for (const ref of [this.#root, ...below(this.#root)]) {
      const { children, _nodes: nodes } = ref.getSnapshot() as Partial<AnyMachineSnapshot>;
      if (children === undefined || nodes === undefined) continue;
      for (const id of Object.keys(children)) {
        if (nodes.some(({ invoke }) => invoke.some((invoked) => invoked.id === id))) continue;
        const place = knownAs(former, [...pathOf(ref), id]);
        if (!this.#orphans.includes(place)) spawned.push(place);
      }
    }
    return { ...(spawned.length === 0 ? {} : { spawned }), ...(former === undefined ? {} : { former }) };
  }

  #complete(output: unknown): void {
    if (this.#isOver) return;
    try {
      for (const { kind, input, ...options } of this.#sends) this.#run.send(kind, input, options);
    } catch (error) {
      // More of them than a task may have, or two of one name.
      return this.#fail(error);
    }
    this.#isOver = true;
    this.#options.resolve(output);
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (error instanceof MachineChangedError) this.#run.refuse(error);
    else this.#options.reject(error);
  }
}
