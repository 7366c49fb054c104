/** Breakers in running fleets: an open one parks runs and costs no attempt, and what waits goes on when it closes. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { DependencySpec, Fleet } from 'drover';
import { Testbed } from './harness.ts';
import type { Service } from './harness.ts';

const http = (status: number, headers: object = {}) => Object.assign(new Error(`status ${status}`), { status, headers });

/** A service that may be down, and a kind whose tasks have a single attempt: whatever uses one up, kills. */
class Clinic {
  readonly bed: Testbed;
  readonly service: Service;
  readonly other: Service;
  isDown = false;
  fleet!: Fleet;

  constructor(bed: Testbed, spec: Partial<DependencySpec<unknown, unknown>> = {}) {
    this.bed = bed;
    this.service = bed.service({ attempts: 1, ...spec }, ({ request }) => (this.isDown ? { error: http(500) } : { reply: request }));
    this.other = bed.service();
  }

  static async open(bed: Testbed, spec: Partial<DependencySpec<unknown, unknown>> = {}): Promise<Clinic> {
    const clinic = new Clinic(bed, spec);
    const uses = { service: clinic.service.dependency, other: clinic.other.dependency };
    const work = agent({ uses, attempts: 1, replicas: 8, run: (input: unknown, ctx) => ctx.call('service', input) });
    const aside = agent({ uses, attempts: 1, run: (input: unknown, ctx) => ctx.call('other', input) });
    clinic.fleet = (await bed.start({ agents: { work, aside } })) as never;
    return clinic;
  }

  /** Opens the breaker with as many failures as it takes. */
  async break(failures = 5): Promise<void> {
    this.isDown = true;
    const handles = await this.bed.drive(
      Promise.all(Array.from({ length: failures }, (_, at) => this.fleet.submit('work', `victim ${at}`))),
    );
    await this.bed.drive(Promise.allSettled(handles.map((handle) => handle.result())));
    expect(await this.look()).toMatchObject({ breaker: { at: 'open' } });
    this.isDown = false;
    this.service.calls.length = 0;
  }

  look() {
    return this.bed.drive(this.fleet.dependency('service'));
  }
}

/** So soon after each other that the third limiter is not given the book of the second. */
async function crashTwice(bed: Testbed): Promise<void> {
  const limiter = 'test/dependencies/service';
  const fromMs = bed.nowMs;
  for (let crash = 0; crash < 2; crash += 1) {
    const life = bed.host.incarnationOf(limiter)!;
    bed.crashLimiter('service');
    await bed.until(() => (bed.host.incarnationOf(limiter) ?? life) > life);
  }
  expect(bed.nowMs - fromMs).toBeLessThan(1_000);
}

const BREAKER = { failures: 5, resetAfterMs: 30_000 } as const;

