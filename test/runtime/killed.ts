/**
 * Killed: plays a scenario once for each thing that it commits, with the process killed right then,
 * before anybody hears of it; then a new process goes on. Also once without.
 */
import type { AgentMap, Fleet, FleetSpec } from 'drover';
import { memoryStore } from '../../src/stores/memory.ts';
import { faultyStore, Testbed } from './harness.ts';
import type { Command } from './harness.ts';

type Spec<K extends AgentMap> = Omit<FleetSpec<K>, 'name'>;

/** Commands after which the process may be killed; the others change nothing that a task could notice. */
const COMMITS: readonly Command[] = [
  'submit',
  'claim',
  'start',
  'remember',
  'readState',
  'askApproval',
  'withdrawApproval',
  'signal',
  'decideApproval',
  'steer',
  'settle',
];

/** A fleet whose process is killed once. */
export class Mortal<K extends AgentMap> {
  readonly bed: Testbed;
  /** Commits so far, in words. */
  readonly commits: string[] = [];
  #fleet: Fleet<K> | undefined;
  #isDead = true;
  readonly #spec: Spec<K>;
  readonly #killAt: number;

  constructor(bed: Testbed, spec: Spec<K>, killAt: number) {
    this.bed = bed;
    this.#spec = spec;
    this.#killAt = killAt;
  }

  /** Asks for something, again after the process was killed meanwhile: it must bear that. */
  async ask<T>(question: (fleet: Fleet<K>) => Promise<T>, withinMs?: number): Promise<T> {
    for (;;) {
      if (this.#isDead) await this.#start();
      let answer: { readonly value: T } | { readonly error: unknown } | undefined;
      question(this.#fleet!).then(
        (value) => (answer = { value }),
        (error: unknown) => (answer = { error }),
      );
      await this.bed.until(() => answer !== undefined || this.#isDead, withinMs);
      if (this.#isDead || answer === undefined) continue;
      if ('error' in answer) throw answer.error;
      return answer.value;
    }
  }

  /** Lets time pass until it holds, over a death. */
  async until(condition: () => boolean, withinMs?: number): Promise<void> {
    for (;;) {
      if (this.#isDead) await this.#start();
      await this.bed.until(() => condition() || this.#isDead, withinMs);
      if (!this.#isDead) return;
    }
  }

  /** How the task ends. */
  async end(id: string): Promise<{ readonly status: string; readonly result: unknown; readonly error: string | null }> {
    for (;;) {
      const task = await this.ask((fleet) => fleet.task(id));
      if (task !== undefined && ['completed', 'failed', 'dead', 'cancelled'].includes(task.status)) {
        return { status: task.status, result: task.result ?? null, error: task.error?.message ?? null };
      }
      const untilMs = this.bed.nowMs + 50;
      await this.ask(async () => this.bed.sleep(untilMs - this.bed.nowMs));
    }
  }

  async #start(): Promise<void> {
    this.#isDead = false;
    const { bed } = this;
    let isGone = false;
    let isUp = false;
    const committed = (command: Command, _items: unknown, reply: unknown): void => {
      // A claim that finds nothing commits nothing.
      if (!COMMITS.includes(command) || isGone || !isUp || (reply as readonly unknown[]).length === 0) return;
      this.commits.push(command);
      if (this.commits.length !== this.#killAt) return;
      isGone = true;
      this.#isDead = true;
      bed.kill();
    };
    const store = faultyStore(memoryStore(bed.disk), { committed, isGone: () => isGone }, (ms) => bed.sleep(ms));
    this.#fleet = await bed.start<K>(this.#spec, { store });
    isUp = true;
  }
}

/** `spec` is made anew for each play. Gives how many there were. */
export async function killedAtEachCommit<K extends AgentMap>(
  spec: (bed: Testbed) => Spec<K>,
  play: (mortal: Mortal<K>, killAt: number) => Promise<void>,
): Promise<number> {
  for (let killAt = 0; ; killAt += 1) {
    await using bed = new Testbed(killAt);
    const mortal = new Mortal(bed, spec(bed), killAt);
    try {
      await play(mortal, killAt);
    } catch (error) {
      throw new Error(`killed after commit ${killAt}: ${mortal.commits.slice(0, killAt).join(', ')}`, { cause: error });
    }
    if (killAt > mortal.commits.length) return killAt;
  }
}
