/** How runs reach the world outside. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DroverError, dependency } from 'drover';
import type { Context, Dependency, StepContext } from 'drover';
import type { Effect } from './effects.ts';

/** Where the world listens. */
export interface OutsideUrls {
  readonly effectsUrl: string;
  readonly providerUrl: string;
}

/** The world has not made an effect. */
class EffectError extends DroverError {
  readonly code = 'DROVER_TEST_EFFECT';
  readonly retryable = true;
  override readonly detail: { readonly key: string; readonly status: number };
  constructor(key: string, status: number, verdict: string) {
    super(`effect ${key}: ${verdict}`);
    this.detail = { key, status };
  }
}

/** How an effect is made. */
export interface EffectOptions {
  /** A resource that the run has locked. */
  readonly lock?: string;
  /** It takes some time before it is made, and then nobody looks whether the run is over. */
  readonly isHeedless?: boolean;
}

/** How the names of models begin; then comes the time of the call. */
export const ASKED_AT = 'asked-at-';

const NAPS = 3;
const LONGEST_NAP_MS = 30;
/** Long enough for the task to be taken back, and begun again. */
const LONGEST_LONG_NAP_MS = 600;
const SHARE_OF_LONG_NAPS = 1 / 4;

/** Makes the effects of one run. Begin it with the run. */
export class Outside {
  readonly #url: string;
  readonly #task: Context['task'];
  readonly #runAtMs = Date.now();

  constructor(url: string, { task }: Pick<Context, 'task'>) {
    this.#url = url;
    this.#task = task;
  }

  async make(
    { idempotencyKey: key, signal }: StepContext,
    payload: object,
    { lock, isHeedless = false }: EffectOptions = {},
  ): Promise<void> {
    const begunAtMs = Date.now();
    const { id: task, fence, lockFence } = this.#task;
    const effect: Effect = {
      key,
      task,
      fence,
      payload: JSON.stringify(payload),
      ...(lock === undefined ? {} : { lock: { resource: lock, fence: lockFence } }),
      pid: process.pid,
      runAtMs: this.#runAtMs,
      begunAtMs,
    };
    if (isHeedless) await dawdle();
    const body = JSON.stringify(effect);
    const response = await fetch(this.#url, { method: 'POST', body, ...(isHeedless ? {} : { signal }) });
    const verdict = await response.text();
    if (!response.ok) throw new EffectError(key, response.status, verdict);
  }
}

/** One timer alone would be over as soon as a stopped process goes on: before anybody can have overtaken it. */
async function dawdle(): Promise<void> {
  const longestMs = Math.random() < SHARE_OF_LONG_NAPS ? LONGEST_LONG_NAP_MS : LONGEST_NAP_MS;
  for (let nap = 0; nap < NAPS; nap += 1) await sleep(Math.random() * longestMs);
}

/** A model that never gives the same answer twice. */
export function model(providerUrl: string): Dependency<{ readonly about: string }, { readonly text: string }> {
  return dependency({
    async perform({ about }: { readonly about: string }, { idempotencyKey, signal }) {
      const response = await fetch(`${providerUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
        // The provider's log keeps the model's name: it says when the call was made.
        body: JSON.stringify({ model: `${ASKED_AT}${Date.now()}`, messages: [{ role: 'user', content: about }] }),
        signal,
      });
      const reply = (await response.json()) as { readonly choices: readonly { readonly message: { readonly content: string } }[] };
      return { text: reply.choices[0]!.message.content };
    },
  });
}
