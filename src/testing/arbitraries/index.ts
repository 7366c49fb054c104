/** drover/testing/fast-check: arbitraries, and commands against a running fleet. Public names, no logic. */
export { topologies, workloadFor } from './topologies.ts';
export type { ProgramKinds, ProgramTopology, ProgramWorkloadOptions, TopologyOptions } from './topologies.ts';
export type { Operation, Program } from './programs.ts';
export { workloads } from './workloads.ts';
export type { Inputs, WorkloadOptions } from './workloads.ts';
export { schedules } from './schedules.ts';
export type { ScheduleOptions } from './schedules.ts';
export { faultPlans } from './fault-plans.ts';
export type { FaultPlanOptions } from './fault-plans.ts';
export { programSimulations, simulations } from './simulations.ts';
export type { DrawnSimulation, ProgramSimulation, ProgramSimulationsOptions, SimulationsOptions } from './simulations.ts';
export { fleetCommands, runFleetCommands } from './fleet-commands.ts';
export type { FleetCommand, FleetCommandsOptions } from './fleet-commands.ts';
export { FleetModel } from './fleet-model.ts';
export type { ModelTask } from './fleet-model.ts';
export { VirtualFleet, virtualFleet } from './virtual-fleet.ts';
export type { KillOptions, VirtualFleetOptions } from './virtual-fleet.ts';
export * from './errors.ts';
