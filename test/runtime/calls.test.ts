/** Calls: admitted, timed, read, tried again; and whatever happens, the permit comes home. */
import { describe, expect, test } from 'vitest';
import { agent, dependency } from 'drover';
import type { DependencySpec, Fleet } from 'drover';
import { Testbed } from './harness.ts';
import type { Service, ServiceCall } from './harness.ts';

/** One call of the service a task; `request` is the input. */
async function calling(bed: Testbed, service: Service, spec: object = {}) {
  const work = agent({
    uses: { service: service.dependency },
    attempts: 1,
    ...spec,
    run: (input: unknown, ctx) => ctx.call('service', input),
  });
  return bed.start({ agents: { work } });
}

async function failureOf(bed: Testbed, fleet: Fleet<never>, input: unknown = 1): Promise<unknown> {
  const handle = await bed.drive((fleet as Fleet).submit('work', input as never));
  return ((await bed.rejection(handle.result())).detail as { error: unknown }).error;
}

const http = (status: number, headers: object = {}) => Object.assign(new Error(`status ${status}`), { status, headers });

/** What the limiter says is out. */
function inFlight(bed: Testbed): number {
  return (bed.host.snapshotOf('test/dependencies/service') as { readonly state: { readonly inFlight: number } }).state.inFlight;
}