describe('an open breaker', () => {
  test('parks the runs that need it, without an attempt or a call, and they go on when it closes', async () => {
    await using bed = new Testbed();
    const clinic = await Clinic.open(bed, { breaker: BREAKER });
    await clinic.break();
    const brokenMs = bed.nowMs;
    const parked = bed.record(clinic.fleet, 'task.parked');
    const ids = Array.from({ length: 12 }, (_, at) => `t${at}`);
    const handles = await bed.drive(Promise.all(ids.map((id) => clinic.fleet.submit('work', id, { id }))));
    await bed.advance(10_000);
    expect(clinic.service.calls).toEqual([]);
    // Parked it holds no worker, no lease and no permit (S11).
    expect(clinic.fleet.load).toMatchObject({ running: 0, held: 0 });
    expect(await clinic.look()).toMatchObject({ waiting: 0, inFlight: 0 });
    expect(new Set(parked.map(({ reason }) => reason))).toEqual(new Set(['admission']));
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual(ids);
    for (const { atMs } of clinic.service.calls) expect(atMs).toBeGreaterThanOrEqual(brokenMs + 30_000 - 20);
    expect(clinic.fleet.stats).toMatchObject({ dead: 5, completed: 12, retried: 0 });
    for (const id of ids) expect(await clinic.fleet.task(id)).toMatchObject({ status: 'completed', losses: 0 });
  });

  test('of one dependency does not stop another', async () => {
    await using bed = new Testbed();
    const clinic = await Clinic.open(bed, { breaker: BREAKER });
    await clinic.break();
    const fromMs = bed.nowMs;
    expect(await bed.run(clinic.fleet, 'aside', 'hello')).toBe('hello');
    expect(bed.nowMs - fromMs).toBeLessThan(100);
  });

  test('that closes soon is waited for in memory: nobody parks for a second', async () => {
    await using bed = new Testbed();
    const clinic = await Clinic.open(bed, { breaker: { ...BREAKER, resetAfterMs: 1_500 } });
    await clinic.break();
    const parked = bed.record(clinic.fleet, 'task.parked');
    expect(await bed.run(clinic.fleet, 'work', 'patient')).toBe('patient');
    expect(parked).toEqual([]);
  });

  test('S8: lets a single run of many through, and opens again when that fails', async () => {
    await using bed = new Testbed();
    const clinic = await Clinic.open(bed, { breaker: { ...BREAKER, resetAfterMs: { baseMs: 1_500, factor: 2 } } });
    await clinic.break();
    const moved = bed.record(clinic.fleet, 'breaker.moved');
    clinic.isDown = true;
    const handles = await bed.drive(Promise.all(Array.from({ length: 8 }, (_, at) => clinic.fleet.submit('work', at))));
    await bed.until(() => moved.filter(({ at }) => at === 'open').length === 1);
    expect(clinic.service.calls).toHaveLength(1);
    clinic.isDown = false;
    const ends = await bed.drive(Promise.allSettled(handles.map((handle) => handle.result())));
    // The probe that failed had but one attempt.
    expect(ends.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    expect(moved.map(({ at }) => at)).toEqual(['half-open', 'open', 'half-open', 'closed']);
    expect(moved.every(({ dependency }) => dependency === 'service')).toBe(true);
  });

  test('stays open for a limiter that crashes meanwhile', async () => {
    await using bed = new Testbed();
    const clinic = await Clinic.open(bed, { breaker: BREAKER });
    await clinic.break();
    const until = (await clinic.look()).breaker!.untilMs;
    bed.crashLimiter('service');
    await bed.advance(2_000);
    expect((await clinic.look()).breaker).toMatchObject({ at: 'open', untilMs: until });
    expect(await bed.run(clinic.fleet, 'work', 'after')).toBe('after');
    expect(clinic.service.calls[0]!.atMs).toBeGreaterThanOrEqual(until! - 1);
  });
});

describe('by hand', () => {
  test('an isolated dependency parks what needs it until the last handle is released', async () => {
    await using bed = new Testbed();
    const clinic = await Clinic.open(bed);
    const first = clinic.fleet.isolate('service');
    const second = clinic.fleet.isolate('service');
    const handle = await bed.drive(clinic.fleet.submit('work', 'x', { id: 'x' }));
    await bed.advance(5 * 60_000);
    expect(clinic.service.calls).toEqual([]);
    first();
    await bed.advance(5 * 60_000);
    expect(clinic.service.calls).toEqual([]);
    expect(clinic.fleet.stats.retried).toBe(0);
    second();
    expect(await bed.drive(handle.result(), 60_000)).toBe('x');
  });

  test('a reset closes whatever was, and ends every isolation', async () => {
    await using bed = new Testbed();
    const clinic = await Clinic.open(bed, { breaker: { ...BREAKER, resetAfterMs: 3_600_000 } });
    await clinic.break();
    clinic.fleet.isolate('service');
    clinic.fleet.resetBreaker('service');
    expect(
      await bed.drive(
        clinic.fleet.submit('work', 'at once').then((handle) => handle.result()),
        1_000,
      ),
    ).toBe('at once');
  });

  test('isolation survives a limiter that crashes', async () => {
    await using bed = new Testbed();
    const clinic = await Clinic.open(bed);
    const release = clinic.fleet.isolate('service');
    await bed.advance(5_000);
    bed.crashLimiter('service');
    const handle = await bed.drive(clinic.fleet.submit('work', 'x'));
    await bed.advance(5 * 60_000);
    expect(clinic.service.calls).toEqual([]);
    release();
    expect(await bed.drive(handle.result(), 60_000)).toBe('x');
  });

  test('isolation survives a limiter that crashes twice within a second', async () => {
    await using bed = new Testbed();
    const clinic = await Clinic.open(bed);
    const release = clinic.fleet.isolate('service');
    await bed.advance(5_000);
    await crashTwice(bed);
    const handle = await bed.drive(clinic.fleet.submit('work', 'x'));
    await bed.advance(60_000);
    expect(clinic.service.calls).toEqual([]);
    release();
    expect(await bed.drive(handle.result(), 60_000)).toBe('x');
  });

  test('a dependency that nobody knows is refused by name', async () => {
    await using bed = new Testbed();
    const { fleet } = await Clinic.open(bed);
    for (const act of [() => fleet.isolate('serivce'), () => fleet.resetBreaker('serivce')])
      expect(act).toThrow(expect.objectContaining({ code: 'DROVER_UNKNOWN_DEPENDENCY' }));
    expect(await bed.rejection(fleet.dependency('serivce'))).toMatchObject({ code: 'DROVER_UNKNOWN_DEPENDENCY' });
  });
});

describe('a quality breaker', () => {
  test('trips while the status is 200, parks the runs, and closes by a probe that is good', async () => {
    await using bed = new Testbed();
    let text = 'The invoice of May is over 120 euro and was paid.';
    const service = bed.service({ breaker: { resetAfterMs: 30_000, quality: { below: 0.5, outOf: 4 } }, attempts: 1 }, () => ({
      reply: text,
    }));
    const work = agent({ uses: { service: service.dependency }, attempts: 1, run: (input: number, ctx) => ctx.call('service', input) });
    const fleet = await bed.start({ agents: { work } });
    const moved = bed.record(fleet, 'breaker.moved');
    for (let at = 0; at < 10; at += 1) await bed.run(fleet, 'work', at);
    expect(moved).toEqual([]);
    text = '';
    for (let at = 0; moved.length === 0; at += 1) {
      expect(at).toBeLessThan(5);
      await bed.run(fleet, 'work', at);
    }
    expect(moved).toMatchObject([{ at: 'open', why: 'quality', dependency: 'service' }]);
    expect(fleet.stats).toMatchObject({ dead: 0, failed: 0, retried: 0 });
    text = 'The invoice of June is over 80 euro and is open.';
    const calls = service.calls.length;
    const handle = await bed.drive(fleet.submit('work', 99));
    await bed.advance(20_000);
    expect(service.calls).toHaveLength(calls);
    expect(await bed.drive(handle.result())).toBe(text);
    expect(moved.map(({ at }) => at)).toEqual(['open', 'half-open', 'closed']);
  });
});

describe('the retry budget', () => {
  const RETRIES = { share: 0, perSecond: 0, most: 1 } as const;

  test('used up, a run goes back to the store instead of trying again, and no attempt is used', async () => {
    await using bed = new Testbed();
    const service = bed.service({ retries: RETRIES, breaker: false }, ({ request }) =>
      service.calls.length <= 3 ? { error: http(503) } : { reply: request },
    );
    const work = agent({ uses: { service: service.dependency }, attempts: 1, run: (input: unknown, ctx) => ctx.call('service', input) });
    const fleet = await bed.start({ agents: { work } });
    const parked = bed.record(fleet, 'task.parked');
    const handle = await bed.drive(fleet.submit('work', 'x', { id: 'x' }));
    expect(await bed.drive(handle.result())).toBe('x');
    expect(parked.map(({ reason }) => reason)).toEqual(['admission', 'admission']);
    const gaps = service.calls.slice(1).map(({ atMs }, at) => atMs - service.calls[at]!.atMs);
    // The one retry that there was, and then twice a way over the store.
    expect(gaps[0]!).toBeLessThan(600);
    for (const gapMs of gaps.slice(1)) expect(gapMs).toBeGreaterThanOrEqual(5_000);
    expect(fleet.stats).toMatchObject({ retried: 0, callRetries: expect.any(Number) as unknown });
  });

  test('bounds the second tries of all runs together: a share of the first ones, and some a second', async () => {
    await using bed = new Testbed();
    const service = bed.service({ retries: { share: 0.1, perSecond: 0, most: 2 }, breaker: false }, () => ({
      afterMs: 5,
      error: http(500),
    }));
    const work = agent({
      uses: { service: service.dependency },
      attempts: 1,
      replicas: 50,
      run: (input: unknown, ctx) => ctx.call('service', input),
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(Promise.all(Array.from({ length: 50 }, (_, at) => fleet.submit('work', at))));
    await bed.advance(4_000);
    const second = service.calls.filter(({ attempt }) => attempt > 1).length;
    const first = service.calls.length - second;
    expect(first).toBe(50);
    expect(second).toBeLessThanOrEqual(2 + first * 0.1);
    service.respond = ({ request }) => ({ reply: request });
    await bed.until(() => fleet.stats.completed === 50);
    expect(fleet.stats).toMatchObject({ dead: 0, retried: 0 });
  });
});

describe('a Retry-After', () => {
  test('survives a limiter that crashes: nobody is admitted before it', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, ({ request }) =>
      service.calls.length === 1 ? { afterMs: 0, error: http(429, { 'retry-after': '20' }) } : { reply: request },
    );
    const work = agent({ uses: { service: service.dependency }, replicas: 5, run: (input: unknown, ctx) => ctx.call('service', input) });
    const fleet = await bed.start({ agents: { work } });
    await bed.advance(5_000);
    const handles = [await bed.drive(fleet.submit('work', 0))];
    await bed.until(() => service.calls.length === 1);
    const fromMs = bed.nowMs;
    await bed.advance(100);
    bed.crashLimiter('service');
    await bed.advance(500);
    handles.push(...(await bed.drive(Promise.all([1, 2, 3].map((at) => fleet.submit('work', at))))));
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    for (const { atMs } of service.calls.slice(1)) expect(atMs - fromMs).toBeGreaterThanOrEqual(19_999);
  });

  test('survives a limiter that crashes twice within a second', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, ({ request }) =>
      service.calls.length === 1 ? { afterMs: 0, error: http(429, { 'retry-after': '20' }) } : { reply: request },
    );
    const work = agent({ uses: { service: service.dependency }, replicas: 5, run: (input: unknown, ctx) => ctx.call('service', input) });
    const fleet = await bed.start({ agents: { work } });
    await bed.advance(5_000);
    const handles = [await bed.drive(fleet.submit('work', 0))];
    await bed.until(() => service.calls.length === 1);
    const fromMs = bed.nowMs;
    await crashTwice(bed);
    await bed.advance(500);
    handles.push(...(await bed.drive(Promise.all([1, 2, 3].map((at) => fleet.submit('work', at))))));
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    for (const { atMs } of service.calls.slice(1)) expect(atMs - fromMs).toBeGreaterThanOrEqual(19_999);
  });
});
