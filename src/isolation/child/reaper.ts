/** Reaper: a thread in the process of an isolated worker that ends it when its parent is gone, also when its own event loop never turns again. */
import { workerData } from 'node:worker_threads';

const LOOK_MS = 500;
const { parent } = workerData as { readonly parent: number };

setInterval(() => {
  // Orphans are given to another process.
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
}, LOOK_MS);
