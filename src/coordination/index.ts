/**
 * `drover/coordination`: locks, leaders and gates over a store, with a fleet and without one. Public names, no logic.
 *
 * They hold among all who share one open store. A SQLite file has one owner: over it they work within that one process,
 * among its fleets, scripts and tasks. A second process that opens the file is refused (`DROVER_STORE_OWNED`); between
 * processes they need a store that processes share, and there is none yet.
 */
export { locks } from './locks.ts';
export type { LeaseStore, Lock, LockOptions, Locks } from './locks.ts';
export { leader } from './leader.ts';
export type { Candidate, LeaderOptions } from './leader.ts';
export { intents } from './intents.ts';
export type { EnterOptions, Intents, IntentStore, Place } from './intents.ts';
export { openStore } from './open-store.ts';
export type { CoordinationOptions, WaitOptions } from './tools.ts';
export * from './errors.ts';
export type { LeaseRecord } from '../../actors/ports/store.ts';
