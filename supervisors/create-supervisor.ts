/** Supervisors on their own, over any XState logic: no fleet, no store, no topology. */
import type { EventObject } from 'xstate';
import { Host } from '../actors/host/host.ts';
import { fifoTransport } from '../actors/host/transport.ts';
import type { Transport } from '../actors/host/transport.ts';
import { systemClock } from '../actors/kernel/clock.ts';
import type { Clock } from '../actors/kernel/clock.ts';
import type { ActorId, ExitReason, ReplyTo } from '../actors/kernel/effects.ts';
import { systemRandom } from '../actors/kernel/random.ts';
import type { Random } from '../actors/kernel/random.ts';
import { inspectTree, isInspect } from '../src/inspect/inspect.ts';
import type { Inspect } from '../src/inspect/inspect.ts';
import type {
  ChildCounts,
  ChildInfo,
  DeleteChildAnswer,
  RestartChildAnswer,
  StartChildAnswer,
  SuspendChildAnswer,
  TerminateChildAnswer,
} from './administration.ts';
import { spawnRoot, whenGone } from './guardian.ts';
import { planChild, planSupervisor, SupervisorSpecError } from './spec.ts';
import type { ChildSpec, SupervisorSpec } from './spec.ts';
import type { ChildRef, SupervisorCall, SupervisorFact, SupervisorState } from './state.ts';
import { StartFailedError } from './supervisor.ts';
import { Tree } from './tree.ts';

export interface SupervisorOptions {
  /** Address of the root; without `/`. Default `root`. */
  readonly name?: string;
  /** Told what happens anywhere in the tree. Nothing depends on it. */
  readonly onFact?: (supervisor: ActorId, fact: SupervisorFact) => void;
  /**
   * Shows the tree in the XState inspector: what XState's own `inspect` takes. It cannot hold up the
   * tree: one that is behind misses events, one that goes on throwing is detached. Default: none.
   */
  readonly inspect?: Inspect;
  /** Told when an actor throws. Default: nobody; its supervisor deals with it. */
  readonly onCrash?: (actor: ActorId, error: unknown) => void;
  /** For tests and simulation; defaults are those of production. */
  readonly clock?: Clock;
  readonly random?: Random;
  readonly transport?: Transport<never>;
  /** A host that is shared with others. Default: one of its own, closed when the supervisor has ended. */
  readonly host?: Host;
}

type CallBody = SupervisorCall extends infer C ? (C extends SupervisorCall ? Omit<C, 'replyTo'> : never) : never;

/**
 * A running supervisor. Calls have OTP's answers; one that the supervisor cannot answer any more,
 * because it has ended, rejects with `DROVER_ACTOR_GONE`.
 */
export class Supervisor {
  readonly id: ActorId;
  readonly #host: Host;
  #ended: Promise<ExitReason> | undefined;

  /** Use `createSupervisor`. */
  constructor(host: Host, id: ActorId, ended?: Promise<ExitReason>) {
    this.#host = host;
    this.id = id;
    this.#ended = ended;
  }

  /** Settles when the supervisor and all below it are gone. Of a nested one: the incarnation that lives when this is first read. Never rejects. */
  get ended(): Promise<ExitReason> {
    this.#ended ??= whenGone(this.#host, this.id);
    return this.#ended;
  }

