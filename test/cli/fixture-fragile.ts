/** A fleet whose supervisors allow no restart: its first crash is its end. Run by child processes only. */
import { agent, defineFleet } from 'drover';

const crash = agent({
  onRejection: 'restart',
  backoff: { baseMs: 60_000, capMs: 60_000 },
  run: async () => {
    throw new Error('this worker is broken');
  },
});

export const topology = defineFleet({ name: 'fragile', staggerMs: 0, supervision: { intensity: 0 }, agents: { crash } });
