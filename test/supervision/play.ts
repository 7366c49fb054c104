/** Plays a history on the model and on a real tree, and says where they part. */
import { Model } from './model.ts';
import type { Deed, Ending, Plan, TreePlan } from './plan.ts';
import { lifeOf } from './rules.ts';
import { Stage } from './stage.ts';

/** A deed before anybody knows who lives: numbers are taken modulo what there is to choose from. */
export type Step =
  | { readonly at: 'ends'; readonly who: number; readonly how: Ending }
  | { readonly at: 'startChild'; readonly where: number; readonly plan: Plan }
  | { readonly at: 'terminateChild' | 'restartChild' | 'deleteChild'; readonly where: number; readonly whom: number }
  | { readonly at: 'suspendChild' | 'resumeChild'; readonly where: number; readonly whom: number; readonly reason: string }
  | { readonly at: 'pass'; readonly ms: number }
  | { readonly at: 'stop' };

type Call = Extract<Step, { readonly where: number }>;

/**
 * Follows the steps on both sides. Throws with the whole history when they part: other starts or ends
 * or another order of them, another answer, others alive, another end of the root.
 */
export async function play(plan: TreePlan, steps: readonly Step[]): Promise<void> {
  const model = new Model(plan);
  const stage = new Stage();
  const history: string[] = [];
  const agree = (what: string, expected: unknown, actual: unknown): void => {
    const [wanted, got] = [JSON.stringify(expected), JSON.stringify(actual)];
    if (wanted !== got)
      throw new Error([`${what} differ`, ...history, `model: ${wanted}`, `tree:  ${got}`, JSON.stringify(plan)].join('\n'));
  };
  let told = 0;
  const compare = (): void => {
    agree('events', inAnyOrderOfInstances(model.seen.slice(told)), inAnyOrderOfInstances(stage.seen.slice(told)));
    told = model.seen.length;
    agree('lives', model.living().map(lifeOf).toSorted(), [...stage.living.keys()].toSorted());
    agree('faults', [], stage.faults);
  };
  await stage.open(plan, model.nowMs);
  history.push(`open; ${model.seen.join('; ')}`);
  compare();
  for (const step of steps) {
    const deed = resolve(model, step);
    if (deed === undefined) continue;
    const startMs = model.nowMs;
    const deeds: readonly Deed[] = [deed, ...model.supervisors().map(({ path }): Deed => ({ at: 'look', supervisor: path }))];
    for (const done of deeds) {
      if (done.at === 'look' && !model.supervisors().some(({ path }) => path === done.supervisor)) continue;
      const before = model.seen.length;
      const expected = model.do(done);
      if (done.at !== 'look') history.push(`${JSON.stringify(done)} -> ${expected}; ${model.seen.slice(before).join('; ')}`);
      agree('answers', expected, await stage.do(done, done === deed ? model.nowMs - startMs : 0));
      if (done === deed) compare();
    }
  }
  const isOver = model.living().length === 0;
  if (stage.refusal === undefined) agree('ends of the root', isOver, stage.end !== undefined);
  agree('reports', model.reported.toSorted(), stage.reports.toSorted());
  agree('messages and timers', isOver ? 0 : stage.host.pending.messages, stage.host.pending.messages);
  stage.host.close();
}

/** What the steps come to, given who lives. Undefined when there is nobody to do it to. */
export function resolve(model: Model, step: Step): Deed | undefined {
  const [root, ...rest] = model.living();
  if (root === undefined) return undefined;
  switch (step.at) {
    case 'pass':
    case 'stop':
      return step;
    case 'ends': {
      // While one rests nobody else ends: which of two comes back first is left to chance.
      if (model.isResting || rest.length === 0) return undefined;
      const child = rest[step.who % rest.length]!;
      const asTree = step.how === 'kill' ? 'kill' : 'shutdown';
      return { at: 'ends', life: lifeOf(child), how: child.plan.at === 'tree' ? asTree : step.how };
    }
    case 'resumeChild':
      // It may fail to come up, and rest beside another.
      return model.isResting ? undefined : call(model, step);
    default:
      return call(model, step);
  }
}

const NOBODY = 'nobody';

function call(model: Model, step: Call): Deed {
  const supervisors = model.supervisors();
  const supervisor = supervisors[step.where % supervisors.length]!;
  const isDynamic = (supervisor.plan as TreePlan).strategy === 'dynamic';
  if (step.at === 'startChild') return { ...step, supervisor: supervisor.path, plan: isDynamic ? { ...step.plan, id: '*' } : step.plan };
  // An instance has no id of its own to be suspended by.
  const isForInstances = isDynamic && (step.at === 'suspendChild' || step.at === 'resumeChild');
  const names = isForInstances ? [NOBODY] : [...supervisor.children.map((child) => (isDynamic ? lifeOf(child) : child.plan.id)), NOBODY];
  return { ...step, supervisor: supervisor.path, child: names[step.whom % names.length]! };
}

/** Instances are all told at once, so the order in which they end is nobody's promise. */
function inAnyOrderOfInstances(seen: readonly string[]): readonly string[] {
  const isInstance = (line: string): boolean => line.includes('/*#') && line.includes(' ends: ');
  const runs: string[][] = [];
  for (const [at, line] of seen.entries()) {
    if (at > 0 && isInstance(line) && isInstance(seen[at - 1]!)) runs.at(-1)!.push(line);
    else runs.push([line]);
  }
  return runs.flatMap((run) => run.toSorted());
}
