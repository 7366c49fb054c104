/**
 * Histories in which nothing waits for anything: children end, calls come and time passes while others
 * are still on their way, under an order of delivery that a seed draws. No model can say what will be
 * seen, but some things must hold always.
 */
import { fc, test } from '@fast-check/vitest';
import { histories, plans } from './histories.ts';
import { Model } from './model.ts';
import type { Deed, TreePlan } from './plan.ts';
import { resolve } from './play.ts';
import type { Step } from './play.ts';
import { isStill, promises, Stage } from './stage.ts';

const numRuns = 1_500;
const LONG_MS = 1_000_000;

/** A step, and how many turns are taken before the next one. */
type Hasty = readonly [step: Step, turns: number];

const seeds = fc.integer({ min: 1, max: 1_000_000 });
const hasty = (rests: boolean): fc.Arbitrary<readonly Hasty[]> =>
  fc
    .tuple(histories({ rests }), fc.array(fc.constantFrom(0, 0, 1, 2, 3, 5, 50), { minLength: 30, maxLength: 30 }))
    .map(([steps, turns]) => steps.map((step, at): Hasty => [step, turns[at]!]));

/** What the step means to whoever lives at this moment. */
function aimed(stage: Stage, plan: TreePlan, step: Step): Deed | undefined {
  if (step.at === 'ends') {
    const lives = [...stage.living.keys()].filter((life) => !life.startsWith(`${plan.id}#`));
    const life = lives[step.who % lives.length];
    if (life === undefined) return undefined;
    const asTree = step.how === 'kill' ? 'kill' : 'shutdown';
    return { at: 'ends', life, how: stage.isTree(life) ? asTree : step.how };
  }
  // The model is only asked for names: addresses and ids do not depend on what happened.
  const deed = resolve(new Model(plan), step);
  return deed?.at === 'ends' ? undefined : deed;
}

async function storm(seed: number, plan: TreePlan, steps: readonly Hasty[]): Promise<void> {
  const stage = new Stage(seed);
  await stage.open(plan, LONG_MS);
  if (stage.supervisor === undefined) return;
  const answers: Promise<unknown>[] = [];
  for (const [step, turns] of steps) {
    const deed = aimed(stage, plan, step);
    if (deed?.at === 'pass') stage.run(deed.ms);
    else if (deed?.at === 'ends') stage.tell(deed.life, deed.how);
    else if (deed !== undefined) answers.push(stage.begin(deed).catch((error: unknown) => error));
    for (let turn = 0; turn < turns && stage.host.step(); turn += 1);
    await promises();
  }
  await stage.wait(LONG_MS);
  await agreesWithItself(stage);
  keepsItsIntensity(stage);
  await stage.do({ at: 'stop' }, LONG_MS);
  await stage.finish(Promise.all(answers), LONG_MS);
  const left = [...stage.living.keys(), ...stage.faults];
  if (left.length > 0) throw new Error(`left behind, or wrong: ${left.join(', ')}`);
  if (!isStill(stage)) throw new Error(`not still: ${JSON.stringify(stage.host.pending)}`);
  if (stage.host.actorCount > 0) throw new Error(`actors are left: ${[...stage.host.ids()].join(', ')}`);
}

/** When all has settled, who is listed as running runs, and nobody else does. */
async function agreesWithItself(stage: Stage): Promise<void> {
  const trees = [...stage.living.keys()].filter((life) => stage.isTree(life));
  const listed = await Promise.all(trees.map((life) => stage.do({ at: 'look', supervisor: stage.living.get(life)!.actor })));
  const lives = [...stage.living.keys()].filter((life) => !life.startsWith('root#'));
  const missing = lives.filter((life) => !listed.some((line) => `${line} `.includes(`${life},`)));
  const said = listed.join(' ').match(/\S+#\d+(?=,)/g) ?? [];
  const dead = said.filter((life) => !stage.living.has(life));
  if (missing.length + dead.length > 0) throw new Error(`not listed: ${missing.join(', ')}; listed but dead: ${dead.join(', ')}`);
}

/** In one life of a supervisor no more restarts fall within a period than its intensity allows. */
function keepsItsIntensity(stage: Stage): void {
  const bySupervisor = Map.groupBy(
    stage.facts.filter(({ at }) => at === 'restarting'),
    ({ of }) => of,
  );
  for (const [life, facts] of bySupervisor) {
    const { intensity, periodMs } = stage.settings.get(life)!;
    for (const [at, { atMs }] of facts.entries()) {
      const beyond = facts[at + intensity];
      if (beyond !== undefined && beyond.atMs - atMs <= periodMs)
        throw new Error(`${life} restarts more often than ${intensity} in ${periodMs} ms`);
    }
  }
}

for (const rests of [false, true]) {
  test(
    `whatever the order of delivery${rests ? ', with rests' : ''}, no child lives twice, none outlives its supervisor, and a stop leaves nothing`,
    { timeout: 120_000 },
    () => fc.assert(fc.asyncProperty(seeds, plans({ rests }), hasty(rests), storm), { numRuns, seed: 1 }),
  );
}
