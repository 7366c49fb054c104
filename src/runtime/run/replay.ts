/**
 * Replay: a run comes by all that earlier runs have brought before it does something that none of them has
 * done, or it takes another way, and its task fails.
 *
 *     something new begins, or the run returns ─┬─ nothing is left to come by ──────────────▶ at once
 *                                               └─ something is ─▶ held ─┬─ it is come by ──▶ goes on
 *                                                                        └─ nothing moves ──▶ another way
 *
 * What begins first may be a branch beside the one that is still on its way over what is remembered, so
 * it is held, not refused. Nothing moves when for a while no operation has begun or ended, and all that are
 * open only wait for what is outside. That the code itself waits for something (a file, a timer) does not show:
 * hence the while.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Run, Settle } from '../run.ts';
import type { ReplayDivergedError } from './errors.ts';
import { Pending } from './operation.ts';

/** Then it is asked whether the task has been put back. */
const SOON_MS = 50;
/** So often the run is looked at; it has to be found without a move so many times. */
const LOOK_MS = 1_000;
const QUIET_LOOKS = 3;

interface Held {
  readonly what: string;
  readonly go: () => void;
}

export class ReplayCheck {
  readonly #run: Run;
  readonly #held: Held[] = [];
  /** Open while something is held, so that the run does not park over it. */
  #guard: Pending | undefined;
  #seenSigns = -1;
  #quiet = 0;

  constructor(run: Run) {
    this.#run = run;
    run.memory.whenComeBy(() => this.#release());
  }

  /** `what`: a place, or in words. */
  hold(what: string, begin: () => void, reject: Settle): void {
    // As it was called: which step, and which place of a bulkhead, is around it.
    this.#held.push({ what, go: AsyncLocalStorage.bind(() => attempt(begin, reject)) });
    if (this.#guard !== undefined) return;
    this.#guard = this.#run.opened(new Pending());
    this.#soon();
  }

  /** Another way was taken at once. `begin`, when the task has been put back: otherwise it ends there. */
  ask(begin: () => void, error: ReplayDivergedError, reject: Settle): void {
    const run = this.#run;
    const guard = run.opened(new Pending());
    const answered = (isPutBack: boolean): void => {
      if (!run.done(guard)) return;
      if (isPutBack) attempt(begin, reject);
      // The run may make anything of it, but no other way of that.
      else if (!run.diverged(error)) reject(error);
    };
    run.engine.requests.hasBeenPutBack(run, AsyncLocalStorage.bind(answered));
  }

  /** A task that is put back tries anew what it has ended with, so it may go another way. Most branches side by side have met by then. */
  #soon(): void {
    const run = this.#run;
    this.#guard!.stop = run.engine.alarm(SOON_MS, () => {
      if (run.over !== undefined) return;
      run.engine.requests.hasBeenPutBack(run, (isPutBack) => {
        if (run.over !== undefined || this.#guard === undefined) return;
        if (isPutBack) run.memory.forgive();
        else this.#look();
      });
    });
  }

  #look(): void {
    const run = this.#run;
    this.#guard!.stop = run.engine.alarm(LOOK_MS, () => {
      if (run.over !== undefined) return;
      const isQuiet = run.signs === this.#seenSigns && run.open.every((operation) => operation === this.#guard || isOutside(operation));
      this.#seenSigns = run.signs;
      this.#quiet = isQuiet ? this.#quiet + 1 : 0;
      if (this.#quiet < QUIET_LOOKS) return this.#look();
      run.threw(run.memory.divergence(this.#held[0]!.what));
    });
  }

  /** Not from within the operation that came by the last of it. */
  #release(): void {
    const guard = this.#guard;
    if (guard === undefined) return;
    this.#guard = undefined;
    guard.cancel();
    queueMicrotask(() => {
      // Beside each other they are as they were begun.
      if (this.#run.over !== undefined) return;
      // Each may be what ends the run: it finds that its lease is over.
      for (const { go } of this.#held.splice(0)) if (this.#run.over === undefined) go();
      this.#run.done(guard);
    });
  }
}

/** What it waits for is nothing that the run itself does. */
function isOutside({ waitsFor }: { readonly waitsFor: string | undefined }): boolean {
  return waitsFor !== undefined && waitsFor !== 'admission' && waitsFor !== 'locks';
}

function attempt(begin: () => void, reject: Settle): void {
  try {
    begin();
  } catch (error) {
    reject(error);
  }
}