  /**
   * Starts one more child, the last in order. Of a dynamic supervisor: an instance of its template,
   * started with `input`, whatever that is. A spec that is wrong is answered `invalid`, with what
   * is wrong as its cause.
   */
  async startChild(child: unknown): Promise<StartChildAnswer | { readonly error: 'invalid'; readonly cause: SupervisorSpecError }> {
    const state = stateOf(this.#host, this.id);
    if (state?.template !== undefined) return this.#call({ type: 'supervisor.start-instance', input: child });
    try {
      const planned = planChild(child as ChildSpec, state?.settings.autoShutdown ?? 'never');
      return await this.#call<StartChildAnswer>({ type: 'supervisor.start-child', child: planned });
    } catch (error) {
      if (error instanceof SupervisorSpecError) return { error: 'invalid', cause: error };
      throw error;
    }
  }

  /** Stops a child, and keeps its spec unless it is temporary. An instance of a dynamic supervisor is named by its reference. */
  terminateChild(child: string | ChildRef): Promise<TerminateChildAnswer> {
    return this.#call({ type: 'supervisor.terminate-child', child: isRef(child) ? child : nameIn(child) });
  }

  /** Starts a child that has no incarnation. No restart is counted. */
  restartChild(child: string): Promise<RestartChildAnswer> {
    return this.#call({ type: 'supervisor.restart-child', child: nameIn(child) });
  }

  /** Forgets the spec of a child that has no incarnation. */
  deleteChild(child: string): Promise<DeleteChildAnswer> {
    return this.#call({ type: 'supervisor.delete-child', child: nameIn(child) });
  }

  /** All children in order of starting. Answered at any time. */
  whichChildren(): Promise<readonly ChildInfo[]> {
    return this.#call({ type: 'supervisor.which-children' });
  }

  countChildren(): Promise<ChildCounts> {
    return this.#call({ type: 'supervisor.count-children' });
  }

  /** Adds a reason to suspend a child: it is stopped, and has no incarnation until no reason is left. Answers when it has stopped. */
  async suspendChild(child: string, reason: string): Promise<SuspendChildAnswer> {
    return this.#call({ type: 'supervisor.suspend-child', child: nameIn(child), reason: reasonIn(reason) });
  }

  /** Takes a reason away. Without reasons the child is started, with a clean slate; no restart is counted. */
  async resumeChild(child: string, reason: string): Promise<SuspendChildAnswer> {
    return this.#call({ type: 'supervisor.resume-child', child: nameIn(child), reason: reasonIn(reason) });
  }

  /** Sends an event to whoever is the child now. In silence if nobody is. */
  send(child: string, event: EventObject): void {
    if (typeof (event as { type?: unknown } | null | undefined)?.type !== 'string') {
      throw new SupervisorSpecError({ path: ['send', 'event'], value: event, expected: 'an event, such as { type }' });
    }
    this.#host.send(`${this.id}/${child}`, event);
  }

  /** The XState snapshot of a child, or undefined when it has no incarnation. */
  snapshotOf(child: string): unknown {
    return this.#host.snapshotOf(`${this.id}/${child}`);
  }

  /** A supervisor that is a child of this one. */
  nested(child: string): Supervisor {
    return new Supervisor(this.#host, `${this.id}/${child}`);
  }

  /** Stops the children in reverse order of starting, then the supervisor. Of a nested one its parent hears a `shutdown`. */
  stop(): Promise<ExitReason> {
    const { ended } = this;
    this.#host.stop(this.id, Infinity);
    return ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop().then(() => {});
  }

  #call<T>(call: CallBody): Promise<T> {
    // A child that is none would never answer.
    if (this.#host.isAlive(this.id) && stateOf(this.#host, this.id)?.phase === undefined) {
      const expected = 'a child that is a supervisor';
      return Promise.reject(new SupervisorSpecError({ path: ['nested'], value: this.id, expected }));
    }
    return this.#host.ask<T>(this.id, (replyTo: ReplyTo) => ({ ...call, replyTo }));
  }
}

/**
 * Starts a supervision tree of XState actors. Resolves when every child has started.
 *
 * `spec` as a function is OTP's `init`: it may say `ignore`, and then there is a supervisor that
 * has ended (`normal`) and supervises nothing.
 *
 * @throws SupervisorSpecError naming the field, its value, and what is allowed.
 * @throws StartFailedError when `init` throws or a child does not start: what had started has been stopped again.
 * @example
 * await using supervisor = await createSupervisor({
 *   strategy: 'rest_for_one',
 *   intensity: 3,
 *   children: [
 *     { id: 'connection', logic: connectionMachine },
 *     { id: 'session', logic: sessionMachine, restart: 'transient' },
 *   ],
 * });
 * supervisor.send('session', { type: 'begin' });
 */
export async function createSupervisor(
  spec: SupervisorSpec | (() => SupervisorSpec | 'ignore'),
  options: SupervisorOptions = {},
): Promise<Supervisor> {
  const { name = 'root' } = options;
  if (typeof name !== 'string' || !/^[^/]+$/.test(name)) {
    throw new SupervisorSpecError({ path: ['options', 'name'], value: name, expected: 'a text without /' });
  }
  if (options.inspect !== undefined && !isInspect(options.inspect)) {
    const expected = 'a function or an observer, as XState takes them';
    throw new SupervisorSpecError({ path: ['options', 'inspect'], value: options.inspect, expected });
  }
  const given = typeof spec === 'function' ? init(name, spec) : spec;
  const plan = given === 'ignore' ? undefined : planSupervisor(given);
  const host = options.host ?? ownHost(options);
  if (plan === undefined) return new Supervisor(host, name, Promise.resolve({ at: 'normal' }));
  const tree = new Tree({ host, ...(options.onFact === undefined ? {} : { onFact: options.onFact }) });
  const { inspect } = options;
  const inspection = inspect === undefined ? undefined : inspectTree(host, { root: name, inspect });
  const { started, ended } = spawnRoot(host, tree, name, plan);
  // Its last turn is over then.
  void ended.then(() => {
    inspection?.close();
    if (options.host === undefined) host.close();
  });
  await started;
  return new Supervisor(host, name, ended);
}

/** Whatever is no name is the name of nobody. */
function nameIn(child: unknown): string {
  return typeof child === 'string' ? child : '';
}

function isRef(child: unknown): child is ChildRef {
  return typeof (child as ChildRef | null | undefined)?.actor === 'string';
}

function reasonIn(reason: unknown): string {
  if (typeof reason === 'string' && reason !== '') return reason;
  throw new SupervisorSpecError({ path: ['reason'], value: reason, expected: 'a text of at least one character' });
}

function init(name: string, spec: () => SupervisorSpec | 'ignore'): SupervisorSpec | 'ignore' {
  try {
    return spec();
  } catch (error) {
    throw new StartFailedError({ supervisor: name, child: name }, { cause: error });
  }
}

function ownHost({ clock = systemClock(), random = systemRandom, transport = fifoTransport(), onCrash }: SupervisorOptions): Host {
  // An observer that throws is no reason for anybody else to end.
  const told = (actor: ActorId, error: unknown): void => {
    try {
      onCrash?.(actor, error);
    } catch {}
  };
  return new Host({ clock, random, transport, onCrash: told });
}

function stateOf(host: Host, id: ActorId): SupervisorState | undefined {
  return (host.snapshotOf(id) as { readonly state?: SupervisorState } | undefined)?.state;
}