describe('a call that fails', () => {
  test('transiently is tried again, with jitter below a doubling ceiling, and then rejects with its cause', async () => {
    const gaps: number[][] = [];
    for (let seed = 0; seed < 30; seed += 1) {
      await using bed = new Testbed(seed);
      const service = bed.service({ attempts: 5 }, () => ({ afterMs: 0, error: http(503) }));
      const fleet = await calling(bed, service);
      expect(await failureOf(bed, fleet as never)).toMatchObject({
        code: 'DROVER_CALL_FAILED',
        message: 'call of service failed (overloaded, 5 of its tries): status 503',
        cause: { message: 'status 503' },
      });
      expect(service.calls.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5]);
      gaps.push(service.calls.slice(1).map(({ atMs }, at) => atMs - service.calls[at]!.atMs));
      expect(fleet.stats).toMatchObject({ calls: 5, callRetries: 4 });
    }
    for (const [tries, ceilingMs] of [500, 1_000, 2_000, 4_000].entries()) {
      const waits = gaps.map((row) => row[tries]!);
      for (const waitMs of waits) expect(waitMs).toBeLessThanOrEqual(ceilingMs + 1);
      expect(Math.max(...waits)).toBeGreaterThan(ceilingMs / 2);
    }
  });

  test('is tried four times unless the dependency says otherwise', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ error: new Error('no') }));
    await failureOf(bed, (await calling(bed, service)) as never);
    expect(service.calls).toHaveLength(4);
  });

  test('permanently is not tried again, and fails the task at once', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ error: http(400) }));
    const fleet = await calling(bed, service, { attempts: 5 });
    expect(await failureOf(bed, fleet as never)).toMatchObject({ code: 'DROVER_CALL_FAILED', retryable: false });
    expect(service.calls).toHaveLength(1);
    expect(fleet.stats).toMatchObject({ failed: 1, retried: 0 });
  });

  test('can be caught, and the run goes on', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, ({ request }) => (request === 'bad' ? { error: http(400) } : { reply: request }));
    const work = agent({
      uses: { service: service.dependency },
      run: async (_input: null, ctx) => [
        await ctx.call('service', 'bad').catch((error: { detail: unknown }) => error.detail),
        await ctx.call('service', 'good'),
      ],
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toEqual([{ dependency: 'service', attempts: 1, failure: 'permanent' }, 'good']);
  });

  test('before its run looks at it is no reason to end the process', async () => {
    await using bed = new Testbed();
    const unhandled: unknown[] = [];
    const note = (reason: unknown): number => unhandled.push(reason);
    process.on('unhandledRejection', note);
    const service = bed.service({}, () => ({ afterMs: 0, error: http(400) }));
    const work = agent({
      uses: { service: service.dependency },
      async run(_input: null, ctx) {
        const never = ctx.call('service', 'never settled for');
        const early = ctx.call('service', 'looked at late');
        await ctx.step('long', () => bed.sleep(1_000));
        return Promise.race([early, never]).catch((error: { code: string }) => error.code);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toBe('DROVER_CALL_FAILED');
    await bed.settle();
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });

  test('by throwing before its first await counts like any other, and does not wedge the queue', async () => {
    await using bed = new Testbed();
    let thrown = 0;
    const service: Service = {
      ...bed.service(),
      dependency: dependency({
        limits: { concurrency: 1 },
        attempts: 2,
        perform(request: unknown): Promise<unknown> {
          if (request === 'throw') {
            thrown += 1;
            throw new Error('at once');
          }
          return Promise.resolve(request);
        },
      }),
    };
    const fleet = await calling(bed, service);
    const handles = await bed.drive(Promise.all(['first', 'throw', 'third'].map((input) => fleet.submit('work', input))));
    const outcomes = await bed.drive(Promise.allSettled(handles.map((handle) => handle.result())));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(thrown).toBe(2);
    expect(inFlight(bed)).toBe(0);
  });
});

describe('Retry-After', () => {
  const waits: readonly [string, Record<string, string>, number, number][] = [
    ['retry-after-ms goes before retry-after', { 'retry-after-ms': '10', 'retry-after': '5' }, 10, 510],
    ['a part of a second', { 'retry-after': '0.1' }, 100, 600],
    ['seconds', { 'retry-after': '30' }, 30_000, 30_500],
    ['too long: own backoff', { 'retry-after': '120' }, 0, 500],
    ['negative: own backoff', { 'retry-after': '-1' }, 0, 500],
    ['unreadable: own backoff', { 'retry-after': 'abc' }, 0, 500],
  ];
  test.each(waits)('%s', async (_name, headers, leastMs, mostMs) => {
    for (const status of [429, 503]) {
      await using bed = new Testbed();
      const service = bed.service({}, ({ attempt }) => (attempt === 1 ? { afterMs: 0, error: http(status, headers) } : { reply: 'done' }));
      await bed.run(await calling(bed, service), 'work', 1);
      const waitMs = service.calls[1]!.atMs - service.calls[0]!.atMs;
      expect(waitMs).toBeGreaterThanOrEqual(leastMs);
      expect(waitMs).toBeLessThanOrEqual(mostMs + 1);
    }
  });

  test('a date', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, ({ attempt, atMs }) =>
      attempt === 1 ? { afterMs: 0, error: http(429, { 'retry-after': new Date(atMs + 2_000).toUTCString() }) } : { reply: 'done' },
    );
    await bed.run(await calling(bed, service), 'work', 1);
    const waitMs = service.calls[1]!.atMs - service.calls[0]!.atMs;
    expect(waitMs).toBeGreaterThan(1_000);
    expect(waitMs).toBeLessThan(2_501);
  });

  test('after a 429 nobody is admitted before it', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 5 } }, ({ request, attempt }) =>
      request === 0 && attempt === 1 ? { afterMs: 0, error: http(429, { 'retry-after': '20' }) } : { reply: request },
    );
    const fleet = await calling(bed, service, { replicas: 5 });
    const first = await bed.drive(fleet.submit('work', 0));
    await bed.advance(1);
    const fromMs = bed.nowMs;
    const others = await bed.drive(Promise.all([1, 2, 3].map((at) => fleet.submit('work', at))));
    await bed.drive(Promise.all([first, ...others].map((handle) => handle.result())));
    for (const { atMs } of service.calls.slice(1)) expect(atMs - fromMs).toBeGreaterThan(19_990);
    expect(fleet.stats).toMatchObject({ rateLimited: 1, callRetries: 1 });
  });

  test('after a 503 others are admitted as before', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, ({ request, attempt }) =>
      request === 0 && attempt === 1 ? { afterMs: 0, error: http(503, { 'retry-after': '20' }) } : { reply: request },
    );
    const fleet = await calling(bed, service, { replicas: 5 });
    await bed.drive(fleet.submit('work', 0));
    await bed.advance(1);
    const fromMs = bed.nowMs;
    await bed.run(fleet, 'work', 1);
    expect(bed.nowMs - fromMs).toBeLessThan(100);
  });
});

