/** Rules: what OTP says of a single supervisor and its children, for the model. Each looks at a state, or forgets a child; none starts or stops one. */
import type { Ending, LeafPlan, Life, Plan, Reason, TreePlan } from './plan.ts';

/** A child of the tree, or its root. What a supervisor knows is in the same record: a tree has few fields. */
export interface Member {
  readonly plan: Plan;
  readonly path: string;
  readonly parent: Member | undefined;
  at: 'none' | 'restarting' | 'up' | 'suspended';
  /** Number of its present life, or of its last. */
  life: number;
  /** In which order, over the whole tree, this life began. */
  born: number;
  /** In order of starting. */
  children: Member[];
  /** Times of restarts that still count. */
  restarts: number[];
}

export type Started = 'started' | 'ignored' | 'failed';

export const REASONS: Record<Ending, Reason> = { normal: 'normal', shutdown: 'shutdown', crash: 'error', kill: 'killed' };

/** The name of a member's life. */
export const lifeOf = ({ path, life }: Member): Life => `${path}#${life}`;

/** A member that has not lived yet. */
export const member = (plan: Plan, path: string, parent: Member | undefined): Member => ({
  plan,
  path,
  parent,
  at: 'none',
  life: 0,
  born: 0,
  children: [],
  restarts: [],
});

/** The child of this id. */
export const find = ({ children }: Member, id: string): Member | undefined => children.find(({ plan }) => plan.id === id);
/** A supervisor's strategy. */
export const strategyOf = ({ plan }: Member): TreePlan['strategy'] => (plan as TreePlan).strategy;
/** What instances of a dynamic supervisor are made of. */
export const templateOf = ({ plan }: Member): Plan => (plan as TreePlan).children[0]!;

/** Who is restarted when this child is: not those who are suspended. */
export function groupOf(supervisor: Member, child: Member): readonly Member[] {
  const strategy = strategyOf(supervisor);
  if (strategy === 'one_for_one' || strategy === 'dynamic') return [child];
  const first = strategy === 'one_for_all' ? 0 : supervisor.children.indexOf(child);
  return supervisor.children.slice(first).filter(({ at }) => at !== 'suspended');
}

/** Forgets what is not to be started again: temporary children, and instances. What remains has no life. */
export function drop(child: Member): void {
  child.at = 'none';
  if (child.parent !== undefined && strategyOf(child.parent) === 'dynamic') remove(child);
  else dropTemporary(child);
}

/** Forgets a child that is not to be started again. */
export function dropTemporary(child: Member): void {
  if (child.plan.restart === 'temporary') remove(child);
}

/** Forgets a child. */
export function remove(child: Member): void {
  child.parent!.children = child.parent!.children.filter((other) => other !== child);
}

/** What `deleteChild` does and answers. */
export function deleteChild(supervisor: Member, id: string): string {
  if (strategyOf(supervisor) === 'dynamic') return 'dynamic';
  const child = find(supervisor, id);
  if (child === undefined) return 'not_found';
  if (child.at === 'up') return 'running';
  if (child.at === 'restarting') return 'restarting';
  remove(child);
  return 'ok';
}

/** Whether a significant child that has gone takes its supervisor along. */
export function isToShutDown({ plan, children }: Member): boolean {
  const { autoShutdown } = plan as TreePlan;
  if (autoShutdown === 'any_significant') return true;
  return autoShutdown === 'all_significant' && !children.some((child) => child.plan.significant && child.at !== 'none');
}

/** A significant child needs a supervisor that minds it, and must be able to end for good. */
export const isRefused = ({ plan }: Member, { significant, restart }: Plan): boolean =>
  significant && ((plan as TreePlan).autoShutdown === 'never' || restart === 'permanent');

/** How long a leaf makes whoever stops it wait. */
export const takesMs = ({ manners, shutdownMs }: LeafPlan): number => (manners === 'deaf' ? shutdownMs : 0);

/** How a leaf ends when it is told to stop. */
export function reasonWhenStopped({ manners, shutdownMs }: LeafPlan): Reason {
  if (shutdownMs === 0 || manners === 'deaf') return 'killed';
  if (manners === 'breaks') return 'error';
  return manners === 'obeys' ? 'shutdown' : 'normal';
}

/** A kill is as wanted when it was asked for; a normal end is, unless the child is permanent. */
export function isReported({ restart, shutdownMs }: LeafPlan, reason: Reason): boolean {
  if (reason === 'shutdown') return false;
  if (reason === 'killed') return shutdownMs > 0;
  return reason === 'error' || restart === 'permanent';
}

/** What a start is answered with. */
export const inWords = (started: Started, child: Member): string => (started === 'started' ? `started ${lifeOf(child)}` : started);

/** What `whichChildren` and `countChildren` say. */
export function look(supervisor: Member): string {
  const { children } = supervisor;
  const dynamic = strategyOf(supervisor) === 'dynamic';
  const lines = children.map((child) => {
    const who = child.at === 'up' ? lifeOf(child) : child.at;
    return `${dynamic ? '*' : child.plan.id}: ${who}, ${typeOf(child.plan)}, ${child.plan.restart}`;
  });
  const count = (holds: (child: Member) => boolean): number => children.filter(holds).length;
  const active = count(({ at }) => at === 'up');
  const supervisors = count(({ plan }) => plan.at === 'tree');
  const counts = [dynamic ? 1 : children.length, active, supervisors, children.length - supervisors];
  return [...lines, counts.join(',')].join('; ');
}

const typeOf = ({ at }: Plan): 'worker' | 'supervisor' => (at === 'tree' ? 'supervisor' : 'worker');
