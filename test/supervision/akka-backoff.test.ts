/** Cases of Akka's and Pekko's backoff supervisors, on `createSupervisor`. */
import { expect, test } from 'vitest';
import { createSupervisor } from '../../supervisors/create-supervisor.ts';
import { Case } from './cases.ts';
import { leaf, tree } from './plan.ts';
import type { Fate } from './plan.ts';

const always = (fate: Fate): readonly Fate[] => Array.from({ length: 50 }, () => fate);

/** How long each rest is, by failing every attempt. */
async function rests(baseMs: number, capMs: number, seed: number): Promise<readonly number[]> {
  const opened = await Case.open(tree('root', []), seed);
  const child = opened.child(leaf('a', { starts: ['well', ...always('throws')] }), 'backing/a');
  const inMs: number[] = [];
  const spec = { intensity: 12, periodMs: 1_000_000_000, backoff: { baseMs, capMs }, children: [child] };
  const onFact = (_supervisor: string, fact: { readonly at: string; readonly inMs?: number }): void =>
    void (fact.at === 'restarting' && inMs.push(fact.inMs!));
  await opened.finish(createSupervisor(spec, { host: opened.host, clock: opened.clock, name: 'backing', onFact }), 0);
  opened.host.send('backing/a', { type: 'crash' });
  await opened.wait(100_000_000);
  return inMs;
}

test('BACK calculateDelay: rests double from the base up to the cap, with jitter within them', async () => {
  const seen: (readonly number[])[] = [];
  for (const seed of [1, 2, 3, 4, 5]) seen.push(await rests(100, 10_000, seed));
  for (const one of seen) {
    expect(one).toHaveLength(12);
    for (const [at, inMs] of one.entries()) {
      expect(inMs).toBeGreaterThanOrEqual(0);
      expect(inMs).toBeLessThanOrEqual(Math.min(10_000, 100 * 2 ** at));
    }
  }
  // Over five seeds the longest of the late rests is far above the first ones.
  expect(Math.max(...seen.flat())).toBeGreaterThan(1_000);
});

test('BACK reset: after a stretch of health the backoff begins anew', async () => {
  const opened = await Case.open(tree('root', []));
  const inMs: number[] = [];
  const spec = {
    intensity: 100,
    periodMs: 1_000,
    backoff: { baseMs: 100, capMs: 100_000 },
    healthyMs: 10_000,
    children: [opened.child(leaf('a'), 'backing/a')],
  };
  const onFact = (_supervisor: string, fact: { readonly at: string; readonly inMs?: number }): void =>
    void (fact.at === 'restarting' && inMs.push(fact.inMs!));
  await opened.finish(createSupervisor(spec, { host: opened.host, clock: opened.clock, name: 'backing', onFact }), 0);
  const fail = async (): Promise<void> => {
    opened.host.send('backing/a', { type: 'crash' });
    await opened.wait(9_000);
  };
  for (let times = 0; times < 6; times += 1) await fail();
  const [, , , , , sixth] = inMs;
  await opened.wait(100_000);
  await fail();
  expect(inMs.at(-1)).toBeLessThanOrEqual(100);
  expect(sixth).toBeLessThanOrEqual(3_200);
});

test('BACK onStop, onFailure: a child that ends normally comes back only if it is permanent', async () => {
  const opened = await Case.open(tree('root', [leaf('stop'), leaf('failure', { restart: 'transient' })], { restMs: 10 }));
  await opened.ends('root/stop#1', 'normal', 100);
  await opened.ends('root/failure#1', 'normal', 100);
  expect(opened.lives).toEqual(['root#1', 'root/stop#2']);
});
