/** Internals: where the testing kit takes hold of a fleet. Not public: nothing here is promised to anybody else. */
import type { Host } from '../../actors/host/host.ts';
import { limiterLogic } from '../../actors/admission/limiter.ts';
import { queueLogic } from '../../actors/queue.ts';
import { workerMachine } from '../../actors/worker.ts';
import { supervisorLogic } from '../../supervisors/supervisor.ts';

/** The logic of each kind of actor: a faulty one in its place shows that a test would notice. */
export interface Parts {
  readonly limiter: typeof limiterLogic;
  readonly queue: typeof queueLogic;
  readonly supervisor: typeof supervisorLogic;
  readonly worker: typeof workerMachine;
}

export interface Internals {
  /** Told of the host before its first actor is spawned. */
  readonly onHost?: (host: Host) => void;
  readonly parts?: Partial<Parts>;
  /** False: a run that only waits keeps its worker, which the construction against D3 forbids. Default true. */
  readonly parking?: boolean;
  /**
   * False: every kind runs inline, whatever its topology says. Virtual time does not reach into a thread
   * or a process, so a simulation runs them so; the kit replaces nothing else of a run. Default true.
   */
  readonly isolation?: boolean;
  /** Called when the fleet cannot go on, and nobody listens to that. Default: nothing happens. */
  readonly onUnheard?: () => void;
}

export const PARTS: Parts = { limiter: limiterLogic, queue: queueLogic, supervisor: supervisorLogic, worker: workerMachine };
