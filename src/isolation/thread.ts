/** Thread: a child in a worker thread. Shares the process: what ends that ends it too. */
import { Worker } from 'node:worker_threads';
import { ENTRY, FROM_SOURCE, LAST_WORDS_MS, SOURCE_CONDITION } from './channel.ts';
import type { Channel, ChannelOptions } from './channel.ts';
import type { FromChild } from './wire.ts';

/** Starts the thread at once. It writes to this process's standard output and error, like any other code here. */
export function openThread({ name, memoryMb, heard, wrote, ended, after }: ChannelOptions): Channel {
  const worker = new Worker(ENTRY, {
    name,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: memoryMb },
    ...(FROM_SOURCE && !process.execArgv.includes(SOURCE_CONDITION) ? { execArgv: [SOURCE_CONDITION] } : {}),
  });
  let error: unknown;
  let exitCode: number | undefined;
  let over = false;
  const end = (): void => {
    if (over || exitCode === undefined) return;
    over = true;
    const outOfMemory = (error as { readonly code?: unknown } | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY';
    ended({ exitCode, signal: null, outOfMemory, ...(error === undefined ? {} : { error }) });
  };
  let written = false;
  worker.stderr.on('data', (bytes: Buffer) => {
    wrote(bytes.toString());
    process.stderr.write(bytes);
  });
  worker.stderr.on('close', () => {
    written = true;
    end();
  });
  worker.on('message', (message: FromChild) => {
    if (exitCode === undefined) heard(message);
  });
  worker.on('error', (thrown) => {
    error = thrown;
  });
  worker.on('exit', (code) => {
    exitCode = code;
    if (written) return end();
    after(LAST_WORDS_MS, end);
  });
  return {
    post: (message) => worker.postMessage(message),
    kill: () => void worker.terminate(),
  };
}
