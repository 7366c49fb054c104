/** Channel: the line to one child, be it a thread or a process. */
import type { FromChild, ToChild } from './wire.ts';

export interface ChannelOptions {
  /** Says whose child it is, for those who list threads. */
  readonly name: string;
  readonly memoryMb: number;
  readonly heard: (message: FromChild) => void;
  /** What it writes to standard error. */
  readonly wrote: (text: string) => void;
  /** Told once, when it is gone; nothing is heard afterwards. */
  readonly ended: (end: ChannelEnd) => void;
  /** Calls `fire` after so many ms. Returns what cancels it. */
  readonly after: (ms: number, fire: () => void) => () => void;
}

export interface ChannelEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly outOfMemory: boolean;
  /** What nobody in it caught, where that is known. */
  readonly error?: unknown;
}

export interface Channel {
  /** @throws DataCloneError when something in the message cannot be copied */
  post(message: ToChild): void;
  /** Ends it from outside, whatever it does. */
  kill(): void;
}

/** What was written just before the end comes a little after it. */
export const LAST_WORDS_MS = 250;

/** Compiled, the child runs a `.js` file like this one; from source, a `.ts` file like this one. */
export const FROM_SOURCE: boolean = import.meta.url.endsWith('.ts');

export const ENTRY = new URL(FROM_SOURCE ? './child/main.ts' : './child/main.js', import.meta.url);

/** From source, modules that import `drover` must find the same sources. */
export const SOURCE_CONDITION = '--conditions=drover-source';
