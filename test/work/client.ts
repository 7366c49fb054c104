/** Client: whoever is outside of the fleet. Says everything again until it has been heard, over as many processes as it takes. */
import { DroverError } from 'drover';
import type { Fleet } from 'drover';
import type { Random } from '../../actors/kernel/random.ts';
import type { Books } from './books.ts';
import { eventsOf } from './programs.ts';
import type { Program } from './programs.ts';
import type { Witness } from './witness.ts';

/** One thing to say. `under way`: to the process of now. */
interface Errand {
  readonly what: string;
  readonly atMs: number;
  /** What has to be done before. */
  readonly after: Errand | undefined;
  at: 'open' | 'under way' | 'done';
  readonly go: (fleet: Fleet) => Promise<unknown>;
}

/** The tasks of a day are accepted within this time. */
const MORNING_MS = 4_000;
const EVENTS_MS = 8_000;
/** From then on compensations can be made, and what could not be undone is put back. */
const MENDED_MS = 12_000;

/** Heard at the first time already, and the answer was lost; or too late. */
/** The error of a task of which something could not be undone. */
export const NOT_UNDONE = 'DROVER_COMPENSATION_FAILED';

const HEARD: readonly string[] = ['DROVER_TASK_ENDED', 'DROVER_TASK_UNDOING', 'DROVER_UNKNOWN_SCHEDULE', 'DROVER_ROW_CONFLICT'];

const TICK: Program = { ops: [{ at: 'step', name: 'tick' }], writes: [], reads: [], ends: 'well' };

export class Client {
  /** Tasks that it has tried to cancel. */
  readonly cancelled = new Set<string>();
  readonly #errands: Errand[] = [];
  readonly #ids: readonly string[];
  /** Tasks whose end the process of now has told. */
  #told = new Set<string>();
  #fleet: Fleet | undefined;
  #asking = false;
  #mending = false;
  readonly #witness: Witness;

  constructor(day: readonly Program[], books: Books, witness: Witness, random: Random, cancelOneIn: number) {
    this.#witness = witness;
    this.#ids = day.map((_, at) => `t${at}`);
    this.#operate();
    for (const [at, program] of day.entries()) {
      const id = `t${at}`;
      const atMs = random.int(MORNING_MS);
      const submit = this.#add(`submit ${id}`, atMs, undefined, async (fleet) => {
        const handle = await fleet.submit('work', program, { id });
        books.acknowledged.add(id);
        const told = (): void => {
          if (fleet === this.#fleet) this.#told.add(id);
        };
        handle.result().then(told, told);
      });
      let before = submit;
      for (let n = 0; n < eventsOf(program); n += 1) {
        before = this.#add(`tell ${id}`, random.int(EVENTS_MS), before, (fleet) => fleet.signal(id, 'go', `go ${n}`, { key: `${n}` }));
      }
      if (cancelOneIn === 0 || random.int(cancelOneIn) > 0) continue;
      this.#add(`cancel ${id}`, random.int(EVENTS_MS), submit, (fleet) => {
        this.cancelled.add(id);
        return fleet.cancel(id);
      });
    }
  }

  /** What operators do: a schedule for a while, a kind that is paused for a while, a row from outside. */
  #operate(): void {
    const made = this.#add('schedule', 500, undefined, (fleet) => fleet.schedule('tick', { kind: 'helper', input: TICK, everyMs: 1_000 }));
    this.#add('unschedule', 5_500, made, (fleet) => fleet.unschedule('tick'));
    const paused = this.#add('pause', 2_500, undefined, (fleet) => fleet.pauseKind('helper'));
    this.#add('unpause', 3_500, paused, (fleet) => fleet.unpauseKind('helper'));
    this.#add('row', 1_000, undefined, (fleet) => fleet.state.set('outside', 1, null));
  }

  /** Everything was heard, and the process of now has told how every task ended. */
  get isContent(): boolean {
    return this.#errands.every(({ at }) => at === 'done') && this.#told.size === this.#ids.length;
  }

  get lacking(): string {
    const open = this.#errands.filter(({ at }) => at !== 'done').map(({ what }) => what);
    return [...open, ...this.#ids.filter((id) => !this.#told.has(id)).map((id) => `the result of ${id}`)].join(', ');
  }

  meets(fleet: Fleet): void {
    this.#fleet = fleet;
  }

  /** The process is gone, and whatever it was told may have been heard or not. */
  loses(): void {
    this.#fleet = undefined;
    this.#told = new Set();
    this.#asking = false;
    this.#mending = false;
    for (const errand of this.#errands) {
      // A handle lives no longer than its process: the same id gives another one.
      if (errand.at === 'under way' || errand.what.startsWith('submit')) errand.at = 'open';
    }
  }

  tick(fleet: Fleet, nowMs: number): void {
    if (fleet !== this.#fleet) return;
    for (const errand of this.#errands) {
      if (errand.at !== 'open' || errand.atMs > nowMs || (errand.after !== undefined && errand.after.at !== 'done')) continue;
      errand.at = 'under way';
      void this.#run(errand, fleet);
    }
    if (!this.#asking) void this.#approve(fleet);
    if (nowMs >= MENDED_MS && !this.#mending) void this.#mend(fleet);
  }

  async #run(errand: Errand, fleet: Fleet): Promise<void> {
    let at: Errand['at'] = 'done';
    try {
      await errand.go(fleet);
    } catch (error) {
      if (fleet !== this.#fleet) return;
      if (isFailure(error)) at = 'open';
      else if (!(error instanceof DroverError && HEARD.includes(error.code))) throw error;
    }
    if (fleet === this.#fleet) errand.at = at;
  }

  async #approve(fleet: Fleet): Promise<void> {
    this.#asking = true;
    try {
      for (const { id, name } of await fleet.approvals()) await fleet.approve(id, name, { by: 'ann' });
    } catch (error) {
      if (fleet !== this.#fleet) return;
      const code = error instanceof DroverError ? error.code : '';
      if (!isFailure(error) && code !== 'DROVER_APPROVAL_NOT_ASKED' && code !== 'DROVER_TASK_ENDED') throw error;
    }
    if (fleet === this.#fleet) this.#asking = false;
  }

  /** Puts back what could not be undone. */
  async #mend(fleet: Fleet): Promise<void> {
    this.#mending = true;
    this.#witness.isMended = true;
    try {
      for (const { id, error } of await fleet.tasks({ status: 'dead', limit: 1_000 })) {
        if (!JSON.stringify(error).includes(NOT_UNDONE)) continue;
        this.#witness.putBack.add(id);
        await fleet.requeue(id);
      }
    } catch (error) {
      if (fleet !== this.#fleet) return;
      // It was, and the answer was lost; by now it may have been undone.
      const wasHeard = error instanceof DroverError && error.code === 'DROVER_TASK_NOT_REQUEUEABLE';
      if (!isFailure(error) && !wasHeard) throw error;
    }
    if (fleet === this.#fleet) this.#mending = false;
  }

  #add(what: string, atMs: number, after: Errand | undefined, go: Errand['go']): Errand {
    const errand: Errand = { what, atMs, after, at: 'open', go };
    this.#errands.push(errand);
    return errand;
  }
}

/** Nobody knows whether it was heard: say it again. */
function isFailure(error: unknown): boolean {
  return error instanceof DroverError && (error.code === 'DROVER_STORE_FAILED' || error.code === 'DROVER_FLEET_CLOSED');
}
