/**
 * Inbox: the outside events of a machine, in the order in which its task was told of them. It takes the first
 * that it can take where it is (`snapshot.can`), at once, whatever else is under way; what it cannot take, because no
 * active state has a transition for it or a guard says no, stays in line. So it is a mailbox with selective
 * receive, as Erlang's, and nothing that was told is lost.
 *
 * What has been taken is remembered with the machine, by the record that says what became of it. What an operation of
 * the machine waits for is that operation's.
 *
 * @see Armstrong, "Making reliable distributed systems in the presence of software errors", 2003, section 3.3
 */
import type { AnyActorRef, AnyMachineSnapshot, AnyStateMachine } from 'xstate';
import type { TaskEvent } from '../../../actors/ports/store.ts';
import { nodesOf } from '../../topology/machine.ts';
import type { Schema } from '../../topology/contract.ts';
import { decode, parse } from '../payload.ts';
import type { Run } from '../run.ts';
import { Pending } from '../run/operation.ts';
import type { KeptTaken } from './record.ts';

export interface InboxOptions {
  readonly run: Run;
  readonly machine: AnyStateMachine;
  readonly taken: KeptTaken;
  /** Another one is there: look. */
  readonly onCome: () => void;
  /** Whether it is the turn of that one; it stays in line where not. */
  readonly allows: (event: TaskEvent) => boolean;
}

type MachineEvent = { readonly type: string };

interface InLine extends TaskEvent {
  /** As the machine gets it; undefined: nobody has looked at it. */
  event: MachineEvent | undefined;
}

export class Inbox {
  readonly #run: Run;
  /** The events that the machine may take. */
  readonly #names: readonly string[];
  /** Those that it has not taken. */
  readonly #line: InLine[] = [];
  /** What it takes where it is: while it waits for the next of each of these the run can park. */
  readonly #waits = new Map<string, Pending>();
  /** How many of each name were taken with all those before them, and which beyond. */
  readonly #taken: Record<string, number>;
  readonly #beyond: Record<string, readonly number[]>;
  readonly #allows: InboxOptions['allows'];
  #isOpen = false;

  constructor({ run, machine, taken: { taken, beyond = {} }, onCome, allows }: InboxOptions) {
    this.#run = run;
    this.#allows = allows;
    this.#taken = { ...taken };
    this.#beyond = { ...beyond };
    const nodes = [...nodesOf(machine.root)];
    this.#names = run.plan.events.filter((name) => nodes.some((node) => hasTransition(node, name)));
    const { events } = run;
    for (const [name, count] of Object.entries(taken)) for (let n = 0; n < count; n += 1) events.take({ name, n });
    for (const [name, numbers] of Object.entries(beyond)) for (const n of numbers) events.take({ name, n });
    for (const event of events.told) if (!events.isTaken(event)) this.#add(event);
    events.onTold = (event) => {
      this.#add(event);
      onCome();
    };
  }

  /** What the machine has not taken. */
  get line(): readonly TaskEvent[] {
    return this.#line;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** From now on it gives: what the machine had under way has come by what it had brought. */
  open(): void {
    this.#isOpen = true;
  }

  /** Whether the machine has a transition for any event where it is. */
  isAwaited(root: AnyActorRef): boolean {
    return this.#namesAt(root.getSnapshot() as AnyMachineSnapshot).length > 0;
  }

  /** Waits for what the machine takes where it is. Returns what it takes now. @throws PayloadInvalidError */
  look(root: AnyActorRef): MachineEvent | undefined {
    const snapshot = root.getSnapshot() as AnyMachineSnapshot;
    const names = this.#namesAt(snapshot);
    const first = this.#isOpen && names.length > 0 ? this.#run.within(() => this.#first(snapshot, new Set(names))) : undefined;
    if (first === undefined) this.#await(names);
    return first;
  }

  kept(): KeptTaken {
    return Object.keys(this.#beyond).length === 0 ? { taken: this.#taken } : { taken: this.#taken, beyond: this.#beyond };
  }

  #namesAt({ _nodes: nodes }: AnyMachineSnapshot): readonly string[] {
    return this.#names.filter((name) => nodes.some((node) => hasTransition(node, name)));
  }

  /** Those of one name in the order of their numbers, whoever's news came first. */
  #add(event: TaskEvent): void {
    if (!this.#names.includes(event.name)) return;
    const inLine: InLine = { ...event, event: undefined };
    const at = this.#line.findIndex(({ name, n }) => name === event.name && n > event.n);
    if (at < 0) this.#line.push(inLine);
    else this.#line.splice(at, 0, inLine);
  }

  #first(snapshot: AnyMachineSnapshot, names: ReadonlySet<string>): MachineEvent | undefined {
    const { events } = this.#run;
    for (const [at, told] of this.#line.entries()) {
      // One before it that is not known here may be one that the machine can take.
      if (!names.has(told.name) || !events.isFree(told) || told.n >= events.nextOf(told.name) || !this.#allows(told)) continue;
      told.event ??= this.#eventOf(told);
      if (!canTake(snapshot, told.event)) continue;
      this.#line.splice(at, 1);
      this.#take(told);
      return told.event;
    }
    return undefined;
  }

  #take({ name, n }: TaskEvent): void {
    const { events } = this.#run;
    events.take({ name, n });
    let count = this.#taken[name] ?? 0;
    while (events.isTaken({ name, n: count })) count += 1;
    if (count > 0) this.#taken[name] = count;
    const beyond = [...(this.#beyond[name] ?? []), n].filter((taken) => taken >= count);
    if (beyond.length > 0) this.#beyond[name] = beyond;
    else delete this.#beyond[name];
  }

  #eventOf({ name, value }: TaskEvent): MachineEvent {
    const schemas = this.#run.plan.agent.spec.events as Readonly<Record<string, Schema>>;
    const payload = this.#parsed(schemas[name], name, value);
    if (typeof payload === 'object' && payload !== null && !Array.isArray(payload)) return { ...payload, type: name };
    return { ...(payload === undefined ? {} : { value: payload }), type: name };
  }

  #parsed(schema: Schema | undefined, name: string, value: string): unknown {
    try {
      return parse(schema, decode(value), `event ${name}`);
    } catch (error) {
      this.#run.misfits(error);
      throw error;
    }
  }

  /** For these names, and no others. */
  #await(names: readonly string[]): void {
    const run = this.#run;
    for (const [name, wait] of this.#waits) {
      if (names.includes(name)) continue;
      this.#waits.delete(name);
      run.done(wait);
    }
    if (run.over !== undefined) return;
    for (const name of names) {
      let wait = this.#waits.get(name);
      if (wait === undefined) {
        wait = run.opened(new Pending());
        wait.waitsFor = 'event';
        this.#waits.set(name, wait);
        run.parks.linger();
      }
      wait.event = { name, n: run.events.nextOf(name) };
    }
  }
}

/** A guard that throws ends the machine as it would in XState: when it gets the event. */
function canTake(snapshot: AnyMachineSnapshot, event: MachineEvent): boolean {
  try {
    return snapshot.can(event);
  } catch {
    return true;
  }
}

/** Whether a state has a transition for it; `*` is anything, `paid.*` is `paid` and all that begins with `paid.`. */
function hasTransition(node: AnyStateMachine['root'], name: string): boolean {
  return node.ownEvents.some(
    (descriptor: string) =>
      descriptor === '*' || descriptor === name || (descriptor.endsWith('.*') && `${name}.`.startsWith(descriptor.slice(0, -1))),
  );
}
