/** Replay: traces as files, and a simulation step by step. Public names, no logic. */
export * from './errors.ts';
export { FrameWriter } from './frames.ts';
export type { Step } from './recorder.ts';
export { record } from './replay.ts';
export type { Recording } from './replay.ts';
export { topologyHash } from './topology-hash.ts';
export { checkTrace, demandSame, parseTrace, simulationTrace, stepsOf } from './trace-file.ts';
export type { CheckTrace, SimulationTrace } from './trace-file.ts';
export { Waits } from './waits.ts';