describe('a call that takes too long', () => {
  test('is aborted, frees its slot, and counts once, whatever comes of it later', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 2 }, timeoutMs: 1_000, attempts: 1 }, () => ({ never: true }));
    const fleet = await calling(bed, service, { replicas: 4 });
    const failed = bed.record(fleet, 'call.failed');
    const handles = await bed.drive(Promise.all([1, 2].map((at) => fleet.submit('work', at))));
    await bed.until(() => service.calls.length === 2);
    expect(inFlight(bed)).toBe(2);
    const errors = await bed.drive(
      Promise.all(handles.map((handle) => handle.result().catch((error: { detail: { error: unknown } }) => error.detail.error))),
    );
    for (const error of errors)
      expect(error).toMatchObject({
        code: 'DROVER_CALL_FAILED',
        cause: { code: 'DROVER_CALL_TIMEOUT', message: expect.stringContaining('1000 ms (timeoutMs)') as unknown },
      });
    expect(inFlight(bed)).toBe(0);
    expect(failed).toMatchObject([
      { failure: 'transient', again: false, error: { code: 'DROVER_CALL_TIMEOUT' } },
      { failure: 'transient' },
    ]);
    for (const call of service.calls) expect(call.aborted).toMatchObject({ code: 'DROVER_CALL_TIMEOUT' });
    service.respond = () => ({ reply: 'well again' });
    expect(await bed.run(fleet, 'work', 3)).toBe('well again');
  });

  test('by ignoring its signal cannot answer any more', async () => {
    await using bed = new Testbed();
    const late: (() => void)[] = [];
    const deaf = dependency({
      timeoutMs: 1_000,
      attempts: 2,
      perform: (_request: unknown, { attempt }) =>
        new Promise<string>((resolve) => void late.push(() => resolve(`answer of try ${attempt}`))),
    });
    const work = agent({ uses: { deaf }, run: (input: unknown, ctx) => ctx.call('deaf', input) });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', 1));
    await bed.until(() => late.length === 2);
    late[0]!();
    await bed.advance(1);
    late[1]!();
    expect(await bed.drive(handle.result())).toBe('answer of try 2');
    expect(fleet.stats).toMatchObject({ calls: 2, callRetries: 1 });
  });

  test('is measured from its admission, not from when it was asked for', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 }, timeoutMs: 1_000 }, ({ request }) => ({ afterMs: 900, reply: request }));
    const fleet = await calling(bed, service, { replicas: 4 });
    expect(await bed.drive(Promise.all([1, 2, 3, 4].map((at) => bed.run(fleet, 'work', at))))).toEqual([1, 2, 3, 4]);
    expect(service.calls).toHaveLength(4);
  });

  test('each at its own time, among many that overlap', async () => {
    await using bed = new Testbed();
    const service = bed.service({ timeoutMs: 1_000, attempts: 1 }, ({ request }) =>
      Number(request) % 3 === 0 ? { never: true } : { afterMs: 700, reply: request },
    );
    const fleet = await calling(bed, service, { replicas: 40 });
    for (let at = 0; at < 40; at += 1) {
      await bed.drive(fleet.submit('work', at));
      await bed.advance(70);
    }
    await bed.advance(5_000);
    expect(await fleet.counts()).toMatchObject({ work: { completed: 26, dead: 14 } });
    const ms = (call: ServiceCall): number => Math.round(call.endedAtMs! - call.atMs);
    expect(service.calls.filter(({ aborted }) => aborted !== undefined).map(ms)).toEqual(Array.from({ length: 14 }, () => 1_000));
  });
});

