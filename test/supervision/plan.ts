/** Plans: trees of supervisors, and what is done to them, as data that both the model and a real tree can follow. */
import type { RestartType } from '../../actors/kernel/child-spec.ts';

export type Strategy = 'one_for_one' | 'one_for_all' | 'rest_for_one' | 'dynamic';
export type AutoShutdown = 'never' | 'any_significant' | 'all_significant';

/** How one attempt to start goes. `throws` in the start function, `breaks` in the first turn of the actor. */
export type Fate = 'well' | 'ignore' | 'throws' | 'breaks';

/** What a child does when it is told to stop: `deaf` never ends by itself, `breaks` throws. */
export type Manners = 'obeys' | 'ends normally' | 'breaks' | 'deaf';

interface AnyPlan {
  readonly id: string;
  readonly restart: RestartType;
  readonly significant: boolean;
  /** Fates of the first attempts to start at this address, over all its lives; all later ones go well. */
  readonly starts: readonly Fate[];
}

export interface LeafPlan extends AnyPlan {
  readonly at: 'leaf';
  readonly manners: Manners;
  readonly shutdownMs: number;
}

export interface TreePlan extends AnyPlan {
  readonly at: 'tree';
  readonly strategy: Strategy;
  readonly intensity: number;
  readonly periodMs: number;
  readonly autoShutdown: AutoShutdown;
  /** How long a child rests before a restart; 0 is at once, as in OTP. */
  readonly restMs: number;
  /** Of a dynamic supervisor: exactly one, the template. */
  readonly children: readonly Plan[];
}

export type Plan = LeafPlan | TreePlan;

/** How a child ends by itself, or is ended behind the back of its supervisor. */
export type Ending = 'normal' | 'shutdown' | 'crash' | 'kill';

/** One life at one address, such as `root/a#2`; instances of a template share the address `root/*`. */
export type Life = string;

/** What is done to a tree. Supervisors are named by address, children by id, instances of a template by life. */
export type Deed =
  | { readonly at: 'ends'; readonly life: Life; readonly how: Ending }
  | { readonly at: 'startChild'; readonly supervisor: string; readonly plan: Plan }
  | { readonly at: 'terminateChild' | 'restartChild' | 'deleteChild'; readonly supervisor: string; readonly child: string }
  | { readonly at: 'suspendChild' | 'resumeChild'; readonly supervisor: string; readonly child: string; readonly reason: string }
  | { readonly at: 'look'; readonly supervisor: string }
  | { readonly at: 'pass'; readonly ms: number }
  | { readonly at: 'stop' };

export type Reason = 'normal' | 'shutdown' | 'killed' | 'error';

export const OTP_DEADLINE_MS = 5_000;

/** A leaf with OTP's defaults. */
export const leaf = (id: string, plan: Partial<LeafPlan> = {}): LeafPlan => ({
  at: 'leaf',
  id,
  restart: 'permanent',
  significant: false,
  starts: [],
  manners: 'obeys',
  shutdownMs: OTP_DEADLINE_MS,
  ...plan,
});

/** A supervisor with OTP's defaults. */
export const tree = (id: string, children: readonly Plan[], plan: Partial<TreePlan> = {}): TreePlan => ({
  at: 'tree',
  id,
  restart: 'permanent',
  significant: false,
  starts: [],
  strategy: 'one_for_one',
  intensity: 1,
  periodMs: 5_000,
  autoShutdown: 'never',
  restMs: 0,
  children,
  ...plan,
});
