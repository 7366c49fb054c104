/** Replay steps: what can be stepped through, whatever it came from: a simulation, or a check. */
import { Waits } from '../testing/replay/index.ts';
import type { CheckTrace, Step } from '../testing/replay/index.ts';
import { printable } from './text.ts';

/** One step, as it is shown. */
export interface ShownStep {
  /** Virtual ms; absent where there is no time. */
  readonly atMs?: number;
  readonly says: string;
}

/** Steps in order, forwards only: who waits is known of the step taken last. */
export interface Walk {
  /** The next step, or undefined at the end. */
  next(): ShownStep | undefined;
  /** Who waits for what now, one sentence each; undefined where that is not known. */
  waits(): readonly string[] | undefined;
  /** Said when there is no further step. */
  readonly end: readonly string[];
}

/** Through the recording of a simulation, between two virtual times. */
export function walkRecording(steps: readonly Step[], fromMs: number, toMs: number, end: readonly string[]): Walk {
  const waits = new Waits();
  let at = 0;
  return {
    next() {
      for (; at < steps.length;) {
        const step = steps[at]!;
        at += 1;
        // What came before has to be known to know who waits.
        waits.see(step);
        if (step.atMs >= fromMs && step.atMs <= toMs) return { atMs: step.atMs, says: step.says };
      }
      return undefined;
    },
    waits: () => waits.says(),
    end,
  };
}

/** Through the trace of a check. */
export function walkCheck({ steps, repeats, noReturnAfter, cycle, holdings, kind }: CheckTrace): Walk {
  let at = 0;
  const lost = (index: number): string =>
    index + 1 === noReturnAfter && index + 1 < steps.length ? '   <- from here on there is no way back' : '';
  return {
    next() {
      const step = steps[at];
      if (step === undefined) return undefined;
      at += 1;
      return { says: `${step.says}${lost(at - 1)}` };
    },
    waits: () => (at === 0 ? [] : steps[at - 1]!.waits),
    end: [
      `${kind}:`,
      ...cycle.map((text) => `  ${text}`),
      ...holdings.map((text) => `  ${text}`),
      ...repeats.map((text) => `  again and again: ${text}`),
    ],
  };
}

/** A step as a line: its number, its time, what happened. */
export function stepLine(number: number, { atMs, says }: ShownStep): string {
  const time = atMs === undefined ? '' : `${atMs.toFixed(3).padStart(12)} ms  `;
  return `${String(number).padStart(6)}  ${time}${printable(says)}`;
}

/** Who waits, as lines under a step. */
export function waitLines(waits: readonly string[] | undefined): readonly string[] {
  const lines = waits ?? ['who waits here was not recorded'];
  return (lines.length === 0 ? ['nobody waits'] : lines).map((text) => `${' '.repeat(10)}| ${printable(text)}`);
}
