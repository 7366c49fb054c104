/** The model against rows whose outcome is written in OTP's own documents and suite: who watches the watchman. */
import { expect, test } from 'vitest';
import { Model } from './model.ts';
import { leaf, tree } from './plan.ts';

test('the model starts in order and stops in reverse order', () => {
  const model = new Model(tree('root', [leaf('z'), leaf('a'), leaf('m')]));
  model.do({ at: 'stop' });
  expect(model.seen).toEqual([
    'root#1 starts',
    'root/z#1 starts',
    'root/a#1 starts',
    'root/m#1 starts',
    'root/m#1 ends: shutdown',
    'root/a#1 ends: shutdown',
    'root/z#1 ends: shutdown',
    'root#1 ends: shutdown',
  ]);
});

test('the model undoes what had started when a child fails in the first start', () => {
  const model = new Model(tree('root', [leaf('a'), leaf('b', { starts: ['throws'] }), leaf('c')]));
  expect(model.seen).toEqual(['root#1 starts', 'root/a#1 starts', 'root/b#1 fails', 'root/a#1 ends: shutdown', 'root#1 ends: error']);
  expect(model.living()).toEqual([]);
});

test('the model restarts the rest in order, and drops temporary bystanders', () => {
  const model = new Model(
    tree('root', [leaf('a'), leaf('b'), leaf('c', { restart: 'temporary' }), leaf('d')], { strategy: 'rest_for_one' }),
  );
  const before = model.seen.length;
  model.do({ at: 'ends', life: 'root/b#1', how: 'normal' });
  expect(model.seen.slice(before)).toEqual([
    'root/b#1 ends: normal',
    'root/d#1 ends: shutdown',
    'root/c#1 ends: shutdown',
    'root/b#2 starts',
    'root/d#2 starts',
  ]);
  expect(model.do({ at: 'look', supervisor: 'root' })).toBe(
    'a: root/a#1, worker, permanent; b: root/b#2, worker, permanent; d: root/d#2, worker, permanent; 3,3,0,3',
  );
});

test('the model starts the whole group over when a member fails, and counts each attempt', () => {
  const model = new Model(
    tree('root', [leaf('a'), leaf('b', { starts: ['well', 'throws'] })], { strategy: 'one_for_all', intensity: 3, periodMs: 3_600_000 }),
  );
  const before = model.seen.length;
  model.do({ at: 'ends', life: 'root/a#1', how: 'crash' });
  expect(model.seen.slice(before)).toEqual([
    'root/a#1 ends: error',
    'root/b#1 ends: shutdown',
    'root/a#2 starts',
    'root/b#2 fails',
    'root/a#2 ends: shutdown',
    'root/a#3 starts',
    'root/b#3 starts',
  ]);
  expect(model.restarts).toBe(2);
});

test('the model counts a restart that is exactly one period old', () => {
  const edge = (ms: number): number => {
    const model = new Model(tree('root', [leaf('a')]));
    model.do({ at: 'ends', life: 'root/a#1', how: 'crash' });
    model.do({ at: 'pass', ms });
    model.do({ at: 'ends', life: 'root/a#2', how: 'crash' });
    return model.living().length;
  };
  expect(edge(5_000)).toBe(0);
  expect(edge(5_001)).toBe(2);
});

test('the model lets a supervisor that gives up be restarted by its parent when it is permanent, and not when it is transient', () => {
  const giveUp = (restart: 'permanent' | 'transient'): readonly string[] => {
    const model = new Model(tree('root', [tree('s', [leaf('a')], { intensity: 0, restart })]));
    model.do({ at: 'ends', life: 'root/s/a#1', how: 'crash' });
    return model.living().map(({ path, life }) => `${path}#${life}`);
  };
  expect(giveUp('permanent')).toEqual(['root#1', 'root/s#2', 'root/s/a#2']);
  expect(giveUp('transient')).toEqual(['root#1']);
});

test('the model shuts a supervisor down when the last significant child has ended, and not when one is terminated by hand', () => {
  const significant = { restart: 'temporary', significant: true } as const;
  const model = new Model(tree('root', [leaf('a', significant), leaf('b', significant), leaf('c')], { autoShutdown: 'all_significant' }));
  model.do({ at: 'ends', life: 'root/a#1', how: 'crash' });
  expect(model.living()).toHaveLength(3);
  model.do({ at: 'terminateChild', supervisor: 'root', child: 'b' });
  expect(model.living()).toHaveLength(2);
  model.do({ at: 'startChild', supervisor: 'root', plan: leaf('a', significant) });
  model.do({ at: 'ends', life: 'root/a#2', how: 'normal' });
  expect(model.seen.slice(-3)).toEqual(['root/a#2 ends: normal', 'root/c#1 ends: shutdown', 'root#1 ends: shutdown']);
});

test('the model waits for each deadline in turn, and once for all instances of a template', () => {
  const deaf = { manners: 'deaf', shutdownMs: 20 } as const;
  const fixed = new Model(tree('root', [leaf('a', deaf), leaf('b', deaf)]));
  fixed.do({ at: 'stop' });
  expect(fixed.nowMs).toBe(40);
  const dynamic = new Model(tree('root', [leaf('*', deaf)], { strategy: 'dynamic' }));
  dynamic.do({ at: 'startChild', supervisor: 'root', plan: leaf('*') });
  dynamic.do({ at: 'startChild', supervisor: 'root', plan: leaf('*') });
  dynamic.do({ at: 'stop' });
  expect(dynamic.nowMs).toBe(20);
});

test('the model answers calls about a child that rests as OTP does', () => {
  const model = new Model(tree('root', [leaf('a')], { restMs: 10 }));
  model.do({ at: 'ends', life: 'root/a#1', how: 'crash' });
  expect(model.do({ at: 'startChild', supervisor: 'root', plan: leaf('a') })).toBe('already present');
  expect(model.do({ at: 'restartChild', supervisor: 'root', child: 'a' })).toBe('restarting');
  expect(model.do({ at: 'deleteChild', supervisor: 'root', child: 'a' })).toBe('restarting');
  expect(model.do({ at: 'look', supervisor: 'root' })).toBe('a: restarting, worker, permanent; 1,0,0,1');
  expect(model.do({ at: 'terminateChild', supervisor: 'root', child: 'a' })).toBe('ok');
  model.do({ at: 'pass', ms: 1_000 });
  expect(model.do({ at: 'look', supervisor: 'root' })).toBe('a: none, worker, permanent; 1,0,0,1');
});

test('the model reports a permanent child that ends normally when told to stop, and not a transient one', () => {
  const reported = (restart: 'permanent' | 'transient'): number => {
    const model = new Model(tree('root', [leaf('a', { manners: 'ends normally', restart })]));
    model.do({ at: 'terminateChild', supervisor: 'root', child: 'a' });
    return model.reported.length;
  };
  expect(reported('permanent')).toBe(1);
  expect(reported('transient')).toBe(0);
});
