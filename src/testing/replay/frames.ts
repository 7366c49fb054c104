/**
 * Frames: a simulation in the shape of XState's inspection protocol, one JSON object a line, so that an
 * inspector can be fed with it. Beside what the protocol has, each frame says its virtual time, `atMs`.
 *
 * @see https://stately.ai/docs/inspection
 */
import type { ActorRef, TurnObserver } from './recorder.ts';

interface Frame {
  readonly type: '@xstate.actor' | '@xstate.event' | '@xstate.snapshot';
  readonly rootId: string;
  readonly sessionId: string;
  readonly actorRef: ActorRef;
  readonly event?: unknown;
  readonly snapshot?: unknown;
  readonly atMs: number;
}

/** Frames between two virtual times, handed to `write` line by line. */
export class FrameWriter implements TurnObserver {
  readonly #write: (line: string) => void;
  readonly #fromMs: number;
  readonly #toMs: number;
  /** Frames so far. */
  count = 0;

  constructor(write: (line: string) => void, fromMs = -Infinity, toMs = Infinity) {
    this.#write = write;
    this.#fromMs = fromMs;
    this.#toMs = toMs;
  }

  actor(atMs: number, actor: ActorRef, snapshot: unknown): void {
    // An actor that lives when the first frame is shown has to be known: it is told whenever it was started.
    if (atMs <= this.#toMs) this.#frame('@xstate.actor', atMs, actor, { snapshot });
  }

  turn(atMs: number, actor: ActorRef, event: { readonly type: string }, snapshot: unknown): void {
    if (atMs < this.#fromMs || atMs > this.#toMs) return;
    this.#frame('@xstate.event', atMs, actor, { event });
    this.#frame('@xstate.snapshot', atMs, actor, { event, snapshot });
  }

  #frame(type: Frame['type'], atMs: number, actorRef: ActorRef, rest: { readonly event?: unknown; readonly snapshot?: unknown }): void {
    this.count += 1;
    // Each actor is a root of its own.
    this.#write(
      `${toJson({ type, rootId: actorRef.sessionId, sessionId: actorRef.sessionId, actorRef, ...rest, atMs } satisfies Frame)}\n`,
    );
  }
}

/** JSON of what actors hold, which is data but for an error or a function here and there. */
function toJson(value: unknown): string {
  const parents: object[] = [];
  return JSON.stringify(value, function plain(this: object, _key, inner: unknown) {
    if (typeof inner === 'bigint') return String(inner);
    if (typeof inner !== 'object' || inner === null) return inner;
    if (inner instanceof Error) return { name: inner.name, message: inner.message };
    while (parents.length > 0 && parents.at(-1) !== this) parents.pop();
    if (parents.includes(inner)) return 'again';
    const shown = inner instanceof Map ? Object.fromEntries(inner as Map<string, unknown>) : inner instanceof Set ? [...inner] : inner;
    parents.push(shown);
    return shown as unknown;
  });
}
