/** Facts: what supervisors note of workers, and what else the fleet does when it hears of it. */
import type { Logger } from 'pino';
import type { ActorId } from '../../actors/kernel/effects.ts';
import type { SupervisorFact } from '../../supervisors/state.ts';
import type { KindPlan } from '../topology/fleet.ts';
import type { RunEngine } from './engine.ts';
import type { FleetEvents } from './events.ts';
import type { Health } from './health.ts';
import type { Steering } from './steering.ts';

export interface FactsOptions {
  readonly nowMs: () => number;
  readonly log: Logger;
  /** The kind whose workers that supervisor has; undefined: another supervisor of the tree. */
  readonly planOf: (supervisor: ActorId) => KindPlan | undefined;
  readonly engine: () => RunEngine;
  readonly health: () => Health;
  readonly observe: Steering['observe'];
  readonly emit: <N extends keyof FleetEvents>(name: N, event: () => Parameters<FleetEvents[N]>[0]) => void;
}

export function noteFact(options: FactsOptions, supervisor: ActorId, fact: SupervisorFact): void {
  const { log, observe, emit } = options;
  const atMs = options.nowMs();
  const worker = `${supervisor}/${fact.child}`;
  const plan = options.planOf(supervisor);
  switch (fact.at) {
    case 'started':
      if (plan !== undefined) {
        options.health().started(worker);
        observe?.({ type: 'worker.started', atMs, worker, kind: plan.kind });
      }
      return emit('worker.started', () => ({ atMs, worker, incarnation: fact.life }));
    case 'ended':
      return emit('worker.ended', () => ({ atMs, worker, incarnation: fact.life, reason: fact.reason }));
    case 'restarting':
      options.engine().stats.restarts += 1;
      return emit('worker.restarting', () => ({ atMs, worker, inMs: fact.inMs }));
    case 'suspended':
      log.warn({ worker, reasons: fact.reasons }, 'a worker is suspended');
      if (plan !== undefined) {
        options.engine().parkRuns(worker);
        options.health().suspended(plan, worker, fact.reasons);
        observe?.({ type: 'worker.suspended', atMs, worker, kind: plan.kind });
      }
      return emit('worker.suspended', () => ({ atMs, worker, reasons: fact.reasons }));
    case 'resumed':
      options.health().resumed(worker);
      return emit('worker.resumed', () => ({ atMs, worker }));
    case 'stop-error':
      return log.warn({ worker, ...fact }, 'did not stop as it was told to');
    case 'intensity-exceeded': {
      log.error({ supervisor, ...fact }, 'a supervisor gave up');
      const { child, intensity, periodMs } = fact;
      return emit('supervisor.gave-up', () => ({ atMs, supervisor, child, intensity, periodMs }));
    }
    case 'auto-shutdown':
  }
}
