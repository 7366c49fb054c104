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
        // A new supervisor counts anew.
        for (const whose of restarts.keys()) if (whose.startsWith(`${id}/`)) restarts.delete(whose);
      },
      'actor.stopping': ({ id, later }) => {
        if (later.length > 0) broken(`${id} was told to stop before ${later.join(', ')}, which had been started after it`);
      },
      'supervisor.restarting': ({ supervisor, child }, atMs) => {
        // Workers are counted one by one, the parts of a branch together.
        const whose = isKind(topology, supervisor) ? `${supervisor}/${child}` : `${supervisor}/`;
        const counted = [...(restarts.get(whose) ?? []).filter((ms) => atMs - ms <= periodMs), atMs];
        restarts.set(whose, counted);
        if (counted.length > intensity)
          broken(`${supervisor} restarts ${child}: ${counted.length} restarts within ${periodMs} ms, ${intensity} are allowed`);
      },
      'worker.resumed': ({ worker }) => void restarts.delete(worker),
      'process.killed': () => restarts.clear(),
    };
  },
};

function isKind({ name, kinds }: Topology, supervisor: string): boolean {
  const agents = `${name}/agents/`;
  return supervisor.startsWith(agents) && Object.hasOwn(kinds, supervisor.slice(agents.length));
}