describe('a dependency whose functions misbehave', () => {
  const reply = { reply: 'fine' };
  const spoken = (usage: unknown): Partial<DependencySpec<unknown, unknown>> => ({ usage: () => usage as never });

  test.each([
    ['no usage', spoken(undefined)],
    ['null', spoken(null)],
    ['a number', spoken(5)],
    ['half a usage', spoken({ inputTokens: 5 })],
    ['negative numbers', spoken({ inputTokens: -5, outputTokens: 1 })],
    ['no numbers', spoken({ inputTokens: NaN, outputTokens: 1 })],
    ['endless numbers', spoken({ inputTokens: Infinity, outputTokens: 1 })],
    ['texts', spoken({ inputTokens: '5', outputTokens: '6' })],
    [
      'usage that throws',
      {
        usage: () => {
          throw new Error('usage');
        },
      },
    ],
    [
      'a price that throws',
      {
        ...spoken({ inputTokens: 1, outputTokens: 1 }),
        price: () => {
          throw new Error('price');
        },
      },
    ],
    ['a price that is no number', { ...spoken({ inputTokens: 1, outputTokens: 1 }), price: () => NaN }],
    ['an estimate that is no number', { estimate: () => NaN }],
    ['an endless estimate', { estimate: () => Infinity }],
    ['a negative estimate', { estimate: () => -10 }],
    ['an estimate that is a text', { estimate: () => 'lots' as never }],
  ] as readonly [string, Partial<DependencySpec<unknown, unknown>>][])(
    '%s: the calls go on, and so do those after them',
    async (_name, spec) => {
      await using bed = new Testbed();
      const service = bed.service({ limits: { concurrency: 1, tokensPerMinute: 60_000, requestsPerMinute: 6_000 }, ...spec }, () => reply);
      const fleet = await calling(bed, service, { replicas: 3 });
      expect(await bed.drive(Promise.all([1, 2, 3, 4, 5].map((at) => bed.run(fleet, 'work', at))), 10_000)).toHaveLength(5);
      expect(inFlight(bed)).toBe(0);
      for (const sum of Object.values(fleet.stats)) expect(sum).toSatisfy(Number.isFinite);
    },
  );

  test.each([
    [
      'throws',
      () => {
        throw new Error('classify');
      },
    ],
    ['says nothing', () => undefined],
    ['says nonsense', () => ({ at: 'whatever' })],
    ['asks for a wait that is no time', () => ({ at: 'rate-limited', retryAfterMs: NaN })],
    ['asks for an endless wait', () => ({ at: 'transient', retryAfterMs: Infinity })],
    ['asks for a negative wait', () => ({ at: 'transient', retryAfterMs: -5_000 })],
  ])('classify %s: the call is still tried again, its permit comes home', async (_name, classify) => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 }, classify: classify as never }, ({ attempt }) =>
      attempt < 3 ? { error: http(503) } : reply,
    );
    const fleet = await calling(bed, service);
    expect(await bed.drive(bed.run(fleet, 'work', 1), 10_000)).toBe('fine');
    expect(service.calls).toHaveLength(3);
    expect(inFlight(bed)).toBe(0);
  });

  test('an estimate that throws rejects that call', async () => {
    await using bed = new Testbed();
    const service = bed.service({
      estimate() {
        throw new Error('no idea');
      },
    });
    const fleet = await calling(bed, service);
    expect(await failureOf(bed, fleet as never)).toMatchObject({ message: 'no idea' });
  });

  test('an estimate larger than a minute of the limit is refused at once, and blocks nobody', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { tokensPerMinute: 1_000 }, estimate: (request) => request as number });
    const fleet = await calling(bed, service, { replicas: 2 });
    const fromMs = bed.nowMs;
    expect(await failureOf(bed, fleet as never, 5_000)).toMatchObject({
      code: 'DROVER_CALL_FAILED',
      retryable: false,
      cause: { code: 'DROVER_CALL_TOO_LARGE', message: expect.stringContaining('5000 tokens') as unknown },
    });
    expect(bed.nowMs - fromMs).toBeLessThan(10);
    expect(await bed.run(fleet, 'work', 10)).toBe(10);
    expect(service.calls).toHaveLength(1);
  });

  test('perform that gives no promise has given its reply', async () => {
    await using bed = new Testbed();
    let times = 0;
    const sync = dependency({
      limits: { concurrency: 1 },
      perform: ((request: number) => {
        times += 1;
        return request * 2;
      }) as unknown as (request: number) => Promise<number>,
    });
    const work = agent({ uses: { sync }, run: (input: number, ctx) => ctx.call('sync', input) });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', 21)).toBe(42);
    expect(await bed.run(fleet, 'work', 1)).toBe(2);
    expect(times).toBe(2);
  });
});

