/** Books: what a queue was told and what it answered, kept from outside, and what is wrong with it. */
import { expect } from 'vitest';
import type { ActorId } from '../../../actors/kernel/effects.ts';
import type { ClaimedTask } from '../../../actors/ports/store.ts';
import type { Mailboxes, QueueEffect, QueueMessage, QueueState } from '../../../actors/queue.ts';
import { lengthOf, waitingIn } from '../../../actors/queue/line.ts';
import { Bench, exited, of, task } from './bench.ts';
import { Boxes } from './boxes.ts';
import { check, checkBounds, checkStarts, same } from './rules.ts';

export type Step =
  | { readonly at: 'join'; readonly who: number }
  | { readonly at: 'join late'; readonly who: number }
  | { readonly at: 'leave'; readonly who: number }
  | { readonly at: 'exit'; readonly who: number }
  | { readonly at: 'stale exit'; readonly who: number }
  | { readonly at: 'ready' }
  /** `affinity`: which of the tasks want a worker, and which one. */
  | { readonly at: 'claimed'; readonly share: number; readonly affinity: number }
  | { readonly at: 'claimed unasked'; readonly count: number; readonly affinity: number }
  /** The store answers a claim of some box. */
  | { readonly at: 'fetched'; readonly who: number }
  /** It does, and its answer comes when the leases are over. */
  | { readonly at: 'fetched late'; readonly who: number }
  /** Tasks in boxes are cancelled. */
  | { readonly at: 'cancelled'; readonly which: readonly number[] }
  | { readonly at: 'configure'; readonly change: Partial<Mailboxes> }
  | { readonly at: 'ended'; readonly which: readonly number[] }
  | { readonly at: 'revoked'; readonly which: readonly number[] }
  /** Somebody waits for some of the tasks. */
  | { readonly at: 'raised'; readonly which: readonly number[] }
  | { readonly at: 'drain' }
  | { readonly at: 'reopen' };

/** Where a task is, by what the queue was told and what it answered. */
type Place = 'here' | 'released' | 'spilled' | 'orphaned' | 'ended' | 'revoked';

/** Keeps the books of a queue from outside, and says what is wrong. */
export class Books {
  readonly queue: Bench;
  readonly places = new Map<string, Place>();
  readonly reached: Record<string, number> = {};
  /** How often each task has been claimed, and how often it was spilled. */
  readonly claims = new Map<string, number>();
  readonly spills = new Map<string, number>();
  readonly boxes = new Boxes();
  readonly #held = new Map<string, ClaimedTask>();
  /** By affinity, and by who takes tasks: who got them. */
  readonly #homes = new Map<string, ActorId>();
  #input: Mailboxes;
  readonly #incarnations = new Map<ActorId, number>();
  readonly #leftOnce = new Set<string>();
  readonly #drainedOnce = new Set<string>();
  readonly #died = new Set<string>();
  readonly #toldBusy = new Map<string, boolean>();
  #claim: number | undefined;
  #count = 0;

  readonly #hasTenants: boolean;

  constructor({ tenantWeights, ...input }: Mailboxes & { readonly tenantWeights?: Readonly<Record<string, number>> | undefined }) {
    this.#input = input;
    this.#hasTenants = tenantWeights !== undefined;
    this.queue = new Bench({ ...input, ...(tenantWeights === undefined ? {} : { tenantWeights }) });
  }

