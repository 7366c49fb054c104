/** Watchdog wire: what the event loop and its watchdog's thread share. */

/** Whose code runs. */
export interface LoopHolder {
  readonly worker: string;
  readonly kind: string;
  readonly task: string;
}

/** The event loop did not turn for a while. */
export interface LoopBlocked {
  /** How long, as far as it is known: to its end, or until now. */
  readonly blockedMs: number;
  /** Null: no run's code, or nobody knows. */
  readonly run: LoopHolder | null;
  /** `on-stack`: its code was running. `entered-last`: it is the run that was entered last, and nobody could be asked. */
  readonly known: 'on-stack' | 'entered-last';
  /** Where, the innermost first; empty where nobody could be asked. */
  readonly stack: readonly string[];
  /** A debugger is attached: it may be what holds the loop. */
  readonly debugger: boolean;
}

export interface WatchdogData {
  readonly shared: SharedArrayBuffer;
  readonly blockedMs: number;
  readonly onBlocked: 'report' | 'exit';
  readonly fleet: string;
  /** Whether the event loop is that of the main thread, the only one that another can ask. */
  readonly inspects: boolean;
}

/** How a process ends whose event loop was blocked; `EX_TEMPFAIL` of sysexits: try again. */
export const BLOCKED_EXIT_CODE = 75;

/** Where the blocked thread can be asked who holds it. */
export const HOLDER: unique symbol = Symbol.for('drover.holder');

/** The counter that shows that the loop turns. Beside it, the length of the text. */
export const BEAT = 0;
const HEADER_BYTES = 8;
const TEXT_BYTES = 2_048;

/** A counter, the length of a text, and the text: the run that was entered last. */
export function bufferOf(shared = new SharedArrayBuffer(HEADER_BYTES + TEXT_BYTES)) {
  return { shared, beats: new Int32Array(shared, 0, 2), text: new Uint8Array(shared, HEADER_BYTES) };
}
