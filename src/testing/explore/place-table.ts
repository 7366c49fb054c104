/** Place table: the places of a net that is being compiled, each made when it is first asked for. */
import { SkeletonError } from './errors.ts';
import { describeLocal, keyOf } from './locals.ts';
import type { Local } from './locals.ts';
import type { Arc, Place, PlaceAbout } from './net.ts';
import type { ProcessClass, Skeleton } from './skeleton.ts';

/** The budget that crashes spend. */
export const FAULTS = 'faults';

const MOST_TOKENS = 255;

/** A free choice without a bound would otherwise be gone through for ever. */
const MOST_LOCALS = 20_000;

export class PlaceTable {
  readonly all: Place[] = [];
  /** Local states by their place. Grows while it is gone through, and what is new is gone through too. */
  readonly locals = new Map<number, Local>();
  readonly #skeleton: Skeleton;
  readonly #indexes = new Map<string, number>();
  /** By mailbox: the places of messages, by who waits for the answer. */
  readonly #messages = new Map<string, Map<string | undefined, number>>();

  /** Resources, mailboxes and budgets are there from the start. */
  constructor(skeleton: Skeleton) {
    const { resources = {}, mailboxes = {}, budgets = {}, faults = 0 } = skeleton;
    this.#skeleton = skeleton;
    for (const [resource, capacity] of Object.entries(resources)) {
      this.#place(`free:${resource}`, { at: 'resource', resource, capacity }, resource, capacity, capacity);
    }
    for (const [mailbox, capacity] of Object.entries(mailboxes)) {
      this.#messages.set(mailbox, new Map());
      this.#place(`room:${mailbox}`, { at: 'room', mailbox, capacity }, `room in ${mailbox}`, capacity, capacity);
    }
    for (const [budget, count] of Object.entries({ ...budgets, [FAULTS]: faults })) {
      this.#place(`budget:${budget}`, { at: 'budget', budget }, budget, count, MOST_TOKENS);
    }
  }

  /** Place of a local state, with so many processes in it from the start. */
  ofLocal(local: Local, initial = 0): number {
    const { process, state, held, waitsFor, customer, open } = local;
    const rests = this.rests(process, state, waitsFor);
    const owes = customer !== undefined || open > 0;
    const about = { at: 'process', process: process.name, state: describeLocal({ ...local, held: {} }), held, rests, owes } as const;
    const place = this.#place(`local:${keyOf(local)}`, about, `${process.name} (${describeLocal(local)})`, initial, MOST_TOKENS);
    this.locals.set(place, local);
    if (this.locals.size > MOST_LOCALS) {
      const path = ['skeleton', 'processes', process.name, 'states'];
      throw new SkeletonError({ path, value: this.locals.size, expected: `at most ${MOST_LOCALS} local states in all` });
    }
    return place;
  }

  /** Whether a process in this state has nothing to do. */
  rests({ name, rests, start, states }: ProcessClass, state: string, waitsFor: string | undefined): boolean {
    if (waitsFor !== undefined) return false;
    if (rests !== undefined) return rests.includes(state);
    return states[state]!.length === 0 || (state === start && !isSpawned(this.#skeleton, name));
  }

  /** What is free of each resource. */
  free(needs: Readonly<Record<string, number>>): readonly Arc[] {
    return Object.entries(needs).map(([name, count]) => ({ place: this.#indexes.get(`free:${name}`)!, count }));
  }

  room(mailbox: string): number {
    return this.#indexes.get(`room:${mailbox}`)!;
  }

  budget(name: string): number {
    return this.#indexes.get(`budget:${name}`)!;
  }

  /** Place of the messages of a mailbox for whose answer this one waits. */
  message(mailbox: string, customer: string | undefined): number {
    const capacity = this.#skeleton.mailboxes![mailbox]!;
    const place = this.#place(`messages:${mailbox}:${customer ?? ''}`, { at: 'messages', mailbox }, `messages in ${mailbox}`, 0, capacity);
    this.messages(mailbox).set(customer, place);
    return place;
  }

  /** Places of all messages that a mailbox may hold, by who waits for the answer. */
  messages(mailbox: string): Map<string | undefined, number> {
    return this.#messages.get(mailbox)!;
  }

  /** A place that stays empty: for who waits at a mailbox into which nothing comes. */
  noMessage(mailbox: string): number {
    return this.#place(`messages:${mailbox}:none`, { at: 'messages', mailbox }, `messages in ${mailbox}`, 0, 1);
  }

  #place(key: string, about: PlaceAbout, name: string, initial: number, capacity: number): number {
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    const index = this.all.push({ name, initial, capacity, about }) - 1;
    this.#indexes.set(key, index);
    return index;
  }
}

function isSpawned({ processes }: Skeleton, name: string): boolean {
  return processes.some(({ states }) =>
    Object.values(states).some((moves) => moves.some((move) => move.does === 'spawn' && move.process === name)),
  );
}
