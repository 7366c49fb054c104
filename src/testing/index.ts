/** drover/testing: the testing kit. Public names, no logic. */
export { simulate } from './simulate/simulate.ts';
export type { SimulateOptions, StandIn, StandInCall, WorkItem, Workload } from './simulate/options.ts';
export type { OutsideAct, Person } from './simulate/outside.ts';
export type { CallFaults, CommitPoint, FaultPlan, MessagePlan, StorePlan, Strike } from './simulate/fault-plan.ts';
export { assertClean } from './simulate/result.ts';
export type { Nondeterminism, SimulationResult, SimulationStatistics, Violation } from './simulate/result.ts';
export { INVARIANTS } from './invariants/index.ts';
export type { Break, Checker, Invariant } from './invariants/invariant.ts';
export type { Fact, Look } from './invariants/fact.ts';
export type { Sampler } from './transports.ts';
export { VirtualClock } from './virtual-clock.ts';
export * from './errors.ts';
export * from './explore/index.ts';
export { checkDeadlockFree } from './check-deadlock-free.ts';
export type { DeadlockOptions, DeadlockVerdict, SampledSummary } from './check-deadlock-free.ts';
export * from './machines/index.ts';
export { virtualFleet } from './arbitraries/virtual-fleet.ts';
export type { VirtualFleet } from './arbitraries/virtual-fleet.ts';
