import { MemoryDisk, memoryStore } from '../../src/stores/memory.ts';
import { storeConformance } from './conformance.ts';
import type { Place } from './conformance.ts';

storeConformance('the memory store', async (): Promise<Place> => {
  const disk = new MemoryDisk();
  return {
    store: () => memoryStore(disk),
    crash: async () => disk.crash(),
    remove: async () => {},
  };
});
