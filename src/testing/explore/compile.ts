/**
 * Compile: from a skeleton to a net.
 *
 * Places: each local state of a class (how many are in it), each resource (how many are free), each
 * mailbox (messages by who waits for the answer, and room), each budget, and the faults that are left.
 * Local states, messages by asker and children by parent depend on each other, so everything is gone
 * through until nothing new turns up; the transitions of the last pass are the net's.
 *
 * Processes of one class in one local state are told apart by nothing. A reply to one of two equal
 * waiters may go to either, and a child's end may reach another parent of the same class than the one
 * that spawned it: the number of waiters and the number of children stay equal, so a state is dead
 * here exactly when it is dead with names.
 *
 * A mailbox does not keep order: any of its messages may be taken next.
 */
import { checkShape } from './check-skeleton-shape.ts';
import { SkeletonError } from './errors.ts';
import { describeLocal, listNeeds, plus, waiterOf } from './locals.ts';
import type { Local } from './locals.ts';
import type { Arc, Net, Transition } from './net.ts';
import { FAULTS, PlaceTable } from './place-table.ts';
import { needsOf } from './skeleton.ts';
import type { ProcessClass, Skeleton, SkeletonMove } from './skeleton.ts';

/** What a transition is made of beside who makes it. */
interface Rest {
  readonly takes?: readonly Arc[];
  readonly gives?: readonly Arc[];
  readonly reads?: readonly Arc[];
  readonly unless?: readonly Arc[];
  readonly class?: Transition['class'];
  readonly says: string;
}

/**
 * Compiles a skeleton.
 *
 * @throws SkeletonError with the path to what is wrong.
 */
export function compile(skeleton: Skeleton): Net {
  checkShape(skeleton);
  return new Compiler(skeleton).net();
}

class Compiler {
  readonly #skeleton: Skeleton;
  readonly #places: PlaceTable;
  #transitions: Transition[] = [];

  constructor(skeleton: Skeleton) {
    this.#skeleton = skeleton;
    this.#places = new PlaceTable(skeleton);
  }

  net(): Net {
    const { name, processes } = this.#skeleton;
    for (const process of processes) {
      const { count = 1, start: state } = process;
      const local = { process, state, held: {}, customer: undefined, parent: undefined, open: 0, waitsFor: undefined };
      if (count > 0) this.#places.ofLocal(local, count);
    }
    for (let known = -1; known < this.#places.all.length;) {
      known = this.#places.all.length;
      this.#transitions = [];
      for (const [place, local] of this.#places.locals) this.#movesOf(place, local);
    }
    const home = this.#places.all.flatMap(({ about }, place) =>
      about.at === 'messages' || (about.at === 'process' && !about.rests) ? [{ place, count: 0 }] : [],
    );
    return { name, places: this.#places.all, transitions: this.#transitions.filter((transition) => !this.#isSpent(transition)), home };
  }

  /** Draws on a budget that is empty from the start: left out, so that it stands in the way of no reduction. */
  #isSpent({ takes }: Transition): boolean {
    return takes.some(({ place, count }) => this.#places.all[place]!.about.at === 'budget' && this.#places.all[place]!.initial < count);
  }

  #movesOf(place: number, local: Local): void {
    const { process, state, open, waitsFor } = local;
    if (waitsFor === undefined) {
      for (const [index, move] of process.states[state]!.entries()) {
        const { children, spends } = move.options;
        if ((children === 'none' && open > 0) || (children === 'some' && open === 0)) continue;
        this.#move(place, local, move, spends === undefined ? [] : [one(this.#places.budget(spends))], [state, String(index)]);
      }
    }
    if (process.crash !== undefined && !this.#places.rests(process, state, waitsFor)) {
      this.#crash(place, local, process.crash.to, process.crash.keeps ?? false, []);
    }
  }

