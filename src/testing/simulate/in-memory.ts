/** In memory: where a simulation keeps its tasks. */
import { MemoryDisk, memoryStore } from '../../stores/memory.ts';
import type { SimulatedDisk } from './internals.ts';

export function inMemory(disk = new MemoryDisk()): SimulatedDisk {
  return {
    store: () => memoryStore(disk),
    crash: () => disk.crash(),
    task: (id) => disk.tasks.get([id])[0],
    counts: () => disk.tasks.counts(),
  };
}
