/** Exit codes: the one table. Commands name the ending, `--help` prints the table. */
import { BLOCKED_EXIT_CODE } from '../isolation/watchdog-wire.ts';

/** Every way in which a command may end, with its code. Codes never change. */
export const EXITS = {
  completed: { code: 0, means: 'every task completed' },
  incomplete: { code: 1, means: 'some tasks failed or are dead, or some lines were refused' },
  refused: { code: 2, means: 'wrong usage, topology, tasks file or store: nothing has run' },
  failed: { code: 3, means: 'the fleet could not go on; accepted tasks are in the store' },
  inconclusive: { code: 4, means: 'check, simulate, replay: nothing can be concluded' },
  blocked: { code: BLOCKED_EXIT_CODE, means: 'the event loop was blocked (--on-blocked exit); run it again to go on' },
  interrupted: { code: 130, means: 'interrupted (Ctrl-C, SIGTERM) and drained; run it again to go on' },
  stopped: { code: 131, means: 'interrupted twice, stopped at once; run it again to go on' },
  unread: { code: 141, means: 'standard output was closed by its reader; drained, run it again to go on' },
} as const satisfies Record<string, { readonly code: number; readonly means: string }>;

export type Exit = keyof typeof EXITS;

/** What decides how a run ends. Counts are of everything that this command saw end. */
export interface RunOutcome {
  /** `finished`: nothing is left to do. The others say what came first. */
  readonly at: 'finished' | 'interrupted' | 'unread' | 'failed';
  /** Tasks that ended without a result: failed, dead or cancelled. */
  readonly endedBadly: number;
  readonly refusedLines: number;
  /** The input broke off before its end. */
  readonly brokeOff: boolean;
}

/** How a run ends: what stopped it weighs more than what became of its tasks. */
export function exitOf({ at, endedBadly, refusedLines, brokeOff }: RunOutcome): Exit {
  if (at !== 'finished') return at;
  return endedBadly > 0 || refusedLines > 0 || brokeOff ? 'incomplete' : 'completed';
}

/** The table as `--help` shows it. */
export function exitHelp(): string {
  return tableOf(Object.values(EXITS));
}

/** How the commands end that test a fleet: check, simulate, replay. Their codes are those of the table, in their own words. */
export const TEST_EXITS = {
  clean: { exit: 'completed', means: 'proved, or nothing was found that is broken' },
  violated: { exit: 'incomplete', means: 'something is broken; it was told with what replays it' },
  refused: { exit: 'refused', means: 'wrong usage, topology, workload or trace: nothing was tested' },
  inconclusive: {
    exit: 'inconclusive',
    means: 'nothing can be concluded: a bound was hit, code threw or never yielded, a replay diverged',
  },
  interrupted: { exit: 'interrupted', means: 'interrupted (Ctrl-C, SIGTERM); until then nothing was found that is broken' },
  stopped: { exit: 'stopped', means: 'interrupted twice, stopped at once' },
  unread: { exit: 'unread', means: 'standard output was closed by its reader' },
} as const satisfies Record<string, { readonly exit: Exit; readonly means: string }>;

export type TestExit = keyof typeof TEST_EXITS;

/** The code of a command that tests. */
export function testExitCode(exit: TestExit): number {
  return EXITS[TEST_EXITS[exit].exit].code;
}

/** The table of the commands that test. */
export function testExitHelp(): string {
  return tableOf(Object.values(TEST_EXITS).map(({ exit, means }) => ({ code: EXITS[exit].code, means })));
}

function tableOf(exits: readonly { readonly code: number; readonly means: string }[]): string {
  return ['Exit codes:', ...exits.map(({ code, means }) => `  ${String(code).padStart(3)}  ${means}`)].join('\n');
}