  take(step: Step): void {
    const worker = 'who' in step ? `w${step.who}` : '';
    const incarnation = this.#incarnations.get(worker) ?? 0;
    const alive = this.queue.state.slots.some((slot) => slot.worker === worker);
    switch (step.at) {
      case 'join':
      case 'join late':
        // Late: its former life is still here.
        if (alive === (step.at === 'join')) return;
        this.#died.add(`${worker}#${incarnation}`);
        this.#incarnations.set(worker, incarnation + 1);
        return this.#tell({ type: 'queue.joined', worker, incarnation: incarnation + 1 });
      case 'leave':
        if (this.#leftOnce.has(`${worker}#${incarnation}`)) return;
        this.#leftOnce.add(`${worker}#${incarnation}`);
        return this.#tell({ type: 'queue.leaving', worker });
      case 'exit':
        this.#died.add(`${worker}#${incarnation}`);
        return this.#tell(exited(worker, incarnation, { at: 'killed' }));
      case 'stale exit':
        return this.#tell(exited(worker, incarnation - 1, { at: 'killed' }));
      case 'ready':
        return this.#tell({ type: 'queue.ready' });
      case 'claimed': {
        if (this.#claim === undefined) return;
        const asked = this.#claim;
        this.#claim = undefined;
        return this.#tell({ type: 'queue.claimed', tasks: this.#fresh(Math.floor(step.share * (asked + 1)), step.affinity), asked });
      }
      case 'claimed unasked':
        // The answer to a claim of a former incarnation of the queue.
        this.#claim = undefined;
        return this.#tell({ type: 'queue.claimed', tasks: this.#fresh(step.count, step.affinity), asked: step.count });
      case 'fetched':
      case 'fetched late': {
        const asked = this.boxes.asked;
        if (asked.length > 0) this.answer(asked[step.who % asked.length]!, step.at === 'fetched late');
        return;
      }
      case 'cancelled': {
        const gone = new Set(step.which.map((at) => `t${1 + (at % (this.#count + 1))}`));
        for (const one of this.boxes.cancel(({ id }) => gone.has(id))) this.places.set(one.id, 'revoked');
        return;
      }
      case 'configure':
        this.#input = { ...this.#input, ...step.change };
        return this.#tell({ type: 'queue.configure', ...step.change });
      case 'ended':
        return this.#tell({ type: 'queue.ended', runs: this.#some(step.which) });
      case 'revoked':
        return this.#tell({ type: 'queue.revoked', tasks: this.#some(step.which) });
      case 'raised':
        return this.#tell({ type: 'queue.raised', tasks: this.#some(step.which).map(({ id, fence }) => ({ id, fence, priority: 3 })) });
      case 'drain':
        return this.#tell({ type: 'queue.drain' });
      case 'reopen':
        return this.#tell({ type: 'queue.reopen' });
    }
  }

  /** Lets the store answer the next claim of a box. */
  answer(box: ActorId, late = false): void {
    const fetched = this.boxes.answer(box, ({ id }) => this.places.set(id, 'released'));
    if (fetched === undefined) return;
    if (late && fetched.tasks.length > 0) {
      for (const { id } of fetched.tasks) this.places.set(id, 'released');
      return this.#tell({ type: 'queue.claimed', tasks: [], asked: fetched.asked, box, late });
    }
    const tasks = fetched.tasks.map((one) => ({ ...one, fence: one.fence + 1 }));
    this.#tell({ type: 'queue.claimed', tasks, asked: fetched.asked, box });
  }

  #fresh(count: number, affinity: number): ClaimedTask[] {
    return Array.from({ length: count }, (_, at) => {
      this.#count += 1;
      const key = (at * affinity + affinity) % 7;
      const one = task(this.#count, 1 + (this.#count % 3), affinity === 0 || key > 5 ? null : `a${key}`);
      // Some are urgent, and some of those that have waited for long are older than that.
      return {
        ...one,
        priority: this.#count % 5 === 0 ? 1 : 0,
        rank: this.#count * 10_000 - (this.#count % 5 === 0 ? 60_000 : 0),
        leaseUntilMs: this.#count * 10_000,
        tenant: this.#hasTenants ? ['x', 'y', null][this.#count % 3]! : null,
      };
    });
  }

  /** Tasks from anywhere, also such as have gone. */
  #some(which: readonly number[]): ClaimedTask[] {
    const here = this.#here();
    if (here.length === 0) return [];
    const names = which.map((at) => (at % 3 === 0 ? `t${1 + (at % this.#count)}` : here[at % here.length]!));
    return [...new Set(names)].map((name) => this.#held.get(name)!);
  }

  #here(): string[] {
    return [...this.places].flatMap(([id, place]) => (place === 'here' ? [id] : []));
  }

  #tell(message: QueueMessage): void {
    const before = this.queue.state;
    const effects = this.queue.tell(message);
    const after = this.queue.state;
    this.#place(before, message, effects);
    this.#boxed(after, effects);
    this.#homed(message, after, effects);
    this.#account(after);
    checkBounds(after, this.#input);
    checkStarts(before, after, effects);
    if (message.type !== 'queue.configure' && message.type !== 'queue.raised') this.#steals(before, message, after, effects);
    this.#claims(after, effects);
    this.#told(after, effects);
    this.reached[message.type] = (this.reached[message.type] ?? 0) + 1;
    for (const effect of effects) {
      const box = effect.type === 'queue.claim' && effect.box !== undefined ? ['of a box'] : [];
      const out =
        effect.type === 'queue.stole' && message.type === 'queue.claimed' && message.box === effect.victim ? ['out of a box'] : [];
      for (const what of [effect.type, ...box, ...out]) this.reached[what] = (this.reached[what] ?? 0) + 1;
    }
  }

  #place(before: QueueState, message: QueueMessage, effects: readonly QueueEffect[]): void {
    const move = ({ id }: { readonly id: string }, to: Place): void => {
      check(this.places.get(id) === 'here', `${id} is ${to} and was ${this.places.get(id)}`);
      this.places.set(id, to);
    };
    if (message.type === 'queue.claimed') {
      for (const one of message.tasks) {
        this.places.set(one.id, 'here');
        this.#held.set(one.id, one);
        this.claims.set(one.id, (this.claims.get(one.id) ?? 0) + 1);
      }
    }
    const over = new Set((message.type === 'queue.ended' ? message.runs : []).map(({ id }) => id));
    for (const { run } of before.slots) if (run !== null && over.has(run.id)) move(run, 'ended');
    const gone = new Set((message.type === 'queue.revoked' ? message.tasks : []).map(({ id }) => id));
    for (const { mailbox } of before.slots) for (const one of mailbox) if (gone.has(one.id)) move(one, 'revoked');
    for (const one of waitingIn(before.line)) if (gone.has(one.id)) move(one, 'revoked');
    for (const effect of of(effects, 'queue.release')) for (const one of effect.tasks) move(one, 'released');
    for (const effect of of(effects, 'queue.orphan')) for (const one of effect.tasks) move(one, 'orphaned');
  }

