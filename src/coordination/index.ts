/** `drover/coordination`: locks, leaders and gates over a store, with a fleet and without one. Public names, no logic. */
export { locks } from './locks.ts';
export type { LeaseStore, Lock, LockOptions, Locks } from './locks.ts';
export { leader } from './leader.ts';
export type { Candidate, LeaderOptions } from './leader.ts';
export { intents } from './intents.ts';
export type { EnterOptions, Intents, IntentStore, Place } from './intents.ts';
export { openStore } from './open-store.ts';
export type { CoordinationOptions, WaitOptions } from './tools.ts';
export * from './errors.ts';