  #move(place: number, local: Local, move: SkeletonMove, spent: readonly Arc[], path: readonly string[]): void {
    const { held } = local;
    const make = (rest: Rest): void => this.#make(place, local, move, { ...rest, takes: [...spent, ...(rest.takes ?? [])] });
    switch (move.does) {
      case 'go':
        return make({ says: `goes on to ${move.to}`, gives: [this.#become(local, { state: move.to })] });
      case 'acquire': {
        const needs = needsOf(move.needs);
        return make({
          says: `takes ${listNeeds(needs)}`,
          takes: this.#places.free(needs),
          gives: [this.#taken(place, local, needs, move.to)],
        });
      }
      case 'attempt': {
        const needs = needsOf(move.needs);
        make({ says: `takes ${listNeeds(needs)}`, takes: this.#places.free(needs), gives: [this.#taken(place, local, needs, move.to)] });
        return this.#otherwise(place, local, move, needs, spent);
      }
      case 'look': {
        const needs = needsOf(move.needs);
        make({ says: `sees ${listNeeds(needs)} free`, reads: this.#places.free(needs), gives: [this.#become(local, { state: move.to })] });
        return this.#otherwise(place, local, move, needs, spent);
      }
      case 'release': {
        const needs = move.needs === 'all' ? held : needsOf(move.needs);
        for (const [name, count] of Object.entries(needs)) {
          if ((held[name] ?? 0) < count) this.#refuse(local, path, needs, `no more than it holds there (${listNeeds(held) || 'nothing'})`);
        }
        const gives = [...this.#places.free(needs), this.#become(local, { state: move.to, held: plus(held, needs, -1) })];
        return make({ says: `gives back ${listNeeds(needs) || 'nothing'}`, class: 'release', gives });
      }
      case 'send':
        return make({
          says: `sends to ${move.mailbox}`,
          takes: [one(this.#places.room(move.mailbox))],
          gives: [one(this.#places.message(move.mailbox, undefined)), this.#become(local, { state: move.to })],
        });
      case 'ask': {
        const waiter = { ...local, state: move.to, waitsFor: move.mailbox };
        const gives = [one(this.#places.message(move.mailbox, waiterOf(waiter))), this.#become(waiter, {})];
        return make({ says: `asks ${move.mailbox}`, takes: [one(this.#places.room(move.mailbox))], gives });
      }
      case 'receive':
        return this.#receive(place, local, move, spent, path);
      case 'reply':
        if (local.customer === undefined) this.#refuse(local, path, 'reply', 'a request that was received, to reply to');
        for (const way of this.#answer(local.customer)) {
          make({
            says: `replies${way.heard}`,
            ...way,
            gives: [...way.gives, this.#become(local, { state: move.to, customer: undefined })],
          });
        }
        return;
      case 'spawn': {
        if (local.open >= move.most) return;
        const child = this.#skeleton.processes.find(({ name }) => name === move.process)!;
        const begun = { process: child, state: child.start, held: {}, customer: undefined, open: 0, waitsFor: undefined };
        const gives = [
          { place: this.#places.ofLocal({ ...begun, parent: local.process.name }), count: 1 },
          this.#become(local, { state: move.to, open: local.open + 1 }),
        ];
        return make({ says: `starts ${aOne(child)}`, gives });
      }
      case 'join':
        // With open children it is their end that moves it.
        if (local.open === 0) make({ says: 'has no child to wait for', gives: [this.#become(local, { state: move.to })] });
        return;
      case 'end':
        return this.#end(place, local, move, spent);
      case 'crash':
        return this.#crash(place, local, move.to, move.keeps, spent);
    }
  }

  #otherwise(
    place: number,
    local: Local,
    move: SkeletonMove & { readonly to: string; readonly otherwise: string },
    needs: Readonly<Record<string, number>>,
    spent: readonly Arc[],
  ): void {
    for (const arc of this.#places.free(needs)) {
      const { name } = this.#places.all[arc.place]!;
      const gives = [this.#become(local, { state: move.otherwise })];
      // Not getting something is no progress, whatever getting it is.
      this.#make(place, local, { ...move, options: {} }, { says: `finds ${name} taken`, takes: spent, unless: [arc], gives });
    }
  }

  #receive(
    place: number,
    local: Local,
    move: SkeletonMove & { mailbox: string; to: string },
    spent: readonly Arc[],
    path: readonly string[],
  ): void {
    const kinds = this.#places.messages(move.mailbox);
    if (kinds.size === 0) {
      // Nobody puts anything there, as far as is known: the move is never possible, and only has to be there to be waited for.
      const takes = [one(this.#places.noMessage(move.mailbox))];
      this.#make(place, local, move, { says: `takes a message from ${move.mailbox}`, takes, gives: [one(place)] });
    }
    for (const [customer, message] of kinds) {
      if (customer !== undefined && local.customer !== undefined) {
        this.#refuse(local, path, move.mailbox, 'a reply to the request before the next one is received');
      }
      this.#make(place, local, move, {
        says: customer === undefined ? `takes a message from ${move.mailbox}` : `takes a request from ${move.mailbox}`,
        takes: [...spent, one(message)],
        gives: [one(this.#places.room(move.mailbox)), this.#become(local, { state: move.to, customer: customer ?? local.customer })],
      });
    }
  }

  #end(place: number, local: Local, move: SkeletonMove, spent: readonly Arc[]): void {
    if (local.open > 0) return;
    const make = (rest: Rest) =>
      this.#make(place, local, move, {
        ...rest,
        class: 'progress',
        takes: [...spent, ...(rest.takes ?? [])],
        gives: [...this.#places.free(local.held), ...(rest.gives ?? [])],
      });
    if (local.parent === undefined) return make({ says: 'ends' });
    for (const [at, parent] of this.#places.locals) {
      if (parent.process.name !== local.parent || parent.open === 0) continue;
      const joins = (parent.waitsFor === undefined ? parent.process.states[parent.state]! : []).filter(
        (candidate): candidate is Extract<SkeletonMove, { readonly does: 'reply' | 'join' | 'go' }> => candidate.does === 'join',
      );
      const ways = joins.length === 0 ? [parent.state] : joins.map(({ to }) => to);
      for (const state of ways) {
        const gives = [this.#become(parent, { state, open: parent.open - 1 })];
        const heard = joins.length === 0 ? '' : `, and ${aOne(parent.process)} that waited goes on`;
        make({ says: `ends${heard}`, takes: [one(at)], gives });
      }
    }
  }

  #crash(place: number, local: Local, to: string, keeps: boolean, spent: readonly Arc[]): void {
    const { held, customer } = local;
    const after = this.#become(local, { state: to, held: {}, customer: undefined, waitsFor: undefined });
    // A runtime tells whoever waits for a reply that it is lost; a crash that keeps things tells nobody.
    const ways = customer === undefined || keeps ? [{ takes: [], gives: [], unless: [], heard: '' }] : this.#answer(customer);
    for (const way of ways) {
      this.#transitions.push({
        says: `${theOne(local.process)} crashes (${describeLocal(local)})`,
        actor: local.process.name,
        class: 'fault',
        takes: [one(place), one(this.#places.budget(FAULTS)), ...spent, ...way.takes],
        gives: [after, ...(keeps ? [] : this.#places.free(held)), ...way.gives],
        unless: way.unless,
        mover: place,
      });
    }
  }

  /** The ways an answer can go: to one who waits, or to nobody when all who waited have crashed. */
  #answer(customer: string) {
    const waiters = [...this.#places.locals].filter(([, local]) => local.waitsFor !== undefined && waiterOf(local) === customer);
    const told = waiters.map(([at, waiter]) => ({
      takes: [one(at)],
      gives: [this.#become(waiter, { waitsFor: undefined })],
      unless: [],
      heard: ` to ${theOne(waiter.process)}`,
    }));
    const canCrash = waiters.some(([, { process }]) => process.crash !== undefined);
    return canCrash ? [...told, { takes: [], gives: [], unless: waiters.map(([at]) => one(at)), heard: ' to nobody' }] : told;
  }

  #make(place: number, local: Local, move: SkeletonMove, rest: Rest): void {
    const { progress = false, says, whileEmpty } = move.options;
    const kept = whileEmpty === undefined ? [] : [...this.#places.messages(whileEmpty).values()];
    const unless = [...(rest.unless ?? []), ...kept.map(one)];
    this.#transitions.push({
      says: `${theOne(local.process)} ${says ?? rest.says}`,
      actor: local.process.name,
      class: progress ? 'progress' : (rest.class ?? 'step'),
      takes: [one(place), ...(rest.takes ?? [])],
      gives: rest.gives ?? [],
      ...(rest.reads === undefined ? {} : { reads: rest.reads }),
      ...(unless.length === 0 ? {} : { unless }),
      mover: place,
    });
  }

  #taken(place: number, local: Local, needs: Readonly<Record<string, number>>, to: string): Arc {
    const held = plus(local.held, needs, 1);
    const { resources = {} } = this.#skeleton;
    // More than there is: the move is never possible, and only has to be there to be waited for.
    if (Object.entries(held).some(([name, count]) => count > resources[name]!)) return one(place);
    return this.#become(local, { state: to, held });
  }

  #become(local: Local, change: Partial<Local>): Arc {
    return one(this.#places.ofLocal({ ...local, ...change }));
  }

  #refuse({ process }: Local, path: readonly string[], value: unknown, expected: string): never {
    throw new SkeletonError({ path: ['skeleton', 'processes', process.name, 'states', ...path], value, expected });
  }
}

/** One token of a place. */
function one(place: number): Arc {
  return { place, count: 1 };
}

function theOne(process: ProcessClass): string {
  return (process.count ?? 1) === 1 ? process.name : aOne(process);
}

function aOne({ name }: ProcessClass): string {
  return `${/^[aeiou]/i.test(name) ? 'an' : 'a'} ${name}`;
}
