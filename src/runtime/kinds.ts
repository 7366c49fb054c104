/**
 * Kinds: what an operator does to all tasks of a kind at once. A paused kind is not claimed, over restarts too, and what
 * waits in its mailboxes goes back; what runs already goes on.
 */
import type { EventEmitter } from 'eventemitter3';
import type { Logger } from 'pino';
import type { Host } from '../../actors/host/host.ts';
import { checkShape } from '../../actors/kernel/shape.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import type { Store, TaskStatus } from '../../actors/ports/store.ts';
import type { AnyAgent } from '../topology/agent.ts';
import type { Topology } from '../topology/fleet.ts';
import { mailboxShape } from '../topology/shapes.ts';
import type { RunEngine } from './engine.ts';
import { UnknownKindError } from './errors.ts';
import { announce } from './events.ts';
import type { FleetEvents } from './events.ts';
import type { FleetTree } from './tree.ts';
import { checkDeadlineMs, checkFields } from './task-query.ts';
import { DrainEndedError, DrainLateError, OperatorInputError } from './work-errors.ts';

export interface KindsOptions {
  readonly topology: Topology;
  readonly store: Store;
  readonly host: Host;
  readonly engine: RunEngine;
  readonly tree: FleetTree;
  readonly events: EventEmitter<FleetEvents>;
  readonly log: Logger;
}

export interface DrainOptions {
  /** How long to wait. Default: as long as it takes. */
  readonly deadlineMs?: number;
}

/** What is left out stays as it is. */
export type MailboxOptions = NonNullable<AnyAgent['spec']['mailbox']>;

/** Tasks that no agent of the topology runs. */
export interface UnknownKind {
  readonly kind: string;
  /** Tasks of it that have not ended. */
  readonly unfinished: number;
}

const LOOK_MS = 100;

export class Kinds {
  readonly #options: KindsOptions;
  /** Who waits for a look, and how to tell them that nobody will look any more. */
  readonly #waiting = new Set<(error: unknown) => void>();

  constructor(options: KindsOptions) {
    this.#options = options;
  }

  async pause(kind: string): Promise<void> {
    await this.#set(kind, true);
    this.#options.engine.shutKind(kind);
    this.#emit('kind.paused', kind);
  }

  async unpause(kind: string): Promise<void> {
    await this.#set(kind, false);
    this.#options.engine.openKind(kind);
    this.#emit('kind.unpaused', kind);
  }

  paused(): Promise<readonly string[]> {
    return this.#options.store.pausedKinds();
  }

  async unknown(): Promise<readonly UnknownKind[]> {
    const { store, topology } = this.#options;
    return Object.entries(await store.counts()).flatMap(([kind, counts]) => {
      if (Object.hasOwn(topology.kinds, kind)) return [];
      const unfinished = Object.entries(counts).reduce((sum, [status, n]) => (isTerminal(status as TaskStatus) ? sum : sum + n), 0);
      return unfinished === 0 ? [] : [{ kind, unfinished }];
    });
  }

  configure(kind: string, mailboxes: MailboxOptions): void {
    const { topology, tree } = this.#options;
    if (!Object.hasOwn(topology.kinds, kind)) throw new UnknownKindError(kind, Object.keys(topology.kinds));
    const problem = checkShape(mailboxShape, mailboxes);
    if (problem !== undefined) throw new OperatorInputError(['mailboxes', ...problem.path].join('.'), problem.expected, problem.value);
    tree.configureMailboxes(kind, mailboxes);
  }

  async drain(kind: string, options: DrainOptions): Promise<void> {
    checkFields(options, 'options', ['deadlineMs']);
    const { deadlineMs = Infinity } = options;
    checkDeadlineMs(deadlineMs);
    const { store, engine } = this.#options;
    const untilMs = engine.nowMs() + deadlineMs;
    await this.pause(kind);
    for (;;) {
      const counts = (await store.counts())[kind];
      const held = counts === undefined ? 0 : counts.leased + counts.running;
      // Looked at afterwards: nothing of a kind that is paused still has been begun since.
      if (!(await store.pausedKinds()).includes(kind)) throw new DrainEndedError(kind);
      if (held === 0) return;
      const nowMs = engine.nowMs();
      if (nowMs >= untilMs) throw new DrainLateError({ kind, held, deadlineMs });
      await this.#rest(Math.min(nowMs + LOOK_MS, untilMs));
    }
  }

  /** Nobody looks any more. */
  close(error: unknown): void {
    for (const reject of [...this.#waiting]) reject(error);
  }

  #rest(untilMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const over = (): void => {
        this.#waiting.delete(fail);
        resolve();
      };
      const cancel = this.#options.host.alarm(untilMs, over);
      const fail = (error: unknown): void => {
        this.#waiting.delete(fail);
        cancel();
        reject(error);
      };
      this.#waiting.add(fail);
    });
  }

  async #set(kind: string, paused: boolean): Promise<void> {
    const { topology, store } = this.#options;
    if (!Object.hasOwn(topology.kinds, kind)) throw new UnknownKindError(kind, Object.keys(topology.kinds));
    await store.pauseKinds([{ kind, paused }]);
  }

  #emit(name: 'kind.paused' | 'kind.unpaused', kind: string): void {
    const { events, log, engine } = this.#options;
    announce(events, log, name, () => ({ atMs: engine.nowMs(), kind }));
  }
}
