/** Cases: a tree on a stage, and what a test does to it in one line. */
import { expect, test } from 'vitest';
import type { Ending, Life, Plan, TreePlan } from './plan.ts';
import { Stage } from './stage.ts';

/** First in, first out, and orders of delivery that a seed draws. */
const SEEDS = [undefined, 1, 2, 3, 4, 5] as const;

/** A stage whose tree is up, with a word for each thing that a test does. */
export class Case extends Stage {
  static async open(plan: TreePlan, seed?: number): Promise<Case> {
    const opened = new Case(seed);
    await opened.open(plan);
    opened.seen.length = 0;
    return opened;
  }

  /** What was seen since the last time. */
  news(): readonly string[] {
    return this.seen.splice(0);
  }

  ends(life: Life, how: Ending, ms = 0): Promise<string> {
    return this.do({ at: 'ends', life, how }, ms);
  }

  starts(plan: Plan, supervisor = 'root'): Promise<string> {
    return this.do({ at: 'startChild', supervisor, plan });
  }

  terminates(child: string, supervisor = 'root', ms = 0): Promise<string> {
    return this.do({ at: 'terminateChild', supervisor, child }, ms);
  }

  restarts(child: string, supervisor = 'root'): Promise<string> {
    return this.do({ at: 'restartChild', supervisor, child });
  }

  deletes(child: string, supervisor = 'root'): Promise<string> {
    return this.do({ at: 'deleteChild', supervisor, child });
  }

  looks(supervisor = 'root'): Promise<string> {
    return this.do({ at: 'look', supervisor });
  }

  stops(ms = 0): Promise<string> {
    return this.do({ at: 'stop' }, ms);
  }

  /** Who lives, by name. */
  get lives(): readonly Life[] {
    return [...this.living.keys()].toSorted();
  }
}

/** A test that holds in every order of delivery. */
export function inEveryOrder(name: string, plan: TreePlan, body: (opened: Case) => Promise<void>): void {
  // oxlint-disable-next-line vitest/valid-title -- it is a string, and its callers write it.
  test(name, async () => {
    for (const seed of SEEDS) {
      const opened = await Case.open(plan, seed);
      await body(opened);
      expect(opened.faults).toEqual([]);
      opened.host.close();
    }
  });
}

/** Whether the root is gone, with nobody left behind. */
export function expectOver(opened: Case, at: 'shutdown' | 'normal' = 'shutdown'): void {
  expect(opened.end).toEqual({ at });
  expect(opened.lives).toEqual([]);
}
