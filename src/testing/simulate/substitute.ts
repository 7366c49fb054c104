/**
 * Substitute: a copy of a topology for a simulation. Kinds run the same functions, with a `ctx` that is
 * watched; of each dependency only `perform` is another one. The user's own topology is not touched.
 */
import type { Run } from '../../runtime/run.ts';
import type { AnyAgent } from '../../topology/agent.ts';
import type { Context } from '../../topology/context.ts';
import type { AnyDependency } from '../../topology/dependency.ts';
import type { Topology } from '../../topology/fleet.ts';
import { inScope } from '../nondeterminism.ts';
import type { Scope } from '../nondeterminism.ts';
import type { SimulatedProcess } from './process.ts';
import { WatchedRun } from './watched-run.ts';
import type { Watch } from './watched-run.ts';

export function substitute(
  topology: Topology,
  standIn: (name: string, dependency: AnyDependency) => AnyDependency,
  watch: Watch,
  process: () => SimulatedProcess | undefined,
  scope: (task: Scope['task']) => Scope | undefined,
  rejected: (kind: string, error: unknown) => void = () => {},
): Topology {
  const agents = mapped(topology.agents, (_kind, agent) => watched(agent, watch, process, scope, rejected));
  return {
    ...topology,
    agents,
    kinds: mapped(topology.kinds, (kind, plan) => ({ ...plan, agent: agents[kind]! })),
    dependencies: mapped(topology.dependencies, standIn),
  };
}

function watched(
  agent: AnyAgent,
  watch: Watch,
  process: () => SimulatedProcess | undefined,
  scope: (task: Scope['task']) => Scope | undefined,
  rejected: (kind: string, error: unknown) => void,
): AnyAgent {
  const { spec } = agent;
  const { scene } = watch;
  const simulated = (input: unknown, ctx: Context): Promise<unknown> => {
    const its = process();
    const runs = its?.runs;
    const isAlive = (): boolean => its?.isAlive !== false;
    const { id, kind, fence } = ctx.task;
    const around = scope({ id, kind });
    const within = <T>(act: () => T): T => (around === undefined ? act() : inScope(around, act));
    const run = new WatchedRun(ctx as Run, watch, { isAlive, within });
    runs?.set(id, run);
    scene.statistics.runs += 1;
    scene.see({ at: 'run.began', task: id, kind, fence, worker: run.run.worker });
    const over = (): void => {
      run.ended = true;
      if (runs?.get(id) === run) runs.delete(id);
      if (isAlive()) scene.see({ at: 'run.ended', task: id, kind, fence });
    };
    const execute = async (): Promise<unknown> => spec.run(input, run.ctx as never) as unknown;
    const promise = within(execute);
    promise.then(over, (error: unknown) => {
      over();
      if (run.run.over === undefined) rejected(kind, error);
    });
    return promise;
  };
  const copy = Object.assign(Object.create(Object.getPrototypeOf(spec) as object) as typeof spec, spec, { run: simulated });
  return { ...agent, spec: copy };
}

function mapped<T, U>(map: Readonly<Record<string, T>>, change: (name: string, value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name, change(name, value)]));
}
