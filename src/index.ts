/** Drover: a supervision runtime for fleets of LLM agents. Public names, no logic. */
export { agent } from './topology/agent.ts';
export type { Agent, AgentSpec, BackoffSpec, BudgetTree, Isolation, MailboxMode } from './topology/agent.ts';
export { bulkhead } from './topology/bulkhead.ts';
export type { Bulkhead, BulkheadSpec } from './topology/bulkhead.ts';
export { contract } from './topology/contract.ts';
export type { Contract, ContractSpec, InputOf, OutputOf, Schema } from './topology/contract.ts';
export type {
  Approved,
  AskOptions,
  CallOptions,
  Context,
  ContractMap,
  DependencyMap,
  EventMap,
  HealthContext,
  HoldOptions,
  KeyOptions,
  RunLogger,
  State,
  StateValue,
  StepContext,
  WaitOptions,
} from './topology/context.ts';
export { dependency } from './topology/dependency.ts';
export type {
  CallFailure,
  Dependency,
  DependencyBreakerSpec,
  DependencySpec,
  Limits,
  PerformContext,
  QualitySpec,
  ReplyOf,
  RequestOf,
  SeenOnTheWay,
  TokenCost,
  Usage,
} from './topology/dependency.ts';
export { defineFleet } from './topology/fleet.ts';
export type { AgentMap, BoundsSpec, FleetSpec, KindPlan, SupervisionSpec, Topology } from './topology/fleet.ts';
export type { MachineAgentSpec } from './topology/machine.ts';
export { operation, OperationOutsideError, operations } from './topology/operation.ts';
export type { OperationLogic } from './topology/operation.ts';
export { TopologyError } from './topology/topology-error.ts';
export { startFleet } from './runtime/fleet.ts';
export type { CloseOptions, Fleet, FleetOptions, SubmitItem, SubmitOptions } from './runtime/fleet.ts';
export type { ByOptions, SignalOptions, Steered, TaskHandle } from './runtime/handle.ts';
export type { DrainOptions, MailboxOptions, UnknownKind } from './runtime/kinds.ts';
export type { ScheduleLook } from './runtime/schedules.ts';
export type { SharedState, StateEntry, StateQuery } from './runtime/shared-state.ts';
export type { ApprovalLook, ApprovalsOptions, DecideOptions } from './runtime/signals.ts';
export type { ParkedFor, TaskLook } from './runtime/task-look.ts';
export type { TaskQuery } from './runtime/task-query.ts';
export type { StoryDecision, TaskStory } from './runtime/tasks.ts';
export type { ScheduleSpec } from './topology/schedule.ts';
export type { SuspendReason, WorkerInfo } from './runtime/operator.ts';
export type { PersonCall } from './runtime/steering.ts';
export type { AutoscaleSpec } from '../supervisors/autoscale-policy.ts';
export type { MetaAgentSpec } from '../supervisors/meta-agent/plan.ts';
export type { RuleSpec } from '../supervisors/meta-agent/rules.ts';
export type { Decision } from '../supervisors/meta-agent/watch.ts';
export type { FleetEvents, FleetStats, TaskRef } from './runtime/events.ts';
export * from './runtime/errors.ts';
export * from './runtime/machine/errors.ts';
export * from './runtime/work-errors.ts';
export { admission } from './admission/gate.ts';
export type { Admission, AdmissionEvent, AdmissionLook, AdmissionSpec, AdmittedCall } from './admission/gate.ts';
export type { BudgetFact, BudgetLook, BudgetSpec, BudgetStore } from './admission/budgets.ts';
export * from './admission/errors.ts';
export * as scorers from './admission/quality.ts';
export * from './admission/call-errors.ts';
export { BudgetInputError } from '../actors/budget/errors.ts';
export type { DependencyLook } from './runtime/dependencies.ts';
export * from './isolation/errors.ts';
export type { LoopHolder, LoopBlocked, WatchdogSpec } from './isolation/watchdog.ts';
export { ActorGoneError } from '../actors/host/host.ts';
export { DroverError } from '../actors/kernel/errors.ts';
export type { ErrorRecord } from '../actors/kernel/errors.ts';
export * from '../actors/ports/store-errors.ts';
export type { Store, TaskCounts, TaskRecord, TaskStatus } from '../actors/ports/store.ts';
export { createSupervisor, Supervisor } from '../supervisors/create-supervisor.ts';
export type { SupervisorOptions } from '../supervisors/create-supervisor.ts';
export { SupervisorSpecError } from '../supervisors/spec.ts';
export type { ChildSpec, Made, Newborn, SupervisorSpec } from '../supervisors/spec.ts';
export type {
  ChildCounts,
  ChildInfo,
  DeleteChildAnswer,
  RestartChildAnswer,
  StartChildAnswer,
  SuspendChildAnswer,
  TerminateChildAnswer,
} from '../supervisors/administration.ts';
export type { ChildRef, SupervisorFact } from '../supervisors/state.ts';
export { StartFailedError } from '../supervisors/supervisor.ts';
export type { FailureRule, RestartType } from '../actors/kernel/child-spec.ts';
