/** The local provider, seen from the fleet's process: started as a child, or found running. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { CallRecord, FakeProviderStats } from 'drover/fake-provider';
import { localModel } from './job.ts';
import { UsageError } from './options.ts';

export interface LocalProvider {
  readonly url: string;
  readonly model: string;
  /** Resolves with what happened when the child is gone without being stopped. Never, if it is nobody's child. */
  readonly died: Promise<string>;
  stats(): Promise<FakeProviderStats>;
  /** Calls that it has accepted, oldest first. */
  calls(): Promise<readonly CallRecord[]>;
  stop(): Promise<void>;
}

/** The local provider ended by itself, or never got ready. */
export class ProviderGoneError extends Error {
  readonly code = 'INBOX_PROVIDER_GONE';
  override readonly name = 'ProviderGoneError';
}

interface Job {
  readonly mails: number;
  readonly seed: number;
}

/** @throws ProviderGoneError when the child ends before it is ready. */
export async function startLocalProvider({ mails, seed }: Job): Promise<LocalProvider> {
  const program = fileURLToPath(new URL('./provider.ts', import.meta.url));
  const args = [...process.execArgv, program, '--mails', String(mails), '--seed', String(seed)];
  // Its standard input is the string it hangs on: when this process is gone, so is the provider.
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const { promise: died, resolve: dies } = Promise.withResolvers<string>();
  let stopped = false;
  const exited = once(child, 'exit').then(
    ([status, signal]: (string | number | null)[]) => stopped || dies(`the local provider ended (${signal ?? `exit ${status}`})`),
    (error: unknown) => dies(`the local provider did not start: ${String(error)}`),
  );
  // Killed under a write, it would otherwise take this process along.
  child.stdin.on('error', () => {});
  const line = await Promise.race([
    once(createInterface(child.stdout), 'line').then(([first]) => ({ first: String(first) })),
    died.then((why) => ({ why })),
  ]);
  if ('why' in line) throw new ProviderGoneError(`${line.why} before it was ready; see its messages above`);
  const { url, model } = JSON.parse(line.first) as { url: string; model: string };
  const stop = async (): Promise<void> => {
    stopped = true;
    child.stdin.end();
    await exited;
  };
  return { ...viewOf(url), model, died, stop };
}

/** @throws UsageError when nobody answers there, or it has learned from mails of this run. */
export async function findLocalProvider(url: string, { mails, seed }: Job): Promise<LocalProvider> {
  const model = localModel(mails, seed);
  let models: { readonly data: readonly { readonly id: string }[] };
  try {
    models = await json(`${url}/v1/models`);
  } catch (cause) {
    throw new UsageError(
      `--provider-url: no local provider answers at ${url} (${String(cause)}); start examples/inbox/provider.ts --detach`,
      { cause },
    );
  }
  const found = models.data.map(({ id }) => id);
  if (!found.includes(model)) {
    const start = `provider.ts --mails ${mails} --seed ${seed} --detach`;
    throw new UsageError(
      `--provider-url: expected a provider that has kept the mails of this run apart (${model}), found ${found.join(', ')}; start ${start}`,
    );
  }
  return { ...viewOf(url), model, died: new Promise(() => {}), stop: async () => {} };
}

function viewOf(url: string) {
  return {
    url,
    stats: () => json<FakeProviderStats>(`${url}/_stats`),
    calls: async () => (await json<{ calls: readonly CallRecord[] }>(`${url}/_log`)).calls,
  };
}

async function json<T>(url: string): Promise<T> {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return (await response.json()) as T;
}
