/** The meta-agent and the autoscaler at work in running fleets, in virtual time, with the default rules and limits. */
import { describe, expect, test } from 'vitest';
import { pino } from 'pino';
import { agent, defineFleet } from 'drover';
import type { Context, Fleet, FleetOptions, HealthContext } from 'drover';
import type { Host } from '../../actors/host/host.ts';
import { startFleetWith } from '../../src/runtime/fleet.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import type { AutoscaleSpec } from '../../supervisors/autoscale-policy.ts';
import type { Service } from './harness.ts';
import { Testbed } from './harness.ts';

const BAD = 'test/agents/work/0';
const META = 'test/steering/meta-agent';
const MINUTE_MS = 60_000;
const ILLS = ['slow', 'failing', 'garbage', 'spending', 'looping'] as const;
type Ill = (typeof ILLS)[number];

interface WardOptions {
  /** What is wrong with worker 0 of eight; undefined: nothing. */
  readonly ill: Ill | undefined;
  readonly onPersonNeeded?: FleetOptions['onPersonNeeded'];
  readonly concurrency?: number;
  /** Default true. */
  readonly hasCheck?: boolean;
  /** Whether what the looping worker calls is remembered; when not, it needs no store. */
  readonly remember?: boolean;
}

/** A kind of eight workers that always have something to do, one of them ill in every incarnation until it is cured. */
class Ward {
  readonly bed: Testbed;
  readonly model: Service;
  readonly tool: Service;
  ill: Ill | undefined;
  /** Of the whole kind. */
  slower = 1;
  fleet!: Fleet;
  /** What was decided about whom, without what was only told. */
  readonly steps: string[] = [];
  /** Of these, what was more than a note. */
  readonly commands: string[] = [];
  readonly suspended: string[] = [];
  readonly persons: string[] = [];
  readonly #options: WardOptions;
  readonly #workers = new Map<string, string>();
  #tasks = 0;

  constructor(bed: Testbed, options: WardOptions) {
    this.bed = bed;
    this.ill = options.ill;
    this.#options = options;
    const { concurrency } = options;
    const spec = {
      usage: (reply: unknown) => ({ inputTokens: (reply as { tokens: number }).tokens, outputTokens: 0 }),
      price: ({ inputTokens }: { inputTokens: number }) => inputTokens / 1e6,
      ...(concurrency === undefined ? {} : { limits: { concurrency } }),
    };
    this.model = bed.service(spec, ({ key }) => {
      const ill = this.#illOf(this.#callerOf(key));
      const afterMs = (800 + bed.random.next() * 400) * (ill === 'slow' ? 5 : 1) * this.slower;
      return { afterMs, reply: { tokens: ill === 'spending' ? 100_000 : 5_000, well: ill === undefined } };
    });
    this.tool = bed.service({}, () => ({ afterMs: 50, reply: 'the same as ever' }));
  }

