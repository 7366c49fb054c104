/**
 * A fake LLM provider: a real HTTP server that speaks OpenAI's chat completions and Anthropic's messages,
 * with limits that change, neighbours and faults. What decides about its calls can be had without HTTP,
 * in virtual time.
 */
export { admit, advance, chargeRejection, openAdmission, resize, settle } from './admission/admission.ts';
export type { Admission, AdmissionOptions, RejectedCost, Rejection, Verdict } from './admission/admission.ts';
export type { LimitKind, ProviderLimits, TokenCost } from './admission/limits.ts';
export type { CapacitySchedule, Neighbour, ScheduledCapacity } from './admission/timeline.ts';
export type { AcceptedCall, CallEnding, CallRecord, EndedCall, LoggedCall, LogLine, SentShare } from './call-log.ts';
export { FAULT_NAMES } from './faults/faults.ts';
export type { FaultName, FaultRates } from './faults/faults.ts';
export type { FakeProviderStats } from './limiter.ts';
export type { ChatRequest } from './openai/request.ts';
export type { FakeProviderOptions, Latency } from './options.ts';
export { startFakeProvider } from './server.ts';
export type { FakeProvider } from './server.ts';
export type { CallUsage, PerRequest } from './usage.ts';
export type { WireName } from './wire.ts';
