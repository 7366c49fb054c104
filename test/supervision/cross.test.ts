/** Every strategy x restart type x way of ending x position of the child, and what its siblings are, against the model. */
import { expect, test } from 'vitest';
import { leaf, tree } from './plan.ts';
import type { Ending, Fate, Strategy } from './plan.ts';
import { play } from './play.ts';
import type { Step } from './play.ts';

const strategies = ['one_for_one', 'one_for_all', 'rest_for_one', 'dynamic'] as const satisfies readonly Strategy[];
const restartTypes = ['permanent', 'transient', 'temporary'] as const;
const positions = ['first', 'middle', 'last'] as const;

/** How the child ends: by itself, behind its supervisor's back, by a call, or again and again because it cannot come back. */
const ways = {
  'ends normally': { how: 'normal' },
  'ends with shutdown': { how: 'shutdown' },
  crashes: { how: 'crash' },
  'is killed': { how: 'kill' },
  'crashes, and throws once when it is started again': { how: 'crash', later: ['throws'] },
  'crashes, and breaks once in its first turn': { how: 'crash', later: ['breaks'] },
  'crashes, and is ignored when it is started again': { how: 'crash', later: ['ignore'] },
  'crashes, and can never be started again': { how: 'crash', later: ['throws', 'breaks', 'throws', 'breaks', 'throws', 'breaks'] },
  'is terminated': { call: 'terminateChild' },
  'is terminated, and restarted by hand': { call: 'restartChild' },
  'is terminated, and deleted': { call: 'deleteChild' },
} as const satisfies Record<string, { readonly how?: Ending; readonly later?: readonly Fate[]; readonly call?: string }>;

const siblingsOf = ['permanent', 'transient', 'temporary', 'permanent, and deaf', 'permanent, and failing once'] as const;

function plan(
  strategy: Strategy,
  restart: (typeof restartTypes)[number],
  at: number,
  way: keyof typeof ways,
  sibling: string,
  intensity: number,
) {
  const { later = [] } = ways[way] as { readonly later?: readonly Fate[] };
  const starts: readonly Fate[] = strategy === 'dynamic' ? ['well', 'well', 'well', ...later] : ['well', ...later];
  if (strategy === 'dynamic') return tree('root', [leaf('*', { restart, starts, shutdownMs: 20 })], { strategy, intensity });
  const kind = sibling.startsWith('permanent') ? 'permanent' : (sibling as 'transient' | 'temporary');
  const conduct = {
    manners: sibling.endsWith('deaf') ? ('deaf' as const) : ('obeys' as const),
    starts: sibling.endsWith('once') ? (['well', 'throws'] as const) : [],
  };
  const children = ['n', 'd', 'r'].map((id, place) =>
    leaf(id, place === at ? { restart, starts } : { restart: kind, shutdownMs: 20, ...conduct }),
  );
  return tree('root', children, { strategy, intensity });
}

function history(strategy: Strategy, at: number, way: keyof typeof ways): readonly Step[] {
  const template = leaf('*');
  const before: readonly Step[] = strategy === 'dynamic' ? [0, 1, 2].map(() => ({ at: 'startChild', where: 0, plan: template })) : [];
  const done = ways[way] as { readonly how?: Ending; readonly call?: 'terminateChild' | 'restartChild' | 'deleteChild' };
  const call = (name: 'terminateChild' | 'restartChild' | 'deleteChild'): Step => ({ at: name, where: 0, whom: at });
  const deed: readonly Step[] =
    done.how === undefined
      ? [call('terminateChild'), ...(done.call === 'terminateChild' ? [] : [call(done.call!)])]
      : [{ at: 'ends', who: at, how: done.how }];
  // Once more, for what remains must still be sound, and the end.
  return [...before, ...deed, { at: 'pass', ms: 1 }, { at: 'ends', who: 0, how: 'crash' }, { at: 'stop' }];
}

for (const strategy of strategies) {
  for (const restart of restartTypes) {
    for (const [at, position] of positions.entries()) {
      test(`under ${strategy} a ${restart} child in ${position} place does as OTP says, however it ends and whatever its siblings are`, async () => {
        let played = 0;
        for (const way of Object.keys(ways) as (keyof typeof ways)[]) {
          for (const sibling of strategy === 'dynamic' ? [''] : siblingsOf) {
            for (const intensity of [0, 1, 4]) {
              await play(plan(strategy, restart, at, way, sibling, intensity), history(strategy, at, way)).catch((error: unknown) => {
                throw new Error(`${way}, siblings ${sibling}, intensity ${intensity}`, { cause: error });
              });
              played += 1;
            }
          }
        }
        expect(played).toBe(Object.keys(ways).length * 3 * (strategy === 'dynamic' ? 1 : siblingsOf.length));
      });
    }
  }
}
