/** Options of a fleet: where it lives, who hears of it, and what a test puts in place of the world. */
import { pino } from 'pino';
import type { Logger } from 'pino';
import type { Transport } from '../../actors/host/transport.ts';
import type { Clock } from '../../actors/kernel/clock.ts';
import type { Ids } from '../../actors/kernel/ids.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { Store } from '../../actors/ports/store.ts';
import { isInspect } from '../inspect/inspect.ts';
import type { Inspect } from '../inspect/inspect.ts';
import { IsolatedModuleError } from '../isolation/errors.ts';
import { isIsolated } from '../isolation/mark.ts';
import { checkWatchdog } from '../isolation/watchdog.ts';
import type { WatchdogSpec } from '../isolation/watchdog.ts';
import type { Topology } from '../topology/fleet.ts';
import { TopologyError } from '../topology/topology-error.ts';
import { NodeTooOldError } from './errors.ts';
import type { PersonCall } from './steering.ts';

export interface FleetOptions {
  /** Where tasks live. Default: memory, gone with the process. */
  readonly store?: Store;
  /** Default: warnings and errors to standard error, as JSON. */
  readonly logger?: Logger;
  /**
   * Shows every actor of the fleet as one tree in the XState inspector: what XState's own `inspect` takes,
   * such as `createWebSocketInspector({ url }).inspect` of `@statelyai/inspect`. It cannot hold up the
   * fleet: one that is behind misses events, one that goes on throwing is detached. Default: none.
   */
  readonly inspect?: Inspect;
  /**
   * A thread that names the run which blocks the event loop (`loop.blocked`), and can end the process.
   * Default: none. `drover run` has one.
   */
  readonly watchdog?: WatchdogSpec;
  /** Called when the meta-agent has nothing left that helps: page somebody. Default: it is logged, and told as `person.needed`. */
  readonly onPersonNeeded?: (call: PersonCall) => void;
  /** For tests and simulation; defaults are those of production. */
  readonly clock?: Clock;
  readonly random?: Random;
  readonly ids?: Ids;
  readonly transport?: Transport<never>;
}

const OPTIONS: Readonly<Record<keyof FleetOptions, true>> = {
  store: true,
  logger: true,
  inspect: true,
  watchdog: true,
  onPersonNeeded: true,
  clock: true,
  random: true,
  ids: true,
  transport: true,
};

const OLDEST_NODE = 24;

/** @throws NodeTooOldError */
export function checkNode(version: string): void {
  if (Number(version.split('.')[0]) < OLDEST_NODE) throw new NodeTooOldError({ oldest: OLDEST_NODE, found: version });
}

/** @throws TopologyError, IsolatedModuleError, NodeTooOldError */
export function checkStart(topology: Topology, options: FleetOptions): void {
  checkNode(process.versions.node);
  if ((topology as { is?: unknown } | null | undefined)?.is !== 'topology') {
    throw new TopologyError({ path: ['startFleet', 'topology'], value: topology, expected: 'a topology, made by defineFleet(...)' });
  }
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(OPTIONS, name));
  if (unknown !== undefined) {
    const expected = `one of the options ${Object.keys(OPTIONS).join(', ')}`;
    throw new TopologyError({ path: ['startFleet', unknown], value: (options as Readonly<Record<string, unknown>>)[unknown], expected });
  }
  if (options.logger !== undefined && typeof (options.logger as { child?: unknown } | null)?.child !== 'function') {
    const expected = "a logger of pino: pino({ level: 'silent' }) for none";
    throw new TopologyError({ path: ['startFleet', 'logger'], value: options.logger, expected });
  }
  if (options.inspect !== undefined && !isInspect(options.inspect)) {
    const expected = 'a function or an observer, as XState takes them, such as createWebSocketInspector({ url }).inspect';
    throw new TopologyError({ path: ['startFleet', 'inspect'], value: options.inspect, expected });
  }
  if (options.watchdog !== undefined) checkWatchdog(options.watchdog);
  if (isIsolated()) {
    const why = 'it starts a fleet while an isolated worker of one loads it; keep the topology in a module that only exports it';
    throw new IsolatedModuleError(topology.module ?? topology.name, why);
  }
  if (options.store !== undefined && typeof (options.store as { open?: unknown } | null)?.open !== 'function') {
    const expected = 'a store, such as sqlite(...) or memoryStore()';
    throw new TopologyError({ path: ['startFleet', 'store'], value: options.store, expected });
  }
}

export function defaultLogger(): Logger {
  const redact = { paths: ['*.apiKey', '*.authorization', '*.headers.authorization', '*.password', '*.token'], censor: '[redacted]' };
  return pino({ name: 'drover', level: process.env['DROVER_LOG'] ?? 'warn', redact }, pino.destination({ fd: 2, sync: true }));
}