  /** Boxes hold what was spilled into them, and none is forgotten. */
  #boxed({ slots, fetches }: QueueState, effects: readonly QueueEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'queue.spill') {
        check(effect.tasks.length > 0 && this.#input.mode !== 'shared', 'nothing is spilled');
        for (const { id } of effect.tasks) {
          check(this.places.get(id) === 'here', `${id} is spilled and was ${this.places.get(id)}`);
          this.places.set(id, 'spilled');
          this.spills.set(id, (this.spills.get(id) ?? 0) + 1);
        }
        this.boxes.give(effect.worker, { at: 'spill', tasks: effect.tasks });
      } else if (effect.type === 'queue.unbox') this.boxes.give(effect.worker, { at: 'unbox' });
      else if (effect.type === 'queue.claim' && effect.box !== undefined) {
        check(this.boxes.claimsOf(effect.box) === 0, `two claims of the box of ${effect.box} at a time`);
        check(effect.limit > 0 && effect.limit <= this.#input.capacity + 1, `${effect.limit} are claimed of a box`);
        this.boxes.give(effect.box, { at: 'claim', limit: effect.limit });
      }
    }
    for (const box of this.boxes.lasting) {
      const slot = slots.find(({ worker }) => worker === box);
      check(slot !== undefined && !slot.leaving, `${box} takes nothing more, and its box holds something`);
      check(slot!.spilled > 0 || fetches.some((fetch) => fetch.box === box), `the box of ${box} is forgotten`);
    }
  }

  /** While the same workers take tasks, those with one affinity go to one of them. */
  #homed(message: QueueMessage, { slots, draining }: QueueState, effects: readonly QueueEffect[]): void {
    if (message.type !== 'queue.claimed' || message.box !== undefined || draining || this.#input.mode === 'shared') return;
    if (of(effects, 'queue.stole').length > 0) return;
    const open = slots.filter(({ leaving }) => !leaving).map(({ worker }) => worker);
    if (open.length === 0) return;
    const spilled = of(effects, 'queue.spill');
    for (const { id, affinity } of message.tasks) {
      if (affinity === null) continue;
      const home =
        slots.find(({ run, mailbox }) => [run, ...mailbox].some((one) => one?.id === id))?.worker ??
        spilled.find((effect) => effect.tasks.some((one) => one.id === id))?.worker;
      check(home !== undefined, `${id} has found no worker`);
      const key = `${affinity} ${open.toSorted().join()}`;
      check((this.#homes.get(key) ?? home) === home, `${id} went to ${home} instead of ${this.#homes.get(key)}`);
      this.#homes.set(key, home!);
    }
  }

  /** Every task is in one place only, and none has disappeared. */
  #account({ slots, line }: QueueState): void {
    const held = [...slots.flatMap(({ mailbox, run }) => (run === null ? mailbox : [run, ...mailbox])), ...waitingIn(line)].map(
      ({ id }) => id,
    );
    check(new Set(held).size === held.length, 'a task is in two places');
    same(held.toSorted(), this.#here().toSorted(), 'tasks that are here');
  }

  /** Whatever moved between two workers that both stay was stolen, by the rules. */
  #steals(before: QueueState, message: QueueMessage, after: QueueState, effects: readonly QueueEffect[]): void {
    const { stealAbove, mode } = this.#input;
    const staying = new Map(after.slots.filter(({ leaving }) => !leaving).map((slot) => [slot.worker, slot]));
    const steals = of(effects, 'queue.stole');
    let moved = 0;
    for (const { worker, incarnation, mailbox } of before.slots) {
      const still = staying.get(worker);
      if (still?.incarnation !== incarnation) continue;
      for (const [at, one] of mailbox.entries()) {
        const now = after.slots.find((slot) => slot.run?.id === one.id || slot.mailbox.some(({ id }) => id === one.id));
        if (now === undefined || now.worker === worker) continue;
        moved += 1;
        check(mode === 'steal', `${one.id} was taken from its worker`);
        const revokedAhead =
          message.type === 'queue.revoked' ? mailbox.slice(0, at).filter((ahead) => this.places.get(ahead.id) === 'revoked').length : 0;
        // More urgent ones that came by this very message stand before it.
        const cameAhead = still.mailbox.slice(0, stealAbove).filter(({ id }) => !mailbox.some((other) => other.id === id)).length;
        check(at - revokedAhead + cameAhead >= stealAbove, `${one.id} was stolen from before the threshold`);
        const thief = before.slots.find((slot) => slot.worker === now.worker && slot.incarnation === now.incarnation);
        const emptied = thief?.mailbox.every(({ id }) => this.places.get(id) === 'revoked') ?? true;
        check(emptied, 'the thief had something');
        check(thief === undefined || thief.run === null || this.places.get(thief.run.id) === 'ended', 'the thief was at work');
      }
      // What stays keeps its order; of several tenants what starts need not be the first.
      const kept = [...(still.run === null || this.#hasTenants ? [] : [still.run]), ...still.mailbox]
        .map(({ id }) => id)
        .filter((id) => mailbox.some((one) => one.id === id));
      const mine = new Set(kept);
      same(
        kept,
        mailbox.map(({ id }) => id).filter((id) => mine.has(id)),
        'what stays',
      );
    }
    // Another message may first place tasks, or empty a mailbox, and then steal from the outcome.
    if (message.type === 'queue.ended') {
      const counted = steals.reduce((sum, { count }) => sum + count, 0);
      check(moved <= counted, 'more was stolen than was said');
      if (steals.length === 1) {
        const [{ victim, count }] = steals as [(typeof steals)[0]];
        const { mailbox, run } = before.slots.find(({ worker }) => worker === victim)!;
        // A victim that is free as well has started its next before the thief comes.
        const depth = mailbox.length - (run === null || this.places.get(run.id) === 'ended' ? 1 : 0);
        check(count === Math.ceil((depth - stealAbove) / 2), `${count} of ${depth} were stolen`);
        check(moved === count, 'something else was stolen than was said');
      }
    }
  }

  #claims({ slots, line, draining }: QueueState, effects: readonly QueueEffect[]): void {
    const asked = of(effects, 'queue.claim').filter(({ box }) => box === undefined);
    if (asked.length === 0) return;
    check(asked.length === 1 && this.#claim === undefined, 'two claims at a time');
    check(!draining, 'a claim while draining');
    const open = slots.filter(({ leaving }) => !leaving);
    const most = open.length * this.#input.capacity + open.filter(({ run }) => run === null).length;
    // What comes goes into mailboxes, or into the line.
    const room =
      most -
      Math.min(
        lengthOf(line),
        open.reduce((sum, { mailbox }) => sum + mailbox.length, 0),
      );
    check(asked[0]!.limit > 0 && asked[0]!.limit <= room, `${asked[0]!.limit} are claimed for ${room} places`);
    this.#claim = asked[0]!.limit;
  }

  #told({ slots, claiming, fetches }: QueueState, effects: readonly QueueEffect[]): void {
    for (const effect of of(effects, 'send')) {
      const life = `${effect.to}#${this.#incarnations.get(effect.to) ?? 0}`;
      if (effect.message.type === 'worker.drained') {
        check(this.#leftOnce.has(life), `${life} is let go unasked`);
        check(!this.#drainedOnce.has(life), `${life} is let go twice`);
        this.#drainedOnce.add(life);
        continue;
      }
      const busy = effect.message.type === 'worker.busy';
      check(busy || effect.message.type === 'worker.idle', `${life} is told ${effect.message.type}`);
      check((this.#toldBusy.get(life) ?? false) !== busy, `${life} is told ${effect.message.type} twice`);
      this.#toldBusy.set(life, busy);
    }
    for (const { worker, incarnation, run } of slots) {
      const told = this.#toldBusy.get(`${worker}#${incarnation}`) ?? false;
      if (run !== null) check(told, `${worker} works and has not been told`);
      else check(claiming || fetches.some(({ taker }) => taker === worker) || !told, `${worker} has nothing and has not been told`);
    }
    // Whoever asked to leave and still has a run waits; all others have been told.
    for (const life of this.#leftOnce) {
      const slot = slots.find(({ worker, incarnation }) => `${worker}#${incarnation}` === life);
      check(
        slot === undefined ? this.#drainedOnce.has(life) || this.#died.has(life) : slot.leaving && !this.#drainedOnce.has(life),
        `${life} waits to be let go`,
      );
    }
  }

  /** Ends all that runs until nobody works, and then lets everybody leave. */
  finish(): void {
    this.take({ at: 'drain' });
    this.take({ at: 'claimed', share: 0.99, affinity: 1 });
    for (const box of this.boxes.asked) this.answer(box);
    for (const { mailbox } of this.queue.state.slots) expect(mailbox).toEqual([]);
    this.#tell({ type: 'queue.ended', runs: this.queue.state.slots.flatMap(({ run }) => (run === null ? [] : [run])) });
    for (const { worker, run } of this.queue.state.slots) {
      expect(run).toBeNull();
      this.take({ at: 'leave', who: Number(worker.slice(1)) });
    }
    expect(this.queue.state.slots).toEqual([]);
    expect(this.boxes.lasting).toEqual([]);
    expect([...this.places.values()]).not.toContain('here');
  }
}
