/**
 * Frames: a simulation as an inspector gets it, one JSON object a line, in virtual time. Beside what the
 * protocol has, each frame says who it is about, `actorRef`, and its time since the start, `atMs`.
 */
import type { InspectionEvent } from 'xstate';
import type { ActorView } from '../../inspect/actor-view.ts';
import { frameOf } from '../../inspect/frame.ts';
import { START_MS } from '../simulate/simulation.ts';
import type { InspectionObserver } from './recorder.ts';

/** Frames between two virtual times, handed to `write` line by line. */
export class FrameWriter implements InspectionObserver {
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

  inspected(atMs: number, event: InspectionEvent): void {
    if (atMs > this.#toMs) return;
    // An actor that lives when the first frame is shown has to be known: it is told whenever it was started.
    if (atMs < this.#fromMs && event.type !== '@xstate.actor') return;
    const frame = frameOf(event, START_MS + atMs);
    if (frame === undefined) return;
    this.count += 1;
    this.#write(`${JSON.stringify({ ...frame, actorRef: event.actorRef as ActorView, atMs })}\n`);
  }
}
