/** Options of the engine, and who listens to it. */
import type { EventEmitter } from 'eventemitter3';
import type { Logger } from 'pino';
import type { Host } from '../../../actors/host/host.ts';
import type { ActorId } from '../../../actors/kernel/effects.ts';
import type { Random } from '../../../actors/kernel/random.ts';
import type { Schedule, Store } from '../../../actors/ports/store.ts';
import type { Observation } from '../../../supervisors/meta-agent/observation.ts';
import type { Calls } from '../../admission/calls.ts';
import type { Isolation } from '../../isolation/isolation.ts';
import type { Watchdog } from '../../isolation/watchdog.ts';
import type { KindPlan, Topology } from '../../topology/fleet.ts';
import type { FleetEvents } from '../events.ts';

export interface EngineOptions {
  readonly topology: Topology;
  /** Grows with each opening of the store: what tells a worker's lives in stories from those in other processes. */
  readonly epoch: number;
  readonly store: Store;
  readonly host: Host;
  readonly random: Random;
  readonly events: EventEmitter<FleetEvents>;
  readonly log: Logger;
  readonly queueOf: (kind: string) => ActorId;
  readonly callsOf: (dependency: string) => Calls;
  /** The budgets that pay for the calls of a run. */
  readonly scopesOf: (plan: KindPlan, worker: ActorId, task: string) => readonly string[];
  readonly parking: boolean;
  /** Where the runs of isolated kinds execute. Undefined: all run inline. */
  readonly isolation: Isolation | undefined;
  readonly watchdog: Watchdog | undefined;
  /** Who watches workers, if anybody does. */
  readonly observe: ((observation: Observation) => void) | undefined;
  /** Told of those that are due, after each sweep that finds any. Default: they stay due. */
  readonly onSchedules?: ((schedules: readonly Schedule[]) => void) | undefined;
  /** The store has failed for good. */
  readonly onFatal: (error: unknown) => void;
}