describe('usage', () => {
  test('is charged by estimate and settled to what was really used; a refused call has used none', async () => {
    await using bed = new Testbed();
    // A burst of a second: 100 tokens. What is owed beyond it has to be waited off, 10 ms a token.
    const service = bed.service(
      { limits: { tokensPerMinute: 6_000 }, safetyMargin: 0, estimate: () => 100, usage: (used) => used as never, attempts: 1 },
      ({ request }) =>
        request === 'refused'
          ? { afterMs: 0, error: http(429) }
          : { afterMs: 0, reply: { inputTokens: Number(request) / 2, outputTokens: Number(request) / 2 } },
    );
    const fleet = await calling(bed, service, { replicas: 10 });
    const duration = async (first: unknown): Promise<number> => {
      await bed.advance(600_000);
      await bed.run(fleet, 'work', first).catch(() => {});
      const fromMs = bed.nowMs;
      await bed.run(fleet, 'work', 100);
      await bed.run(fleet, 'work', 100);
      return Math.round(bed.nowMs - fromMs);
    };
    const settled = await duration(100);
    expect((await duration(600)) - settled).toBeCloseTo(5_000, -2);
    expect(await duration('refused')).toBeLessThan(settled);
    expect(fleet.stats).toMatchObject({ inputTokens: 650, outputTokens: 650, rateLimited: 1 });
  });

  test('is summed, priced, and told', async () => {
    await using bed = new Testbed();
    const service = bed.service(
      {
        usage: () => ({ inputTokens: 30, outputTokens: 12 }),
        price: ({ inputTokens, outputTokens }) => (inputTokens + outputTokens * 10) / 100,
      },
      () => ({ afterMs: 250 }),
    );
    const fleet = await calling(bed, service);
    const completed = bed.record(fleet, 'call.completed');
    await bed.run(fleet, 'work', 1);
    expect(completed).toMatchObject([{ dependency: 'service', inputTokens: 30, outputTokens: 12, usd: 1.5, ms: 250 }]);
    expect(fleet.stats).toMatchObject({ calls: 1, inputTokens: 30, outputTokens: 12, usd: 1.5 });
  });
});

describe('a call whose run is over', () => {
  test.each([
    ['waits for admission', 1],
    ['is in flight', 0],
  ] as const)('while it %s gives back what it holds', async (_name, victim) => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 } }, ({ request }) => ({ afterMs: 2_000, reply: request }));
    const fleet = await calling(bed, service, { replicas: 3, losses: 5 });
    const handles: { result(): Promise<unknown> }[] = [];
    for (const at of [0, 1, 2]) {
      handles.push(await bed.drive(fleet.submit('work', at)));
      await bed.advance(10);
    }
    expect(inFlight(bed)).toBe(1);
    bed.crashWorker('work', victim);
    await bed.settle();
    expect(inFlight(bed)).toBe(1);
    expect(service.inFlight).toBe(1);
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual([0, 1, 2]);
    expect(service.peak).toBe(1);
    expect(inFlight(bed)).toBe(0);
  });

  test('while it is in flight gives its permit back, even when nobody heeds its signal', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 } }, () => ({ never: service.calls.length === 1, reply: 'done' }));
    const fleet = await calling(bed, service);
    const handle = await bed.drive(fleet.submit('work', 1));
    await bed.until(() => service.calls.length === 1);
    bed.crashWorker('work');
    await bed.settle();
    expect(inFlight(bed)).toBe(0);
    expect(await bed.drive(handle.result(), 5_000)).toBe('done');
  });

  test('while it waits for admission leaves the line', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 } }, () => ({ afterMs: 60_000 }));
    const fleet = await calling(bed, service, { replicas: 3 });
    const started = bed.record(fleet, 'task.started');
    await bed.drive(Promise.all(['a', 'b', 'c'].map((id) => fleet.submit('work', id, { id }))));
    await bed.until(() => service.inFlight === 1);
    const line = (): number =>
      (bed.host.snapshotOf('test/dependencies/service') as { readonly state: { readonly line: { readonly size: number } } }).state.line
        .size;
    expect(line()).toBe(2);
    for (const { id, worker } of started) if (id !== service.calls[0]!.request) bed.crashWorker('work', Number(worker.at(-1)));
    await bed.settle();
    expect(line()).toBe(0);
    expect(inFlight(bed)).toBe(1);
  });

  test('since another one has won the race is aborted', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 } }, () => ({ afterMs: 60_000 }));
    const work = agent({
      uses: { service: service.dependency },
      async run(_input: null, ctx) {
        await Promise.race([ctx.call('service', 1), ctx.call('service', 2), ctx.step('wait', () => bed.sleep(100))]);
        return 'done';
      },
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toBe('done');
    await bed.settle();
    expect(service.calls).toMatchObject([{ request: 1, aborted: { code: 'DROVER_RUN_OVER' } }]);
    expect(inFlight(bed)).toBe(0);
  });

  test('while it rests between tries is not tried again', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 0, error: http(503, { 'retry-after': '5' }) }));
    const fleet = await calling(bed, service, { runTimeoutMs: 1_000 });
    const handle = await bed.drive(fleet.submit('work', 1));
    await bed.rejection(handle.result());
    await bed.advance(20_000);
    expect(service.calls).toHaveLength(1);
  });
});

