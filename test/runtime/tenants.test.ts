/** Tenants and kinds that share a dependency: each has its part of it, whatever the others ask for. */
import { describe, expect, test } from 'vitest';
import { agent, defineFleet, dependency } from 'drover';
import type { DependencySpec, Fleet } from 'drover';
import { Testbed } from './harness.ts';
import type { Service } from './harness.ts';

interface Job {
  readonly tenant: string;
  readonly at: number;
  readonly tokens?: number;
}

const SLOW: Partial<DependencySpec<unknown, unknown>> = { limits: { concurrency: 2 }, estimate: (request) => (request as Job).tokens ?? 1 };

const kind = (service: Service, replicas: number) =>
  agent({
    uses: { service: service.dependency },
    replicas,
    tenant: (input: Job) => input.tenant,
    run: (input: Job, ctx) => ctx.call('service', input),
  });

async function begin(bed: Testbed, fleet: Fleet<never>, name: string, jobs: readonly Job[]) {
  return bed.drive(Promise.all(jobs.map((job) => (fleet as Fleet).submit(name, job as never))));
}

const jobs = (tenant: string, count: number, tokens?: number): Job[] =>
  Array.from({ length: count }, (_, at) => ({ tenant, at, ...(tokens === undefined ? {} : { tokens }) }));

const servedIn = (service: Service): string[] => service.calls.map(({ request }) => (request as Job).tenant);
const count = (tenants: readonly string[], tenant: string): number => tenants.filter((name) => name === tenant).length;

