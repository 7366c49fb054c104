/**
 * Stage: a real tree of supervisors on a host in virtual time, played by children that do as their
 * plan says. It sees every start and every end, in order, at the host itself, and speaks of lives
 * in the same words as the model.
 */
import type { ActorSpec } from '../../actors/host/host.ts';
import { fifoTransport } from '../../actors/host/transport.ts';
import type { Birth } from '../../actors/kernel/child-spec.ts';
import { fromDecider, NOTHING } from '../../actors/kernel/decider.ts';
import { exit } from '../../actors/kernel/effects.ts';
import type { ActorId, Exited, ExitReason, HostEffect, Message } from '../../actors/kernel/effects.ts';
import { createSupervisor } from '../../supervisors/create-supervisor.ts';
import type { RestartChildAnswer } from '../../supervisors/administration.ts';
import type { Supervisor } from '../../supervisors/create-supervisor.ts';
import type { ChildSpec, SupervisorSpec } from '../../supervisors/spec.ts';
import type { ChildRef, SupervisorFact } from '../../supervisors/state.ts';
import { SimulatedHost } from '../host/simulated-host.ts';
import type { Deed, Fate, LeafPlan, Life, Plan, TreePlan } from './plan.ts';

/** A call that is not answered after so many rounds of turns and promises is never answered. */
const MOST_ROUNDS = 200;

export class Stage extends SimulatedHost {
  /** What was seen, in the words of the model. */
  readonly seen: string[] = [];
  /** What supervisors said, when, and in which life. */
  readonly facts: (SupervisorFact & { readonly supervisor: ActorId; readonly of: Life; readonly atMs: number })[] = [];
  /** Lives whose stop was not as it should be. */
  readonly reports: Life[] = [];
  /** Sentences about what must never be: two lives at one address, a child without its supervisor. */
  readonly faults: string[] = [];
  /** Who lives, by life. */
  readonly living = new Map<Life, ChildRef>();
  /** The plan of each life of a supervisor. */
  readonly settings = new Map<Life, TreePlan>();
  supervisor: Supervisor | undefined;
  /** Why the first start failed. */
  refusal: unknown;
  /** Why the root ended. */
  end: ExitReason | undefined;
  readonly #lives = new Map<string, Life>();
  readonly #attempts = new Map<string, number>();
  /** Lives that have been begun but are not at an address yet, by address; leaves do not know theirs before. */
  readonly #unborn = new Map<ActorId, Life>();
  #unbornLeaf: Life | undefined;

  /** Without a seed messages are delivered first in, first out. */
  constructor(seed?: number) {
    super(seed ?? 1, seed === undefined ? { transport: fifoTransport() } : {});
    this.#watchHost();
  }

  /** Starts the tree, as far as it gets within `ms`. */
  async open(plan: TreePlan, ms = 0): Promise<void> {
    const options = { name: plan.id, host: this.host, clock: this.clock, onFact: this.#onFact };
    const opening = createSupervisor(this.#init(plan, plan.id), options);
    await this.finish(
      opening.then(
        (supervisor) => {
          this.supervisor = supervisor;
          void supervisor.ended.then((reason) => (this.end = reason));
        },
        (error: unknown) => (this.refusal = error),
      ),
      ms,
    );
  }

  /** Does it, lets `ms` pass, and answers in the words of the model. */
  do(deed: Deed, ms = 0): Promise<string> {
    return this.finish(this.begin(deed), deed.at === 'pass' ? Math.max(ms, deed.ms) : ms);
  }

  /** Does it, and takes no turn: the answer comes when turns are taken. */
  async begin(deed: Deed): Promise<string> {
    switch (deed.at) {
      case 'ends':
        this.tell(deed.life, deed.how);
        return '';
      case 'startChild':
        return this.#call(deed.supervisor, async (handle) => {
          const isDynamic = deed.plan.id === '*';
          const spec = isDynamic ? undefined : this.child(deed.plan, `${deed.supervisor}/${deed.plan.id}`);
          return this.#inWords(await handle.startChild(spec));
        });
      case 'terminateChild':
        return this.#call(deed.supervisor, async (handle) => errorOf(await handle.terminateChild(this.#refOf(deed.child))));
      case 'restartChild':
        return this.#call(deed.supervisor, async (handle) => this.#inWords(await handle.restartChild(deed.child)));
      case 'deleteChild':
        return this.#call(deed.supervisor, async (handle) => errorOf(await handle.deleteChild(deed.child)));
      case 'suspendChild':
        return this.#call(deed.supervisor, async (handle) => errorOf(await handle.suspendChild(deed.child, deed.reason)));
      case 'resumeChild':
        return this.#call(deed.supervisor, async (handle) => errorOf(await handle.resumeChild(deed.child, deed.reason)));
      case 'look':
        return this.#call(deed.supervisor, (handle) => this.#look(handle));
      case 'pass':
        return '';
      case 'stop':
        await this.supervisor?.stop();
        return '';
    }
  }