describe('a run that waits long for admission', () => {
  test('parks without an attempt used, holds nothing meanwhile, and comes back', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 } }, ({ request }) => ({
      afterMs: request === 'long' ? 70_000 : 10,
      reply: request,
    }));
    const fleet = await calling(bed, service, { replicas: 2 });
    const parked = bed.record(fleet, 'task.parked');
    const long = await bed.drive(fleet.submit('work', 'long', { id: 'long' }));
    await bed.advance(10);
    const handle = await bed.drive(fleet.submit('work', 'short', { id: 'short' }));
    await bed.until(() => parked.length === 1);
    expect(bed.nowMs - parked[0]!.atMs).toBe(0);
    expect(parked[0]).toMatchObject({ id: 'short', reason: 'admission' });
    expect(await fleet.task('short')).toMatchObject({ status: 'parked', parkedFor: 'admission', attempt: 0 });
    expect(fleet.load).toMatchObject({ running: 1, held: 1 });
    const parkedAtMs = bed.nowMs;
    await bed.until(() => fleet.load.running === 2);
    expect(bed.nowMs - parkedAtMs).toBeGreaterThanOrEqual(5_000);
    expect(bed.nowMs - parkedAtMs).toBeLessThan(11_500);
    expect(await bed.drive(Promise.all([long.result(), handle.result()]))).toEqual(['long', 'short']);
    expect(await fleet.task('short')).toMatchObject({ attempt: 1, losses: 0 });
    expect(service.calls).toHaveLength(2);
    expect(inFlight(bed)).toBe(0);
  });

  test('does not park before half a minute', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 } }, () => ({ afterMs: 29_000, reply: 1 }));
    const fleet = await calling(bed, service, { replicas: 2 });
    await bed.drive(Promise.all([1, 2].map((at) => bed.run(fleet, 'work', at))));
    expect(fleet.stats.parked).toBe(0);
  });

  test('does not park while another call of it is in flight', async () => {
    await using bed = new Testbed();
    const slow = bed.service({}, () => ({ afterMs: 100_000, reply: 'slow' }));
    const scarce = bed.service({ limits: { requestsPerMinute: 1 }, safetyMargin: 0, burstMs: 1 }, ({ request }) => ({ reply: request }));
    const work = agent({
      uses: { slow: slow.dependency, scarce: scarce.dependency },
      run: (_input: null, ctx) => Promise.all([ctx.call('slow', 1), ctx.call('scarce', 1), ctx.call('scarce', 2)]),
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toEqual(['slow', 1, 2]);
    expect(fleet.stats.parked).toBe(0);
    expect(slow.calls).toHaveLength(1);
  });

  test('an outage of hours that is all waiting uses no attempt and ends well', async () => {
    await using bed = new Testbed();
    const backMs = bed.nowMs + 2 * 3_600_000;
    const service = bed.service({}, () =>
      bed.nowMs < backMs ? { afterMs: 0, error: http(429, { 'retry-after': '60' }) } : { reply: 'done' },
    );
    const fleet = await calling(bed, service, { replicas: 3 });
    const handles = await bed.drive(Promise.all([1, 2, 3].map((at) => fleet.submit('work', at))));
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())), 4 * 3_600_000)).toEqual(['done', 'done', 'done']);
    expect(fleet.stats).toMatchObject({ dead: 0, retried: 0 });
  });
});