describe('tenants', () => {
  test('share a dependency alike, though one of them asks for far more', async () => {
    await using bed = new Testbed();
    const service = bed.service(SLOW, () => ({ afterMs: 100, reply: null }));
    const fleet = await bed.start({ agents: { work: kind(service, 80) } });
    await begin(bed, fleet as never, 'work', jobs('loud', 60));
    await bed.advance(10);
    const quiet = await begin(bed, fleet as never, 'work', jobs('quiet', 10));
    const fromMs = bed.nowMs;
    await bed.drive(Promise.all(quiet.map((handle) => handle.result())));
    // Ten of its own among as many of the other's, two at a time.
    expect(bed.nowMs - fromMs).toBeLessThanOrEqual(1_300);
    await bed.until(() => fleet.stats.completed === 70);
    expect(service.peak).toBe(2);
  });

  test.each([
    ['in the line', undefined],
    ['in mailboxes', (job: Job) => `host ${job.at % 10}`],
  ])('have their shares of the workers by weight, where nearly all that may run has been claimed (%s)', async (_where, affinity) => {
    await using bed = new Testbed();
    const started: string[] = [];
    const work = agent({
      replicas: 8,
      tenant: ({ tenant }: Job) => tenant,
      tenantWeights: { paid: 3 },
      // Ten hosts are paid for, thirty are not: only the head of each order may run, and is claimed as soon as it is one.
      orderKey: ({ tenant, at }: Job) => `${tenant} ${at % (tenant === 'paid' ? 10 : 30)}`,
      ...(affinity === undefined ? {} : { affinity }),
      run: async ({ tenant }: Job) => {
        started.push(tenant);
        await bed.sleep(1_000);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    await begin(bed, fleet as never, 'work', [...jobs('free', 600), ...jobs('paid', 200)]);
    await bed.until(() => started.length >= 160);
    // Three of four, but for what had started before.
    expect(count(started.slice(0, 160), 'paid')).toBeGreaterThanOrEqual(affinity === undefined ? 110 : 80);
  });

  test('that are none wait for the loud one: without `tenant` a kind is one flow', async () => {
    await using bed = new Testbed();
    const service = bed.service(SLOW, () => ({ afterMs: 100, reply: null }));
    const work = agent({ uses: { service: service.dependency }, replicas: 80, run: (input: Job, ctx) => ctx.call('service', input) });
    const fleet = await bed.start({ agents: { work } });
    await begin(bed, fleet as never, 'work', jobs('loud', 60));
    await bed.advance(10);
    const quiet = await begin(bed, fleet as never, 'work', jobs('quiet', 10));
    const fromMs = bed.nowMs;
    await bed.drive(Promise.all(quiet.map((handle) => handle.result())));
    expect(bed.nowMs - fromMs).toBeGreaterThan(2_500);
  });

  test('have shares by weight', async () => {
    await using bed = new Testbed();
    const service = bed.service({ ...SLOW, weights: { tenants: { gold: 3, base: 1 } } }, () => ({ afterMs: 100, reply: null }));
    const fleet = await bed.start({ agents: { work: kind(service, 90) } });
    await begin(bed, fleet as never, 'work', [...jobs('gold', 40), ...jobs('base', 40)]);
    await bed.until(() => service.calls.length >= 42);
    const served = servedIn(service).slice(2, 42);
    expect(count(served, 'gold')).toBeGreaterThanOrEqual(27);
    expect(count(served, 'gold')).toBeLessThanOrEqual(33);
  });

  test('share by tokens where there is a rate of them: the one with the large calls has fewer', async () => {
    await using bed = new Testbed();
    const service = bed.service({ ...SLOW, limits: { concurrency: 2, tokensPerMinute: 6_000_000 } }, () => ({ afterMs: 100, reply: null }));
    const fleet = await bed.start({ agents: { work: kind(service, 90) } });
    await begin(bed, fleet as never, 'work', [...jobs('large', 40, 400), ...jobs('small', 40, 100)]);
    await bed.until(() => service.calls.length >= 42);
    const served = servedIn(service).slice(2, 42);
    expect(count(served, 'small')).toBeGreaterThanOrEqual(29);
    expect(count(served, 'small')).toBeLessThanOrEqual(35);
  });

  test('keep their shares over crashes of the limiter', async () => {
    await using bed = new Testbed();
    const service = bed.service(SLOW, () => ({ afterMs: 100, reply: null }));
    const fleet = await bed.start({ agents: { work: kind(service, 80) } });
    await begin(bed, fleet as never, 'work', jobs('loud', 60));
    await bed.advance(10);
    const quiet = await begin(bed, fleet as never, 'work', jobs('quiet', 10));
    const fromMs = bed.nowMs;
    await bed.advance(250);
    bed.crashLimiter('service');
    await bed.drive(Promise.all(quiet.map((handle) => handle.result())));
    expect(bed.nowMs - fromMs).toBeLessThanOrEqual(3_000);
    expect(service.peak).toBe(2);
  });
});

describe('kinds', () => {
  test('of one tenant share alike, and by weight', async () => {
    for (const [weights, least, most] of [
      [{}, 17, 23],
      [{ kinds: { a: 3 } }, 27, 33],
    ] as const) {
      await using bed = new Testbed();
      const service = bed.service({ ...SLOW, weights }, () => ({ afterMs: 100, reply: null }));
      const fleet = await bed.start({ agents: { a: kind(service, 45), b: kind(service, 45) } });
      await begin(
        bed,
        fleet as never,
        'a',
        jobs('us', 40).map((job) => ({ ...job, kind: 'a' })),
      );
      await begin(
        bed,
        fleet as never,
        'b',
        jobs('us', 40).map((job) => ({ ...job, kind: 'b' })),
      );
      await bed.until(() => service.calls.length >= 50);
      const served = service.calls.slice(10, 50).map(({ request }) => (request as { kind: string }).kind);
      expect(count(served, 'a')).toBeGreaterThanOrEqual(least);
      expect(count(served, 'a')).toBeLessThanOrEqual(most);
    }
  });
});

describe('priority', () => {
  test('goes first within a tenant, and not before another tenant’s turn', async () => {
    await using bed = new Testbed();
    const service = bed.service({ ...SLOW, limits: { concurrency: 1 } }, () => ({ afterMs: 100, reply: null }));
    const fleet = await bed.start({ agents: { work: kind(service, 60) } });
    await begin(bed, fleet as never, 'work', [...jobs('us', 10), ...jobs('them', 10)]);
    await bed.advance(10);
    const urgent = await bed.drive(Promise.all([100, 101, 102].map((at) => fleet.submit('work', { tenant: 'us', at }, { priority: 9 }))));
    await bed.drive(Promise.all(urgent.map((handle) => handle.result())));
    const served = service.calls.map(({ request }) => request as Job);
    const ours = served.filter(({ tenant }) => tenant === 'us').map(({ at }) => at);
    const place = ours.indexOf(100);
    expect(place).toBeLessThanOrEqual(2);
    expect(ours.slice(place, place + 3)).toEqual([100, 101, 102]);
    const theirs = served
      .slice(
        0,
        served.findIndex(({ at }) => at === 102),
      )
      .filter(({ tenant }) => tenant === 'them').length;
    expect(theirs).toBeGreaterThanOrEqual(2);
  });
});

describe('bad input', () => {
  test('a tenant that cannot be told is refused at submit by a clear error, and holds nobody up', async () => {
    await using bed = new Testbed();
    const service = bed.service(SLOW);
    const work = agent({
      uses: { service: service.dependency },
      attempts: 1,
      tenant: (input: { tenant?: { name: string } }) => input.tenant!.name,
      run: (input, ctx) => ctx.call('service', input),
    });
    const fleet = await bed.start({ agents: { work } });
    const refusal = await bed.rejection(fleet.submit('work', {}));
    expect(refusal).toMatchObject({ code: 'DROVER_PAYLOAD_INVALID', message: expect.stringContaining('tenant of work') as unknown });
    expect(refusal.message).toContain("reading 'name'");
    expect(await bed.run(fleet, 'work', { tenant: { name: 'us' } })).toEqual({ tenant: { name: 'us' } });
  });

  test('a tenant that is no text is refused, and a strange one is taken by its text: the limiter does not crash over it', async () => {
    for (const tenant of [5, null, undefined, {}, ['us'], Number.NaN, '__proto__', 'constructor']) {
      await using bed = new Testbed();
      const service = bed.service({ ...SLOW, limits: { concurrency: 1 }, weights: { tenants: { us: 2 } } }, ({ request }) => ({
        reply: request,
      }));
      const work = agent({
        uses: { service: service.dependency },
        attempts: 1,
        replicas: 4,
        tenant: () => tenant as string,
        run: (input: number, ctx) => ctx.call('service', input),
      });
      const fleet = await bed.start({ agents: { work } });
      const life = bed.host.incarnationOf('test/dependencies/service');
      const runs = [1, 2, 3, 4].map(async (at) => (await fleet.submit('work', at)).result());
      const outcomes = await bed.drive(Promise.allSettled(runs), 10_000);
      const isName = typeof tenant === 'string' || tenant === undefined;
      expect([tenant, outcomes.map(({ status }) => status === 'fulfilled')]).toEqual([tenant, Array(4).fill(isName)]);
      expect([tenant, bed.host.incarnationOf('test/dependencies/service')]).toEqual([tenant, life]);
    }
  });

  test.each([
    ['nothing', { tenants: { a: 0 } }],
    ['less than nothing', { kinds: { a: -1 } }],
    ['no number', { tenants: { a: Number.NaN } }],
    ['endless', { tenants: { a: Infinity } }],
    ['of an unknown sort', { people: { a: 1 } }],
  ])('a weight that is %s is refused', (_name, weights) => {
    expect(() => dependency({ perform: async () => 1, weights: weights as never })).toThrow(
      expect.objectContaining({ code: 'DROVER_TOPOLOGY' }),
    );
  });

  test('a `tenant` that is no function is refused', () => {
    expect(() => defineFleet({ name: 'test', agents: { a: agent({ run: async () => 1, tenant: 'us' as never }) } })).toThrow(/tenant/);
  });
});