  static async open(bed: Testbed, options: WardOptions): Promise<Ward> {
    const ward = new Ward(bed, options);
    const uses = { model: ward.model.dependency, tool: ward.tool.dependency };
    const healthCheck = async (ctx: HealthContext<typeof uses>) => ((await ctx.call('model', 'ping')) as { well: boolean }).well;
    const checked = options.hasCheck === false ? {} : { healthCheck };
    const work = agent({ uses, replicas: 8, ...checked, run: (input: unknown, ctx) => ward.#run(input, ctx) });
    const spec = { metaAgent: {}, staggerMs: 0, agents: { work } };
    const { onPersonNeeded } = options;
    ward.fleet = (onPersonNeeded === undefined ? await bed.start(spec) : await ward.#startWith(spec, onPersonNeeded)) as never;
    ward.#listen();
    for (let at = 0; at < 12; at += 1) ward.#submit();
    return ward;
  }

  /** Ends what keeps the fleet busy. */
  async rest(): Promise<void> {
    this.fleet.events.removeAllListeners('task.completed');
    this.fleet.events.removeAllListeners('task.failed');
    this.ill = undefined;
    this.slower = 1;
    await this.bed.until(() => this.fleet.load.held === 0);
  }

  async states(): Promise<readonly string[]> {
    return (await this.bed.drive(this.fleet.workers())).map(({ at, reasons }) => [at, ...reasons].join(' '));
  }

  /** As a testbed starts one, with a hook of the owner's. */
  async #startWith(spec: Omit<Parameters<typeof defineFleet>[0], 'name'>, onPersonNeeded: NonNullable<FleetOptions['onPersonNeeded']>) {
    const { clock, random, fleets } = this.bed;
    const options = { store: memoryStore(), clock, random: random.fork('fleet'), logger: pino({ level: 'silent' }), onPersonNeeded };
    let host: Host | undefined;
    const fleet = await this.bed.drive(
      startFleetWith(defineFleet({ ...spec, name: 'test' }), options, { onHost: (made) => (host = made) }),
    );
    fleets.push({ fleet, host: host! });
    return fleet;
  }

  async #run(
    input: unknown,
    ctx: Context<{ readonly model: Service['dependency']; readonly tool: Service['dependency'] }>,
  ): Promise<string> {
    const worker = this.#workers.get(ctx.task.id);
    while (this.#illOf(worker) === 'looping') await ctx.call('tool', 'where was I?', { remember: this.#options.remember ?? true });
    await ctx.call('model', input);
    if (this.#illOf(worker) === 'failing') throw new Error('it never works');
    ctx.score(this.#illOf(worker) === 'garbage' ? 0 : 0.9);
    return 'done';
  }

  #illOf(worker: string | undefined): Ill | undefined {
    return worker === BAD ? this.ill : undefined;
  }

  #callerOf(key: string): string | undefined {
    return key.startsWith('health/') ? key.slice('health/'.length, key.lastIndexOf('/')) : this.#workers.get(key.split('/')[0]!);
  }

  #submit(): void {
    this.fleet.submit('work', `input ${this.#tasks}`, { id: `t${(this.#tasks += 1)}` }).catch(() => {});
  }

  #listen(): void {
    const { events } = this.fleet;
    events.on('task.started', ({ id, worker }) => this.#workers.set(id, worker));
    events.on('task.completed', () => this.#submit());
    events.on('task.failed', () => this.#submit());
    events.on('meta.decided', ({ worker, kind, decided }) => {
      if (decided.at === 'stepped' || decided.at === 'taken-back') {
        const step = decided.at === 'stepped' ? decided.step : decided.at;
        this.steps.push(`${step} ${worker ?? kind}`);
        if (step !== 'note') this.commands.push(`${step} ${worker ?? kind}`);
      }
    });
    events.on('worker.suspended', ({ worker, reasons }) => {
      if (!reasons.includes('restart')) this.suspended.push(`${worker} ${reasons.join(' ')}`);
    });
    events.on('person.needed', ({ worker, kind }) => this.persons.push(worker ?? kind));
  }
}

describe('a worker that is always', () => {
  test.each(ILLS)('%s is noted, restarted, then suspended, and its peers are left alone', async (ill) => {
    await using bed = new Testbed(ill);
    const ward = await Ward.open(bed, { ill });
    await bed.until(() => ward.suspended.length > 0, 10 * MINUTE_MS);
    expect(ward.steps[0]).toBe(`note ${BAD}`);
    expect([...new Set(ward.commands)]).toEqual([`restart ${BAD}`, `suspend ${BAD}`]);
    expect(ward.suspended).toEqual([`${BAD} ${ill === 'garbage' ? 'quality' : 'health'}`]);
    // Its health check does not pass, and it stays where it is.
    await bed.advance(5 * MINUTE_MS);
    expect([...new Set(ward.commands)]).toEqual([`restart ${BAD}`, `suspend ${BAD}`]);
    expect(ward.steps.every((step) => step.endsWith(BAD))).toBe(true);
    expect(await ward.states()).toEqual([
      `suspended ${ill === 'garbage' ? 'quality' : 'health'}`,
      ...Array.from({ length: 7 }, () => 'working'),
    ]);
    expect(ward.fleet.stats).toMatchObject({ lost: 0, restarts: 0 });
    await ward.rest();
  });
});

describe('a worker that was suspended', () => {
  test('is resumed after a passed health check, and left alone when it is well', async () => {
    await using bed = new Testbed();
    const ward = await Ward.open(bed, { ill: 'failing' });
    const decided = bed.record(ward.fleet, 'meta.decided');
    const resumed = bed.record(ward.fleet, 'worker.resumed');
    await bed.until(() => ward.suspended.length > 0, 10 * MINUTE_MS);
    const before = ward.steps.length;
    const resumedBefore = resumed.length;
    ward.ill = undefined;
    await bed.until(() => resumed.length > resumedBefore, 2 * MINUTE_MS);
    await bed.advance(10 * MINUTE_MS);
    expect(await ward.states()).toEqual(Array.from({ length: 8 }, () => 'working'));
    expect(ward.steps.slice(before)).toEqual([]);
    expect(decided.filter(({ decided: { at } }) => at === 'recovered')).toMatchObject([{ worker: BAD }]);
    await ward.rest();
  });
});

describe('a worker of a kind without a health check', () => {
  test('comes back after a rest, and is suspended again for longer each time it is as bad', async () => {
    await using bed = new Testbed();
    const ward = await Ward.open(bed, { ill: 'failing', hasCheck: false });
    const told = bed.record(ward.fleet, 'worker.suspended', 'worker.resumed');
    await bed.advance(30 * MINUTE_MS);
    const own = told.filter((event) => !('reasons' in event) || !event.reasons.includes('restart'));
    const restsMs = own.flatMap((event, at) =>
      event.name === 'worker.resumed' && own[at - 1]?.name === 'worker.suspended' ? [event.atMs - own[at - 1]!.atMs] : [],
    );
    expect(restsMs.length).toBeGreaterThanOrEqual(3);
    expect(restsMs[0]).toBeGreaterThanOrEqual(30_000);
    expect(restsMs[2]).toBeGreaterThan(restsMs[0]!);
    // A person was called once, and nobody else was commanded about.
    expect(ward.persons).toEqual([BAD]);
    expect(ward.commands.every((command) => command.endsWith(BAD))).toBe(true);
    await ward.rest();
  });
});

describe('a whole kind that is slow', () => {
  test('loses nobody: the breaker of its dependency opens and closes again by its probe, and a person is called', async () => {
    await using bed = new Testbed();
    const called: unknown[] = [];
    const ward = await Ward.open(bed, {
      ill: undefined,
      onPersonNeeded: (call) => {
        called.push(call);
        throw new Error('the pager is broken');
      },
    });
    const noted = bed.record(ward.fleet, 'meta.noted');
    const moved = bed.record(ward.fleet, 'breaker.moved');
    await bed.advance(5 * MINUTE_MS);
    expect(ward.steps).toEqual([]);
    ward.slower = 5;
    await bed.until(() => ward.persons.length > 0, 5 * MINUTE_MS);
    await bed.advance(MINUTE_MS);
    expect(ward.steps).toEqual(['note work', 'open-breaker work', 'call-person work']);
    expect(ward.suspended).toEqual([]);
    expect(called).toMatchObject([{ kind: 'work', worker: undefined, why: expect.stringContaining('latency of work') as string }]);
    expect(noted.map(({ fact }) => fact)).toMatchObject([
      { at: 'answered', command: { type: 'operator.open-breaker' }, done: true },
      { at: 'answered', command: { type: 'operator.call-person' }, done: true },
    ]);
    expect(moved.map(({ at, why }) => [at, why])).toEqual([
      ['open', 'tripped'],
      ['half-open', 'tripped'],
      ['closed', undefined],
    ]);
    await ward.rest();
  });
});

describe('a meta-agent', () => {
  test('works while every queue is full and no permit is free', async () => {
    await using bed = new Testbed();
    const ward = await Ward.open(bed, { ill: 'looping', concurrency: 1 });
    ward.model.respond = () => ({ never: true });
    for (let at = 0; at < 500; at += 1) await bed.drive(ward.fleet.submit('work', at));
    await bed.until(() => ward.suspended.length > 0, 2 * MINUTE_MS);
    expect(ward.model.inFlight).toBe(1);
    expect(ward.fleet.stats.completed).toBe(0);
    expect([...new Set(ward.commands)]).toEqual([`restart ${BAD}`, `suspend ${BAD}`]);
    expect(ward.suspended).toEqual([`${BAD} health`]);
    await bed.close(ward.fleet, { deadlineMs: 0 });
  });

  test('restarts a bad worker while the store is away', async () => {
    await using bed = new Testbed();
    const ward = await Ward.open(bed, { ill: 'looping', remember: false });
    await bed.advance(1_000);
    bed.faults.fault = () => 'before';
    await bed.until(() => ward.steps.includes(`restart ${BAD}`), 2 * MINUTE_MS);
    await bed.advance(10_000);
    expect(ward.suspended).toEqual([]);
    bed.faults.fault = undefined;
    await bed.until(() => ward.suspended.length > 0, 2 * MINUTE_MS);
    expect(ward.suspended).toEqual([`${BAD} health`]);
    await ward.rest();
  });

  test('that crashes starts again, knows who is suspended, and repeats no command', async () => {
    await using bed = new Testbed();
    const ward = await Ward.open(bed, { ill: 'failing' });
    const started = bed.record(ward.fleet, 'worker.started');
    await bed.until(() => ward.suspended.length > 0, 10 * MINUTE_MS);
    await bed.advance(5_000);
    const before = [...ward.steps];
    bed.host.stop(META, 0);
    await bed.advance(1_000);
    expect(started.filter(({ worker }) => worker === META)).toMatchObject([{ incarnation: 2 }]);
    const { context } = bed.host.snapshotOf(META) as { context: { watch: { measures: { workers: Map<string, { suspended: boolean }> } } } };
    expect([...context.watch.measures.workers].filter(([, { suspended }]) => suspended).map(([worker]) => worker)).toEqual([BAD]);
    await bed.advance(10 * MINUTE_MS);
    expect(ward.steps).toEqual(before);
    expect(await ward.states()).toEqual(['suspended health', ...Array.from({ length: 7 }, () => 'working')]);
    await ward.rest();
  });

  test('that crashes in the middle of a command leaves no worker half restarted, and finds the bad one again', async () => {
    await using bed = new Testbed();
    const ward = await Ward.open(bed, { ill: 'failing' });
    ward.fleet.events.on('meta.decided', ({ decided }) => {
      if (decided.at === 'stepped' && decided.step === 'restart' && ward.steps.length === 2) bed.host.stop(META, 0);
    });
    await bed.until(() => ward.steps.length === 2, 10 * MINUTE_MS);
    await bed.advance(10_000);
    expect((await ward.states())[0]).toBe('working');
    await bed.until(() => ward.suspended.length > 0, 10 * MINUTE_MS);
    expect(ward.suspended).toEqual([`${BAD} health`]);
    expect(ward.steps.every((step) => step.endsWith(BAD))).toBe(true);
    await ward.rest();
  });

  test('that gives up is left out, and the fleet goes on', async () => {
    await using bed = new Testbed();
    const ward = await Ward.open(bed, { ill: 'failing' });
    const failed = bed.record(ward.fleet, 'fleet.failed', 'supervisor.gave-up');
    await bed.until(() => ward.steps.length === 1, 10 * MINUTE_MS);
    for (let crash = 0; crash < 4; crash += 1) {
      bed.host.stop(META, 0);
      await bed.advance(1_000);
    }
    const { completed } = ward.fleet.stats;
    await bed.advance(10 * MINUTE_MS);
    expect(ward.suspended).toEqual([`${META} intensity`]);
    expect(ward.steps).toEqual([`note ${BAD}`]);
    expect(failed).toEqual([]);
    expect(ward.fleet.stats.completed).toBeGreaterThan(completed + 1_000);
    await ward.rest();
  });

  test('forgets who was scaled away', async () => {
    await using bed = new Testbed();
    const work = agent({ replicas: { min: 1, max: 4 }, run: async () => 'done' });
    const fleet = await bed.start({ metaAgent: {}, agents: { work } });
    const known = () => {
      const { context } = bed.host.snapshotOf(META) as { context: { watch: { measures: { workers: Map<string, unknown> } } } };
      return [...context.watch.measures.workers.keys()];
    };
    await bed.drive(fleet.scale('work', 4));
    await bed.advance(3_000);
    expect(known()).toHaveLength(4);
    await bed.drive(fleet.suspend('test/agents/work/3', 'health'));
    await bed.drive(fleet.scale('work', 2));
    await bed.advance(3_000);
    expect(known()).toEqual(['test/agents/work/0', 'test/agents/work/1']);
  });
});

describe('a suspended worker is checked no more, once', () => {
  async function sick(bed: Testbed) {
    let checks = 0;
    const healthCheck = async (): Promise<boolean> => {
      checks += 1;
      return false;
    };
    const work = agent({ replicas: { min: 3, max: 4 }, healthCheck, run: async () => 'done' });
    const fleet = await bed.start({ agents: { work }, supervision: { intensity: 1, backoff: { baseMs: 10 } } });
    const checksWithin = async (ms: number): Promise<number> => {
      const before = checks;
      await bed.advance(ms);
      return checks - before;
    };
    return { fleet, checksWithin };
  }

  async function exhaust(bed: Testbed, replica: number): Promise<void> {
    for (let crash = 0; crash < 2; crash += 1) {
      bed.crashWorker('work', replica);
      await bed.advance(100);
    }
  }

  test('its kind has started anew', async () => {
    await using bed = new Testbed();
    const { fleet, checksWithin } = await sick(bed);
    await exhaust(bed, 1);
    expect(await checksWithin(10_000)).toBeGreaterThan(1);
    await exhaust(bed, 2);
    await bed.advance(2_000);
    expect((await bed.drive(fleet.workers())).map(({ at }) => at)).toEqual(['idle', 'idle', 'idle']);
    expect(await checksWithin(10 * MINUTE_MS)).toBe(0);
  });

  test('it was scaled away', async () => {
    await using bed = new Testbed();
    const { fleet, checksWithin } = await sick(bed);
    await bed.drive(fleet.scale('work', 4));
    await bed.drive(fleet.suspend('test/agents/work/3', 'health'));
    expect(await checksWithin(10_000)).toBeGreaterThan(1);
    await bed.drive(fleet.scale('work', 3));
    expect(await checksWithin(10 * MINUTE_MS)).toBe(0);
  });
});

describe('an autoscaler', () => {
  const BOUNDS: AutoscaleSpec = { min: 1, max: 8 };

  /** A kind between 1 and 8, whose runs take a second each. */
  async function elastic(
    bed: Testbed,
    limits: { readonly concurrency?: number; readonly requestsPerMinute?: number } = {},
    more: { readonly affinity?: () => string } = {},
  ) {
    const service = bed.service({ limits }, () => ({ afterMs: 900 + bed.random.next() * 200, reply: 1 }));
    const work = agent({
      ...more,
      replicas: BOUNDS,
      uses: { service: service.dependency },
      run: (input: unknown, ctx) => ctx.call('service', input),
    });
    const fleet = await bed.start({ agents: { work } });
    const scalings = bed.record(fleet, 'kind.scaling');
    let tasks = 0;
    const submit = (): void => void fleet.submit('work', (tasks += 1)).catch(() => {});
    const workers = async (): Promise<number> => (await bed.drive(fleet.workers('work'))).length;
    /** Tasks come evenly, so many a second. */
    const load = async (perSecond: number, ms: number): Promise<void> => {
      for (let at = 0; at < (ms / 1_000) * perSecond; at += 1) {
        submit();
        await bed.advance(1_000 / perSecond);
      }
    };
    return { fleet, service, scalings, submit, workers, load };
  }

  test('grows under load, one worker after the other, stays within its bounds, and shrinks when the load is gone', async () => {
    await using bed = new Testbed();
    const { fleet, scalings, submit, workers } = await elastic(bed);
    expect(await workers()).toBe(1);
    fleet.events.on('task.completed', submit);
    for (let at = 0; at < 100; at += 1) submit();
    await bed.advance(2 * MINUTE_MS);
    expect(scalings.map(({ replicas }) => replicas)).toEqual([2, 3, 4, 5, 6, 7, 8]);
    for (const [at, { atMs }] of scalings.entries()) if (at > 0) expect(atMs - scalings[at - 1]!.atMs).toBeGreaterThanOrEqual(250);
    expect(await workers()).toBe(8);
    fleet.events.removeAllListeners('task.completed');
    await bed.until(() => fleet.load.held === 0);
    await bed.advance(4 * MINUTE_MS);
    expect(await workers()).toBe(1);
    expect(scalings.map(({ replicas }) => replicas)).toEqual([2, 3, 4, 5, 6, 7, 8, 7, 6, 5, 4, 3, 2, 1]);
    expect(fleet.stats).toMatchObject({ lost: 0, retried: 0, dead: 0 });
  });

  test.each([1.5, 3.5, 6])(
    'settles under a constant load of %d tasks a second',
    async (perSecond) => {
      await using bed = new Testbed();
      const { fleet, scalings, workers, load } = await elastic(bed);
      await load(perSecond, 5 * MINUTE_MS);
      const settled = scalings.length;
      expect(await workers()).toBeGreaterThan(perSecond);
      await load(perSecond, 20 * MINUTE_MS);
      expect(scalings.slice(settled)).toEqual([]);
      await bed.until(() => fleet.load.held === 0);
    },
    60_000,
  );

  test.each([{ concurrency: 1 }, { requestsPerMinute: 10 }])(
    'does not grow when one more worker would only wait for %o',
    async (limits) => {
      await using bed = new Testbed();
      const { fleet, scalings, submit } = await elastic(bed, limits);
      for (let at = 0; at < 100; at += 1) submit();
      await bed.until(() => fleet.stats.completed === 100);
      expect(scalings).toEqual([]);
    },
  );

  test('sees what waits in mailboxes, where the store shows nothing', async () => {
    await using bed = new Testbed();
    const { fleet, scalings, submit } = await elastic(bed, {}, { affinity: () => 'mail' });
    for (let at = 0; at < 15; at += 1) submit();
    await bed.settle();
    expect((await bed.drive(fleet.counts()))['work']).toMatchObject({ queued: 0 });
    await bed.until(() => scalings.length > 0, 10_000);
    await bed.until(() => fleet.stats.completed === 15, 12_000);
  });

  test('looks once at a store that does not answer, and goes on when it does', async () => {
    await using bed = new Testbed();
    const { scalings, submit, fleet } = await elastic(bed);
    let looks = 0;
    // The look at the start, for kinds that are gone, is not the autoscaler's.
    await bed.advance(1);
    bed.faults.delays = (command) => {
      if (command === 'counts') looks += 1;
      return [command === 'counts' ? 10 * MINUTE_MS : 0, 0];
    };
    for (let at = 0; at < 100; at += 1) submit();
    await bed.advance(MINUTE_MS);
    expect(looks).toBe(1);
    expect(scalings).toEqual([]);
    bed.faults.delays = undefined;
    await bed.advance(9 * MINUTE_MS);
    for (let at = 0; at < 100; at += 1) submit();
    await bed.until(() => scalings.length > 0, MINUTE_MS);
    await bed.until(() => fleet.stats.completed === 200);
  });

  test('does not count parents that are parked, nor the time for which they were', async () => {
    await using bed = new Testbed();
    const service = bed.service({ timeoutMs: 60 * MINUTE_MS }, ({ request }) => ({ afterMs: request as number, reply: 1 }));
    const uses = { service: service.dependency };
    const child = agent({ replicas: 40, uses, run: (ms: number, ctx) => ctx.call('service', ms) });
    const work = agent({
      replicas: BOUNDS,
      mailbox: { capacity: 1, stealAbove: 1 },
      uses,
      asks: { child },
      async run(ms: number, ctx) {
        await ctx.ask('child', ms);
        await ctx.call('service', 1_950);
        return 'done';
      },
    });
    const fleet = await bed.start({ agents: { work, child } });
    const scalings = bed.record(fleet, 'kind.scaling');
    // Four wake at a time: one runs, one is in the mailbox, and the others are queued for less than five seconds.
    for (let at = 0; at < 40; at += 1) await bed.drive(fleet.submit('work', MINUTE_MS + Math.floor(at / 4) * 8_000));
    await bed.until(() => fleet.stats.parked === 40);
    await bed.until(() => fleet.stats.completed === 80);
    expect(scalings).toEqual([]);
  });
});

describe('a fleet that is steered', () => {
  test('closes at any moment, and leaves no timer and no question', async () => {
    for (let atMs = 0; atMs < 60_000; atMs += 2_750) {
      await using bed = new Testbed(atMs);
      const service = bed.service({}, () => ({ afterMs: 500, reply: 1 }));
      const workers = new Map<string, string>();
      const work = agent({
        replicas: { min: 4, max: 8 },
        uses: { service: service.dependency },
        async run(input: unknown, ctx) {
          await ctx.call('service', input);
          if (workers.get(ctx.task.id) === BAD) throw new Error('it never works');
        },
      });
      const fleet = await bed.start({ agents: { work }, metaAgent: { rules: [] } });
      fleet.events.on('task.started', ({ id, worker }) => workers.set(id, worker));
      for (let at = 0; at < 1_000; at += 1) fleet.submit('work', at).catch(() => {});
      await bed.advance(atMs);
      await bed.close(fleet, { deadlineMs: atMs % 2 === 0 ? 0 : 1_000 });
    }
  });
});

describe('a topology is refused with the path to the field, when', () => {
  const work = agent({ run: async () => 'done' });
  const rule = {
    name: 'mine',
    scope: 'worker',
    measure: 'latency',
    enter: { vs: 'peers', above: 3 },
    leave: { below: 2 },
    steps: ['note'],
  };
  const meta = (metaAgent: unknown) => () => defineFleet({ name: 'test', agents: { work }, metaAgent: metaAgent as never });
  const replicas = (spec: unknown) => () =>
    defineFleet({ name: 'test', agents: { work: agent({ replicas: spec as never, run: async () => 'done' }) } });

  test.each([
    ['the meta-agent is no object', meta('yes'), 'fleet.metaAgent'],
    ['a limit of it is negative', meta({ pulseMs: -1 }), 'fleet.metaAgent.pulseMs'],
    ['a field of it is unknown', meta({ pulse: 1 }), 'fleet.metaAgent.pulse'],
    [
      'a rule enters beyond what it compares',
      meta({ rules: [{ ...rule, enter: { vs: 'luck', above: 3 } }] }),
      'fleet.metaAgent.rules.0.enter.vs',
    ],
    ['a rule enters nowhere', meta({ rules: [rule, { ...rule, name: 'other', enter: { vs: 'peers' } }] }), 'fleet.metaAgent.rules.1.enter'],
    ['a rule takes an unknown step', meta({ rules: [{ ...rule, steps: ['note', 'shout'] }] }), 'fleet.metaAgent.rules.0.steps.1'],
    ['an unknown rule is left out', meta({ without: ['slow', 'luck'] }), 'fleet.metaAgent.without.1'],
    ['growing does not grow', replicas({ min: 1, max: 8, up: { factor: 1 } }), 'fleet.agents.work.replicas.up.factor'],
    ['a speed is unknown', replicas({ min: 1, max: 8, down: { after: 1 } }), 'fleet.agents.work.replicas.down.after'],
    ['a share is none', replicas({ min: 1, max: 8, admissionShare: 2 }), 'fleet.agents.work.replicas.admissionShare'],
  ])('%s', (_, define, path) => {
    let error: { readonly code?: string; readonly detail?: { readonly path: readonly string[] } } = {};
    try {
      define();
    } catch (thrown) {
      error = thrown as typeof error;
    }
    expect({ code: error.code, path: error.detail?.path.join('.') }).toEqual({ code: 'DROVER_TOPOLOGY', path });
  });
});