  /** Makes a life end by itself, or kills it behind the back of its supervisor. */
  tell(life: Life, how: 'normal' | 'shutdown' | 'crash' | 'kill'): void {
    const { actor } = this.living.get(life)!;
    if (how === 'kill') this.host.stop(actor, 0);
    else if (this.isTree(life)) this.host.stop(actor, Infinity);
    else this.host.send(actor, { type: how });
  }

  isTree(life: Life): boolean {
    return !this.#isLeaf.has(life);
  }

  /** The handle on the supervisor at this address. */
  at(path: string): Supervisor {
    const [, ...ids] = path.split('/');
    return ids.reduce((handle, id) => handle.nested(id), this.supervisor!);
  }

  /** Lets `ms` pass, and promises settle. */
  async wait(ms: number): Promise<void> {
    this.run(ms);
    await this.finish(Promise.resolve(), 0);
  }

  /** Takes turns until a promise is settled, letting `ms` pass on the way. */
  async finish<T>(promise: Promise<T>, ms: number): Promise<T> {
    const waiting = { isOver: false };
    const settled = (): void => void (waiting.isOver = true);
    promise.then(settled, settled);
    this.settle();
    // What was called may need a promise of its own before the first message is on its way.
    await promises();
    this.run(ms);
    for (let round = 0; !waiting.isOver; round += 1) {
      if (round > MOST_ROUNDS) throw new Error('a call is never answered');
      this.settle();
      await Promise.resolve();
    }
    this.settle();
    return promise;
  }

  /** A spec that plays a plan. */
  child(plan: Plan, path: string): ChildSpec {
    const { id, restart, significant } = plan;
    if (plan.at === 'tree') return { id, restart, significant, supervisor: this.#init(plan, path) };
    return { id, restart, significant, shutdownMs: plan.shutdownMs, start: (birth) => this.#play(plan, birth) };
  }

  readonly #isLeaf = new Set<Life>();

  readonly #onFact = (supervisor: ActorId, fact: SupervisorFact): void => {
    this.facts.push({ ...fact, supervisor, of: `${supervisor}#${this.#attempts.get(supervisor)}`, atMs: this.clock.nowMs() });
    if (fact.at === 'stop-error') this.reports.push(this.lifeOf({ actor: `${supervisor}/${fact.child}`, incarnation: fact.life }));
  };

  /** The next life at this address, and how its start goes. */
  #begin(path: string, { starts }: Plan): { readonly life: Life; readonly fate: Fate } {
    const count = (this.#attempts.get(path) ?? 0) + 1;
    this.#attempts.set(path, count);
    const life = `${path}#${count}`;
    const fate = starts[count - 1] ?? 'well';
    this.seen.push(`${life} ${fate === 'well' ? 'starts' : fate === 'ignore' ? 'is ignored' : 'fails'}`);
    return { life, fate };
  }

  #init(plan: TreePlan, path: string): () => SupervisorSpec | 'ignore' {
    return () => {
      const { life, fate } = this.#begin(path, plan);
      if (fate === 'ignore') return 'ignore';
      if (fate !== 'well') throw new Error(`${life} cannot start`);
      this.#unborn.set(path, life);
      this.settings.set(life, plan);
      const { strategy, intensity, periodMs, autoShutdown, restMs, children } = plan;
      return {
        strategy,
        intensity,
        periodMs,
        autoShutdown,
        backoff: { baseMs: restMs, capMs: restMs },
        children: children.map((child) => this.child(child, `${path}/${strategy === 'dynamic' ? '*' : child.id}`)),
      };
    };
  }

  #play(plan: LeafPlan, birth: Birth): ReturnType<NonNullable<ChildSpec['start']>> {
    const isInstance = plan.id === '*';
    const path = `${birth.supervisor}/${isInstance ? '*' : plan.id}`;
    const { life, fate } = this.#begin(path, plan);
    if (fate === 'ignore') return 'ignore';
    if (fate === 'throws') throw new Error(`${life} cannot start`);
    if (fate === 'well') {
      this.#unbornLeaf = life;
      this.#isLeaf.add(life);
      if (!isInstance)
        for (const other of this.living.keys()) if (other.startsWith(`${path}#`)) this.faults.push(`${other} lives beside ${life}`);
    }
    return { graceful: true, monitors: ['observer'], logic: this.#logic(plan, life, fate) };
  }

