/** Invariants of supervision: how often it restarts, in which order it stops, and that nobody lives twice. */
import type { Topology } from '../../topology/fleet.ts';
import type { Invariant } from './invariant.ts';

export const S9: Invariant = {
  name: 'S9',
  promise: 'at most the allowed restarts within a period; stop in reverse order; never two incarnations of a child at once',
  check(topology, broken) {
    const { intensity, periodMs } = topology.supervision;
    const restarts = new Map<string, number[]>();
    return {
      'actor.spawned': ({ id, incarnation, wasAlive }) => {
        if (wasAlive) broken(`${id} was started as incarnation ${incarnation} while another one lives`);
        restarts.delete(id);
      },
      'actor.stopping': ({ id, later }) => {
        if (later.length > 0) broken(`${id} was told to stop before ${later.join(', ')}, which had been started after it`);
      },
      'supervisor.restarting': ({ supervisor, child }, atMs) => {
        const allowed = intensity * factorOf(topology, supervisor);
        const counted = [...(restarts.get(supervisor) ?? []).filter((ms) => atMs - ms <= periodMs), atMs];
        restarts.set(supervisor, counted);
        if (counted.length > allowed)
          broken(`${supervisor} restarts ${child}: ${counted.length} restarts within ${periodMs} ms, ${allowed} are allowed`);
      },
      'process.killed': () => restarts.clear(),
    };
  },
};

/** A kind of many workers may restart as many times more. */
function factorOf({ name, kinds }: Topology, supervisor: string): number {
  const agents = `${name}/agents/`;
  return supervisor.startsWith(agents) ? (kinds[supervisor.slice(agents.length)]?.replicas ?? 1) : 1;
}
