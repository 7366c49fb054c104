/** Whoever is in the way of something more urgent is as urgent: also in the line of a limiter, where its call may stand already. */
import { describe, expect, test } from 'vitest';
import { agent, bulkhead } from 'drover';
import type { Context } from 'drover';
import { Testbed } from './harness.ts';
import type { ServiceCall } from './harness.ts';

/** Of one call. */
const CALL_MS = 100;
/** The store is looked through every second, and one call may be under way. */
const SOON_MS = 1_000 + 2 * CALL_MS;

/** Where a task may be, and what it does there: `stream` calls for ever and a day, the others once. */
interface Work {
  readonly who: string;
  readonly writes: readonly string[];
}

/** Twenty tasks of priority 10 that call again and again, before anything else has called. */
const STREAM = Array.from({ length: 20 }, () => ({ input: { who: 'stream', writes: [] }, priority: 10 }));

async function calling(who: string, call: () => Promise<unknown>): Promise<null> {
  for (let calls = 0; calls < (who === 'stream' ? 30 : 1); calls += 1) await call();
  return null;
}

function cameAt(calls: readonly ServiceCall[], who: string): number | undefined {
  return calls.find(({ request }) => request === who)?.atMs;
}

describe('a call that stands in line goes as soon as somebody more urgent waits', () => {
  test('for what its run holds', async () => {
    await using bed = new Testbed();
    const model = bed.service({ limits: { concurrency: 1 } }, () => ({ afterMs: CALL_MS }));
    const run = ({ who }: Work, ctx: Context) => calling(who, () => ctx.call('model', who, { remember: false }));
    const work = agent({ uses: { model: model.dependency }, replicas: 24, writes: ({ writes }: Work) => writes, run });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submitMany('work', STREAM));
    await bed.until(() => model.calls.length > 0);
    await bed.drive(fleet.submit('work', { who: 'holder', writes: ['room'] }, { priority: -10 }));
    await bed.advance(40 * CALL_MS);
    expect(cameAt(model.calls, 'holder')).toBeUndefined();

    const askedMs = bed.nowMs;
    const urgent = await bed.drive(fleet.submit('work', { who: 'urgent', writes: ['room'] }, { priority: 1_000 }));
    await bed.drive(urgent.result());
    expect(cameAt(model.calls, 'holder')! - askedMs).toBeLessThanOrEqual(SOON_MS);
    await bed.close(fleet);
  });

  test('for what its run holds, where it wants a place of a bulkhead', async () => {
    await using bed = new Testbed();
    const came: { readonly request: string; readonly atMs: number }[] = [];
    const gpu = bulkhead({ concurrency: 1 });
    const work = agent({
      uses: { gpu },
      replicas: 24,
      writes: ({ writes }: Work) => writes,
      run: ({ who }, ctx) =>
        calling(who, () =>
          ctx.hold('gpu', () => {
            came.push({ request: who, atMs: bed.nowMs });
            return bed.sleep(CALL_MS);
          }),
        ),
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submitMany('work', STREAM));
    await bed.until(() => came.length > 0);
    await bed.drive(fleet.submit('work', { who: 'holder', writes: ['room'] }, { priority: -10 }));
    await bed.advance(40 * CALL_MS);

    const askedMs = bed.nowMs;
    const urgent = await bed.drive(fleet.submit('work', { who: 'urgent', writes: ['room'] }, { priority: 1_000 }));
    await bed.drive(urgent.result());
    expect(came.find(({ request }) => request === 'holder')!.atMs - askedMs).toBeLessThanOrEqual(SOON_MS);
    await bed.close(fleet);
  });

  test('for who stands in the order of a key behind whoever wants what its run holds', async () => {
    await using bed = new Testbed();
    const model = bed.service({ limits: { concurrency: 1 } }, () => ({ afterMs: CALL_MS }));
    const run = ({ who }: Work, ctx: Context) => calling(who, () => ctx.call('model', who, { remember: false }));
    const spec = { uses: { model: model.dependency }, writes: ({ writes }: Work) => writes, run };
    const work = agent({ ...spec, replicas: 24 });
    const behind = agent({ ...spec, orderKey: () => 'one after the other' });
    const fleet = await bed.start({ agents: { work, behind } });
    await bed.drive(fleet.submitMany('work', STREAM));
    await bed.until(() => model.calls.length > 0);
    await bed.drive(fleet.submit('work', { who: 'holder', writes: ['room'] }, { priority: -10 }));
    await bed.advance(20 * CALL_MS);
    await bed.drive(fleet.submit('behind', { who: 'first', writes: ['room'] }, { priority: -10 }));
    await bed.advance(20 * CALL_MS);
    expect(cameAt(model.calls, 'holder')).toBeUndefined();

    const askedMs = bed.nowMs;
    const urgent = await bed.drive(fleet.submit('behind', { who: 'urgent', writes: [] }, { priority: 1_000 }));
    await bed.drive(urgent.result());
    expect(cameAt(model.calls, 'holder')! - askedMs).toBeLessThanOrEqual(SOON_MS);
    await bed.close(fleet);
  });

  test("for its run's parent, who keeps its turn among those of a key", async () => {
    await using bed = new Testbed();
    const model = bed.service({ limits: { concurrency: 1 } }, () => ({ afterMs: CALL_MS }));
    const shut = bed.service({ breaker: {} });
    const work = agent({
      uses: { model: model.dependency },
      replicas: 24,
      run: ({ who }: Work, ctx) => calling(who, () => ctx.call('model', who, { remember: false })),
    });
    const family = agent({
      uses: { shut: shut.dependency },
      asks: { work },
      orderKey: () => 'one after the other',
      run: ({ who }: Work, ctx) => Promise.all([ctx.ask('work', { who, writes: [] }, { priority: -10 }), ctx.call('shut', who)]),
    });
    const fleet = await bed.start({ agents: { work, family } });
    const release = fleet.isolate('shut');
    await bed.drive(fleet.submitMany('work', STREAM));
    await bed.until(() => model.calls.length > 0);
    await bed.drive(fleet.submit('family', { who: 'child', writes: [] }, { id: 'parent' }));
    await bed.advance(40 * CALL_MS);
    expect(await fleet.task('parent')).toMatchObject({ status: 'parked', parkedFor: 'admission' });
    expect(cameAt(model.calls, 'child')).toBeUndefined();

    const askedMs = bed.nowMs;
    const urgent = await bed.drive(fleet.submit('family', { who: 'urgent', writes: [] }, { priority: 1_000 }));
    await bed.until(() => cameAt(model.calls, 'child') !== undefined);
    expect(cameAt(model.calls, 'child')! - askedMs).toBeLessThanOrEqual(SOON_MS);
    release();
    await bed.drive(urgent.result());
    await bed.close(fleet);
  });
});
