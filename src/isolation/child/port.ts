/** Port: the child's end of its channel. */
import { parentPort, Worker } from 'node:worker_threads';
import type { FromChild, ToChild } from '../wire.ts';

export interface ChildPort {
  /** @throws DataCloneError when something in the message cannot be copied */
  post(message: FromChild): void;
  /** The module is loaded: what takes time and is not needed before begins now. */
  loaded(): void;
}

export function openPort(hear: (message: ToChild) => void): ChildPort {
  if (parentPort === null) return processPort(hear);
  const port = parentPort;
  port.on('message', hear);
  return { post: (message) => port.postMessage(message), loaded() {} };
}

function processPort(hear: (message: ToChild) => void): ChildPort {
  const parent = process.ppid;
  process.on('message', (message) => hear(message as ToChild));
  // The parent is gone, however it went. Whoever loops cannot hear of it: see the reaper.
  process.on('disconnect', () => process.exit(0));
  // A terminal's Ctrl-C, or a service manager's stop, reaches all processes at once: the fleet drains, and says when to end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  return {
    post(message) {
      if (process.connected) process.send!(message, undefined, undefined, () => {});
    },
    loaded() {
      const entry = new URL(import.meta.url.endsWith('.ts') ? './reaper.ts' : './reaper.js', import.meta.url);
      const reaper = new Worker(entry, { name: 'drover-reaper', workerData: { parent }, resourceLimits: { maxOldGenerationSizeMb: 16 } });
      reaper.unref();
      // Without it the process still ends by itself, unless it loops.
      reaper.on('error', () => {});
    },
  };
}