  #logic({ manners }: LeafPlan, life: Life, fate: Fate) {
    const decide = (state: null, { type }: Message): readonly [null, readonly HostEffect[]] => {
      if (type === 'crash') throw new Error(`${life} crashed`);
      if (type === 'normal' || type === 'shutdown') return [state, [exit({ at: type })]];
      if (type !== 'stop.requested' || manners === 'deaf') return [state, NOTHING];
      if (manners === 'breaks') throw new Error(`${life} broke while stopping`);
      return [state, [exit({ at: manners === 'obeys' ? 'shutdown' : 'normal' })]];
    };
    const initial = (): readonly [null, readonly HostEffect[]] => {
      if (fate === 'breaks') throw new Error(`${life} broke in its first turn`);
      return [null, NOTHING];
    };
    return fromDecider<null, Message, undefined, HostEffect>({ initial, decide }, this.clock);
  }

  async #call(path: string, call: (handle: Supervisor) => Promise<string>): Promise<string> {
    try {
      return await call(this.at(path));
    } catch (error) {
      const { code } = error as { readonly code?: string };
      if (code === 'DROVER_ACTOR_GONE') return 'gone';
      throw error;
    }
  }

  async #look(handle: Supervisor): Promise<string> {
    const [children, { specs, active, supervisors, workers }] = await Promise.all([handle.whichChildren(), handle.countChildren()]);
    const lines = children.map(({ id, child, type, restart }) => {
      const who = typeof child === 'string' ? child : this.lifeOf(child);
      return `${id.startsWith('*') ? '*' : id}: ${who}, ${type}, ${restart}`;
    });
    return [...lines, [specs, active, supervisors, workers].join(',')].join('; ');
  }

  #inWords(answer: Awaited<ReturnType<Supervisor['startChild']>> | RestartChildAnswer): string {
    if ('ok' in answer) return answer.ok === 'ignored' ? 'ignored' : `started ${this.lifeOf(answer.ok)}`;
    if (answer.error === 'already_started') return `already started ${this.lifeOf(answer.child)}`;
    return answer.error === 'already_present' ? 'already present' : answer.error;
  }

  /** Which life a ref is of. */
  lifeOf({ actor, incarnation }: ChildRef): Life {
    return this.#lives.get(`${actor}@${incarnation}`) ?? `${actor}@${incarnation}, which nobody knows`;
  }

  /** A life is a ref to whoever asks for an instance; an id stays what it is. */
  #refOf(child: string): string | ChildRef {
    if (!child.includes('#')) return child;
    for (const [name, life] of this.#lives) {
      if (life !== child) continue;
      const [actor, incarnation] = name.split('@') as [string, string];
      return { actor, incarnation: Number(incarnation) };
    }
    return { actor: 'nobody', incarnation: 1 };
  }

  #born(life: Life, ref: ChildRef): void {
    this.#lives.set(`${ref.actor}@${ref.incarnation}`, life);
    this.living.set(life, ref);
  }

  #watchHost(): void {
    const { host } = this;
    const spawn = host.spawn.bind(host);
    host.spawn = (spec: ActorSpec) => {
      if (host.isAlive(spec.id)) this.faults.push(`${spec.id} is alive and started again`);
      const leaf = this.#unbornLeaf;
      const life = leaf ?? this.#unborn.get(spec.id);
      this.#unbornLeaf = undefined;
      this.#unborn.delete(spec.id);
      if (life !== undefined && spec.incarnation !== undefined) this.#born(life, { actor: spec.id, incarnation: spec.incarnation });
      const incarnation = spawn(spec);
      if (life !== undefined && spec.incarnation === undefined) this.#born(life, { actor: spec.id, incarnation });
      return incarnation;
    };
    const send = host.send.bind(host);
    host.send = (to, message, lane, from) => {
      if (message.type === 'exited') this.#ended(message as Exited);
      send(to, message, lane, from);
    };
  }

  /** Told once a monitor, so more often than once; and also of those who never lived. */
  #ended({ id, incarnation, reason }: Exited): void {
    const life = this.#lives.get(`${id}@${incarnation}`);
    if (life === undefined || !this.living.delete(life)) return;
    this.seen.push(`${life} ends: ${reason.at}`);
    if (this.#isLeaf.has(life)) return;
    for (const other of this.living.keys()) if (other.startsWith(`${id}/`)) this.faults.push(`${other} lives on without ${life}`);
  }
}

/** Lets promises call what waits for them: a call may need a few before its first message is on its way. */
export async function promises(): Promise<void> {
  for (let round = 0; round < 8; round += 1) await Promise.resolve();
}

/** Whether nothing is on its way or waits to be. */
export const isStill = ({ host }: Stage): boolean => host.pending.messages === 0 && host.pending.timers === 0 && host.pending.asks === 0;

const errorOf = (answer: 'ok' | { readonly error: string }): string => (answer === 'ok' ? 'ok' : answer.error);
