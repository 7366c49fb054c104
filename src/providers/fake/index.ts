/** A fake LLM provider: a real HTTP server that speaks OpenAI chat completions, with limits and faults. */
export type { LimitKind, ProviderLimits } from './admission.ts';
export type { AcceptedCall, CallEnding, CallRecord, EndedCall, LogLine, SentShare } from './call-log.ts';
export { FAULT_NAMES } from './faults.ts';
export type { FaultName, FaultRates } from './faults.ts';
export type { FakeProviderStats } from './limiter.ts';
export type { FakeProviderOptions, Latency } from './options.ts';
export { startFakeProvider } from './server.ts';
export type { FakeProvider } from './server.ts';
export type { ChatRequest } from './wire.ts';
