/**
 * Server-sent events, as far as answers of models need them: split into events, each event's data read as
 * JSON, some of them left out. Bytes that are left in are passed on as they came.
 */
import type { ScoredReply } from '../admission/quality.ts';
import type { Usage } from '../topology/dependency.ts';
import { StreamBrokenError } from './errors.ts';
import type { StreamEnd, Watch } from './watched-stream.ts';

/** Makes sense of the events of one answer. */
export interface EventReading {
  /** Sees the data of an event; true: the caller is not to see it. */
  read(data: string, value: unknown): boolean;
  /** What the answer used, as far as it was said. */
  readonly usage: Usage | undefined;
  /** What the answer has said, for scorers. */
  readonly reply?: ScoredReply | undefined;
  /** The mark of the end came. */
  readonly isDone: boolean;
  /** The answer is whole, though nothing may have marked its end. */
  readonly isWhole: boolean;
  /** It brought an error instead of the rest. */
  readonly failure: string | undefined;
}

/** An event that is longer than this is passed on without being read. */
const LONGEST_EVENT = 4 * 1024 * 1024;
const EVENT_END = /\r\n\r\n|\n\n|\r\r/g;
/** So much of an event's end may have come with the chunk before. */
const SPLIT_END = 3;

/** Watches an event stream. `hides`: the reading may want to leave events out, so they are passed on whole. */
export class EventWatch implements Watch<Uint8Array> {
  readonly #reading: EventReading;
  readonly #hides: boolean;
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();
  #pending = '';
  #isLost = false;

  constructor(reading: EventReading, hides: boolean) {
    this.#reading = reading;
    this.#hides = hides;
  }

  get end(): StreamEnd | undefined {
    const { failure, isDone } = this.#reading;
    if (failure !== undefined) return { at: 'broken', error: new StreamBrokenError(failure) };
    return isDone ? this.#whole() : undefined;
  }

  pass(chunk: Uint8Array): Uint8Array | undefined {
    if (this.#isLost) return chunk;
    EVENT_END.lastIndex = Math.max(0, this.#pending.length - SPLIT_END);
    this.#pending += this.#decoder.decode(chunk, { stream: true });
    let kept = '';
    let from = 0;
    while (EVENT_END.test(this.#pending)) {
      const event = this.#pending.slice(from, EVENT_END.lastIndex);
      from = EVENT_END.lastIndex;
      if (!this.#see(event)) kept += event;
    }
    this.#pending = this.#pending.slice(from);
    if (this.#pending.length > LONGEST_EVENT) {
      this.#isLost = true;
      kept += this.#pending;
      this.#pending = '';
    }
    if (!this.#hides) return chunk;
    return kept === '' ? undefined : this.#encoder.encode(kept);
  }

  rest(): Uint8Array | undefined {
    // The last event may lack its empty line.
    const left = this.#pending + this.#decoder.decode();
    this.#pending = '';
    const isHidden = left !== '' && this.#see(left);
    return this.#hides && !isHidden && left !== '' ? this.#encoder.encode(left) : undefined;
  }

  atSourceEnd(): StreamEnd {
    return this.#reading.isWhole ? this.#whole() : { at: 'broken', error: new StreamBrokenError('it ended before the answer did') };
  }

  #whole(): StreamEnd {
    const { usage, reply } = this.#reading;
    return { at: 'whole', usage, ...(reply === undefined ? {} : { reply }) };
  }

  #see(event: string): boolean {
    let data = '';
    for (const line of event.split(/\r\n|\n|\r/)) if (line.startsWith('data:')) data += line.slice(5).trimStart();
    return data !== '' && this.#reading.read(data, parsed(data));
  }
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data) as unknown;
  } catch {
    return undefined;
  }
}
