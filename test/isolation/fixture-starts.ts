/** A topology in a module that starts its fleet: what its children must not do again. */
import { agent, defineFleet, startFleet } from 'drover';
import { pino } from 'pino';

export const topology = defineFleet({
  name: 'starts',
  module: import.meta.url,
  staggerMs: 0,
  supervision: { backoff: { baseMs: 1, capMs: 1 } },
  agents: { any: agent({ isolation: 'thread', losses: 1, run: async () => 'ran' }) },
});

/** In a child it is refused, and with it the module. */
export const fleet = await startFleet(topology, { logger: pino({ level: 'silent' }) });
