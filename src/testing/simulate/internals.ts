/** Internals: where the kit's own tests take hold of a simulation. Not public. */
import type { Host } from '../../../actors/host/host.ts';
import type { Store, TaskCounts, TaskRecord } from '../../../actors/ports/store.ts';
import type { Internals } from '../../runtime/internals.ts';
import type { Topology } from '../../topology/fleet.ts';
import type { VirtualClock } from '../virtual-clock.ts';

/** Where the tasks of a simulation are kept, and looked at while nothing moves. */
export interface SimulatedDisk {
  /** Of the process that starts. */
  store(): Store;
  /** As `kill -9` ends the process that has the store. */
  crash(): void;
  task(id: string): TaskRecord | undefined;
  counts(): Readonly<Record<string, TaskCounts>>;
}

export interface SimulationInternals extends Omit<Internals, 'onHost'> {
  /** Told of each process's host before its first actor is spawned. */
  readonly onHost?: (host: Host) => void;
  /** Default: the memory of the simulation. */
  readonly disk?: SimulatedDisk;
  /** Put between the store and what the simulation sees of it: a store that lies. */
  readonly store?: (store: Store) => Store;
  /**
   * What the how-manieth process runs, from 1: the topology that is simulated, with other versions of its kinds' code. Names, bounds
   * and dependencies are the same. Default: all run what is simulated.
   */
  readonly deployed?: (process: number) => Topology;
  /** Only the invariant of this name matters: the simulation is over as soon as it is broken, and closes the fleet only for `L7`. */
  readonly until?: string;
  /** Told of the world's clock before anything happens. */
  readonly onClock?: (clock: VirtualClock) => void;
}
