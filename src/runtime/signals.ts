/** Signals: what tasks are told from outside: events that their kind declares, and decisions of persons. */
import type { EventEmitter } from 'eventemitter3';
import type { Logger } from 'pino';
import { isTerminal } from '../../actors/ports/store.ts';
import type { SignalOutcome, Store, TaskRecord } from '../../actors/ports/store.ts';
import type { Schema } from '../topology/contract.ts';
import type { Topology } from '../topology/fleet.ts';
import type { RunEngine } from './engine.ts';
import { UndeclaredError, UnknownKindError } from './errors.ts';
import { announce } from './events.ts';
import type { FleetEvents } from './events.ts';
import type { SignalOptions } from './handle.ts';
import { decode, encode, parse, samePayload } from './payload.ts';
import { checkTaskId } from './task-id.ts';
import { checkFields } from './task-query.ts';
import { checkText } from './tasks.ts';
import {
  ApprovalExpiredError,
  ApprovalNotAskedError,
  EventsFullError,
  OperatorInputError,
  SignalConflictError,
  TaskEndedError,
  TaskUndoingError,
  UnknownTaskError,
} from './work-errors.ts';

export interface SignalsOptions {
  readonly topology: Topology;
  readonly store: Store;
  readonly engine: RunEngine;
  readonly events: EventEmitter<FleetEvents>;
  readonly log: Logger;
}

/** What a run asks a person, and nobody has decided yet. */
export interface ApprovalLook {
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  /** As the run gave it. */
  readonly request: unknown;
  readonly askedAtMs: number;
  /** Then it gives up waiting; null: it does not. */
  readonly expiresAtMs: number | null;
  /** That of the last one, as `after`, brings the next page. */
  readonly cursor: number;
}

export interface ApprovalsOptions {
  /** At most 1,000. Default 100. */
  readonly limit?: number;
  /** Only what was asked after the one with this `cursor`, which may be gone. Default: from the first. */
  readonly after?: number;
}

/** A person's word. */
export interface DecideOptions {
  /** At most 512 characters. Default `operator`. */
  readonly by?: string;
  /** At most 4,096 characters. Default: none. */
  readonly note?: string;
}

const LONGEST_KEY = 512;
/** A name and a key, and brackets. */
const LONGEST_APPROVAL = 2 * LONGEST_KEY + 2;
const LONGEST_BY = 512;
const LONGEST_NOTE = 4_096;
const MOST_APPROVALS = 1_000;
const USUAL_APPROVALS = 100;

export class Signals {
  readonly #options: SignalsOptions;

  constructor(options: SignalsOptions) {
    this.#options = options;
  }

  async signal(id: string, name: string, payload: unknown, options: SignalOptions = {}): Promise<void> {
    checkFields(options, 'options', ['key']);
    const { key } = options;
    const { topology, store, engine } = this.#options;
    if (key !== undefined && checkText(key, 'key', LONGEST_KEY) === '')
      throw new OperatorInputError('key', 'a text of at least 1 character', key);
    const { kind, status } = await this.#find(id);
    if (!Object.hasOwn(topology.kinds, kind)) throw new UnknownKindError(kind, Object.keys(topology.kinds));
    const plan = topology.kinds[kind]!;
    if (!plan.events.includes(name)) throw new UndeclaredError({ kind, field: 'events', name }, plan.events);
    const what = `event ${name} of ${kind}`;
    const schema = (plan.agent.spec.events as Readonly<Record<string, Schema>>)[name];
    parse(schema, payload, what);
    const value = encode(payload, what, topology.bounds.payloadBytes);
    // What it was told under a key before it ended it may be told once more.
    if (key === undefined && isTerminal(status)) throw new TaskEndedError(id, status);
    const nowMs = engine.nowMs();
    const { outcomes, ready } = await store.signal([{ id, name, value, ...(key === undefined ? {} : { key }) }], nowMs);
    const outcome = outcomes[0]!;
    if (outcome.at === 'known' && !samePayload(schema, outcome.value, value, what)) throw new SignalConflictError({ id, name, key: key! });
    const n = this.#toldAs(id, name, outcome);
    if (n === undefined) return;
    engine.told(id, { name, n, value });
    engine.ready(ready);
    this.#emit('task.signalled', () => ({ id, kind, atMs: nowMs, name }));
  }

  async approvals(options: ApprovalsOptions): Promise<readonly ApprovalLook[]> {
    checkFields(options, 'options', ['limit', 'after']);
    const { limit = USUAL_APPROVALS, after = 0 } = options;
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST_APPROVALS) {
      throw new OperatorInputError('limit', `a whole number from 1 to ${MOST_APPROVALS}`, limit);
    }
    if (!Number.isSafeInteger(after) || after < 0) throw new OperatorInputError('after', 'the cursor of an approval', after);
    const { store, engine } = this.#options;
    const asked = await store.approvals({ limit, nowMs: engine.nowMs(), after });
    return asked.map((approval) => ({ ...approval, request: decode(approval.request) }));
  }

  async decide(id: string, name: string, approved: boolean, options: DecideOptions = {}): Promise<void> {
    checkFields(options, 'options', ['by', 'note']);
    const { store, engine } = this.#options;
    const by = checkText(options.by ?? 'operator', 'by', LONGEST_BY);
    const note = options.note === undefined ? null : checkText(options.note, 'note', LONGEST_NOTE);
    const { kind } = await this.#find(id);
    const decision = JSON.stringify({ approved, by, note });
    const nowMs = engine.nowMs();
    const { outcomes, ready } = await store.decideApproval([{ id, name: checkText(name, 'name', LONGEST_APPROVAL), decision }], nowMs);
    const n = this.#toldAs(id, name, outcomes[0]!);
    if (n === undefined) return;
    engine.told(id, { name: `approval:${name}`, n, value: decision });
    engine.ready(ready);
    this.#emit('approval.decided', () => ({ id, kind, atMs: nowMs, name, approved, by }));
  }

  async #find(id: string): Promise<TaskRecord> {
    const [record] = await this.#options.store.get([checkTaskId(id)]);
    if (record === undefined) throw new UnknownTaskError(id);
    return record;
  }

  /** The how-manieth of its name it is; undefined: the task knew it before. */
  #toldAs(id: string, name: string, outcome: SignalOutcome): number | undefined {
    switch (outcome.at) {
      case 'told':
        return outcome.n;
      case 'known':
        return undefined;
      case 'unknown':
        throw new UnknownTaskError(id);
      case 'ended':
        throw new TaskEndedError(id, outcome.status);
      case 'undoing':
        throw new TaskUndoingError({ id, status: outcome.status, ends: outcome.ends });
      case 'full':
        throw new EventsFullError({ id, name, limit: outcome.limit });
      case 'not-asked':
        throw new ApprovalNotAskedError(id, name);
      case 'expired':
        throw new ApprovalExpiredError({ id, name, expiresAtMs: outcome.expiresAtMs });
    }
  }

  #emit<N extends keyof FleetEvents>(name: N, event: () => Parameters<FleetEvents[N]>[0]): void {
    announce(this.#options.events, this.#options.log, name, event);
  }
}
