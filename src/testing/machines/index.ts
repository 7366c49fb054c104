/** Tests of a machine along the paths through it. Public names, no logic. */
export { pathsOf } from './paths.ts';
export type { MachinePath, PathStep } from './paths.ts';
export type { Answer, Cover, PathOptions } from './options.ts';
export { assertCovered, testMachine } from './test-machine.ts';
export type { Checked, MachineReport, TestMachineOptions } from './test-machine.ts';
export * from './errors.ts';
