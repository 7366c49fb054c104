/** Random skeletons: two classes of processes, a server, and a child class, over three resources. */
import fc from 'fast-check';
import { acquire, ask, end, go, join, receive, release, reply, spawn } from '../../../src/testing/explore/skeleton.ts';
import type { ProcessClass, Skeleton, SkeletonMove } from '../../../src/testing/explore/skeleton.ts';

const chain = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('r0', 'r1', 'r2').map((name) => ({ is: 'acquire' as const, name })) },
    { weight: 2, arbitrary: fc.constant({ is: 'release' as const }) },
    { weight: 1, arbitrary: fc.constant({ is: 'ask' as const }) },
    { weight: 1, arbitrary: fc.constant({ is: 'child' as const }) },
    { weight: 1, arbitrary: fc.constant({ is: 'go' as const }) },
  ),
  { maxLength: 5 },
);

type Link = typeof chain extends fc.Arbitrary<(infer L)[]> ? L : never;

/** A class that goes through its links, then gives everything back and ends (or rests, or goes on for ever). */
function classOf(name: string, count: number, links: readonly Link[], last: 'end' | 'rest' | 'child'): ProcessClass {
  const states: Record<string, readonly SkeletonMove[]> = {};
  for (const [at, link] of links.entries()) {
    const to = `s${at + 1}`;
    switch (link.is) {
      case 'acquire':
        states[`s${at}`] = [acquire(link.name, to)];
        break;
      case 'release':
        states[`s${at}`] = [release('all', to)];
        break;
      case 'ask':
        states[`s${at}`] = name === 'server' ? [go(to)] : [ask('mail', to)];
        break;
      case 'child':
        states[`s${at}`] = name === 'child' || name === 'server' ? [go(to)] : [spawn('child', `v${at}`)];
        // One more, or not; and it waits for one of them only.
        states[`v${at}`] = [spawn('child', `w${at}`, { most: 2 }), go(`w${at}`)];
        states[`w${at}`] = [join(to)];
        break;
      case 'go':
        states[`s${at}`] = [go(to)];
        break;
    }
  }
  const finish: readonly SkeletonMove[] = last === 'rest' ? [release('all', 'idle')] : [end()];
  const start = name === 'server' ? { idle: [receive('mail', 's0')] } : last === 'rest' ? { idle: [go('s0')] } : {};
  const over: readonly SkeletonMove[] = name === 'server' ? [release('all', 'answers')] : finish;
  return {
    name,
    count,
    start: Object.keys(start)[0] ?? 's0',
    rests: last === 'end' || name === 'child' ? [] : ['idle'],
    states: { ...start, ...states, [`s${links.length}`]: over, ...(name === 'server' ? { answers: [reply('idle')] } : {}) },
  };
}

export const skeletons: fc.Arbitrary<Skeleton> = fc
  .record({ one: chain, other: chain, server: chain, child: chain, rests: fc.boolean(), crashes: fc.boolean(), faults: fc.nat(1) })
  .map(({ one, other, server, child, rests, crashes, faults }) => ({
    name: 'random',
    resources: { r0: 1, r1: 2, r2: 1 },
    mailboxes: { mail: 1 },
    faults,
    processes: [
      { ...classOf('one', 2, one, rests ? 'rest' : 'end'), ...(crashes ? { crash: { to: 's0' } } : {}) },
      classOf('other', 2, other, 'rest'),
      { ...classOf('server', 1, server, 'rest'), ...(crashes ? { crash: { to: 'idle' } } : {}) },
      classOf('child', 0, child, 'child'),
    ],
  }));
