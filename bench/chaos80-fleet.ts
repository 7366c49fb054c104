/**
 * Fleet: the real runtime over the scene, with layers taken out of its topology. What is off is as if nobody
 * had written it there: no writes declared, no breaker, no budget, no limits, no restart and nobody who watches.
 *
 * Leases cannot be left out of the runtime. In their place several nodes poll one list, hand what they find
 * into the fleet under a name of their own, and mark it done when it has come back.
 */
import { pino } from 'pino';
import { agent, defineFleet, dependency, TaskFailedError } from 'drover';
import type { Context, Dependency, Fleet, Topology } from 'drover';
import type { Host } from '../actors/host/host.ts';
import { seededTransport } from '../actors/host/transport.ts';
import type { Message } from '../actors/kernel/effects.ts';
import { countingIds } from '../actors/kernel/ids.ts';
import { startFleetWith } from '../src/runtime/fleet.ts';
import { MemoryDisk, memoryStore } from '../src/stores/memory.ts';
import type { Contents, Outcome } from './chaos80-ledger.ts';
import { estimateOf, ProviderError, usdOf } from './chaos80-provider.ts';
import type { Reply, Request } from './chaos80-provider.ts';
import { Pollers } from './chaos80-pollers.ts';
import { BAD, KINDS, LIMITS, REPLICAS, RESTART_TAKES_MS, WORKER_BUDGET, WORKERS } from './chaos80-scene.ts';
import type { Item, Layers } from './chaos80-scene.ts';
import type { Trouble, World } from './chaos80-world.ts';

const NAME = 'chaos80';
const BREAKER_RESTS_MS = 5_000;
const PAGE = 1_000;

/** Plays the scene to its end. */
export async function playFleet(world: World, layers: Layers): Promise<Outcome> {
  const player = new Player(world, layers);
  return player.play();
}

class Player {
  readonly #world: World;
  readonly #layers: Layers;
  readonly #topology: Topology;
  readonly #disk = new MemoryDisk();
  readonly #pollers: Pollers | undefined;
  #fleet!: Fleet;
  #host: Host | undefined;
  #starts = 0;
  /** Who runs a task: told before the run begins. */
  readonly #workers = new Map<string, number>();

  constructor(world: World, layers: Layers) {
    this.#world = world;
    this.#layers = layers;
    this.#topology = this.#define() as never;
    this.#pollers = layers.leases ? undefined : new Pollers(world, (item, id) => this.#submit(item, id));
    world.pending = () => this.#host?.pending.messages ?? 0;
  }

  async play(): Promise<Outcome> {
    const world = this.#world;
    const { untilMs } = world.play;
    const isOver = (): boolean => world.ledger.isOver;
    await this.#start();
    if (this.#pollers === undefined) this.#submitAll();
    else this.#pollers.start();
    for (const trouble of world.troubles) {
      if (trouble.atMs > untilMs) break;
      await world.until(isOver, trouble.atMs);
      if (isOver()) break;
      await this.#strike(trouble);
    }
    await world.until(isOver, untilMs);
    const records = await world.drive(this.#records());
    this.#pollers?.stop();
    await world.drive(this.#fleet.close({ deadlineMs: 0 }));
    return world.ledger.close(records, this.#layers.registry, world.provider);
  }

  async #start(): Promise<void> {
    const world = this.#world;
    const random = world.random.fork(`process ${(this.#starts += 1)}`);
    const options = {
      store: memoryStore(this.#disk),
      clock: world.clock,
      random,
      ids: countingIds(`p${this.#starts}`),
      transport: seededTransport<never>(random.fork('transport')),
      logger: pino({ level: 'silent' }),
    };
    this.#fleet = (await world.drive(startFleetWith(this.#topology, options, { onHost: (host) => (this.#host = host) }))) as never;
    this.#listen(this.#fleet);
  }

  async #strike(trouble: Trouble): Promise<void> {
    const world = this.#world;
    if (trouble.what === 'crash') {
      this.#host?.send(nameOf(trouble.worker), { type: 'worker.fail', error: new Error('it crashes') } as Message, 'control');
      return;
    }
    // As `kill -9` would: nothing is handed back, nobody is told.
    this.#disk.crash();
    this.#host?.close();
    await world.until(() => false, world.ledger.sinceMs + RESTART_TAKES_MS);
    for (let worker = 0; worker < WORKERS; worker += 1) world.ledger.came(worker);
    await this.#start();
    if (this.#pollers === undefined) this.#submitAll();
    else this.#pollers.again();
  }

  /** The same id is the same task: what has ended meanwhile says so. */
  #submitAll(): void {
    const { items } = this.#world.scene;
    for (const item of items) if (!this.#world.ledger.hasEnded(item.at)) this.#submit(item, `t${item.at}`);
  }

  #submit({ at, kind, record }: Item, id: string): void {
    // What a fleet that is gone does not answer is asked again of the next one.
    this.#fleet
      .submit(kind, { item: at, record }, { id })
      .then((handle) => handle.result())
      .then(
        () => this.#ended(id, true),
        (error: unknown) => error instanceof TaskFailedError && this.#ended(id, false),
      );
  }

  #ended(id: string, isWell: boolean): void {
    if (this.#pollers !== undefined) this.#pollers.done(id, isWell);
    else if (isWell) this.#world.ledger.completed(itemOf(id));
    else this.#world.ledger.givenUp(itemOf(id));
  }

  #listen({ events }: Fleet): void {
    const { ledger } = this.#world;
    events.on('task.started', ({ id, worker }) => this.#workers.set(id, indexOf(worker)));
    events.on('task.blocked', () => (ledger.prevented += 1));
    events.on('task.retrying', ({ error }) => {
      if (error.code === 'DROVER_VERSION_CONFLICT') ledger.prevented += 1;
    });
    events.on('worker.started', ({ worker }) => ledger.came(indexOf(worker)));
    events.on('worker.ended', ({ worker }) => ledger.left(indexOf(worker)));
  }

  async #records(): Promise<ReadonlyMap<string, Contents>> {
    if (!this.#layers.registry) return this.#world.table.rows;
    const rows = new Map<string, Contents>();
    for (let after: string | undefined, more = true; more;) {
      const page = await this.#fleet.state.list<Contents>({ limit: PAGE, ...(after === undefined ? {} : { after }) });
      for (const { key, value } of page) rows.set(key, value);
      after = page.at(-1)?.key;
      more = page.length === PAGE;
    }
    return rows;
  }

  #define() {
    const { budget, supervision, registry } = this.#layers;
    const model = this.#model();
    const work = agent({
      uses: { model },
      replicas: REPLICAS,
      ...(registry ? { writes: ({ record }: Work) => [record] } : {}),
      ...(budget ? { budget: { worker: WORKER_BUDGET } } : {}),
      healthCheck: async (ctx) => supervision && (await ctx.call('model', { item: 'health' })).text !== '',
      run: async (input: Work, ctx) => (this.#world.isBad(this.#workers.get(ctx.task.id)) ? this.#goBad(ctx) : this.#work(input, ctx)),
    });
    return defineFleet({
      name: NAME,
      agents: Object.fromEntries(KINDS.map((kind) => [kind, work])),
      ...(budget ? { budget: { usd: this.#world.scene.budgetUsd } } : {}),
      // Who has crashed stays away, and its kind does not start anew for it.
      ...(supervision ? { metaAgent: {} } : { supervision: { intensity: 0, suspendAboveShare: 1 } }),
    });
  }

  #model(): Dependency<Request, Reply> {
    const { breaker, limiter } = this.#layers;
    const { items } = this.#world.scene;
    return dependency<Request, Reply>({
      perform: (request, { idempotencyKey }) => this.#answer(request, idempotencyKey),
      estimate: (request) => {
        const { inputTokens, outputTokens } = estimateOf(items, request);
        return { input: inputTokens, output: outputTokens };
      },
      usage: ({ usage }) => usage,
      price: (usage, request) => usdOf(request, usage),
      breaker: breaker
        ? { resetAfterMs: BREAKER_RESTS_MS, counts: (error) => error instanceof ProviderError && error.status >= 500 }
        : false,
      ...(limiter ? { limits: LIMITS, adapt: 'aimd' as const } : {}),
      timeoutMs: 60_000,
    });
  }

  /** A bad worker does not pass its health check. */
  async #answer(request: Request, key: string): Promise<Reply> {
    const reply = await this.#world.provider.call(request);
    const isBad = request.item === 'health' && this.#world.isBad(indexOf(key.slice('health/'.length, key.lastIndexOf('/'))));
    return isBad ? { ...reply, text: '' } : reply;
  }

  async #work({ item, record }: Work, ctx: Doing): Promise<string> {
    if (this.#layers.registry) {
      const seen = await ctx.state.get<Contents>(record);
      const { text } = await ctx.call('model', { item });
      await ctx.state.set(record, [...(seen?.value ?? []), item], seen?.version ?? null);
      return text;
    }
    const { table, scene } = this.#world;
    const seen = table.read(record);
    const { text } = await ctx.call('model', { item });
    await ctx.step('write', () => table.write(scene.items[item]!, seen));
    return text;
  }

  /** In every incarnation. */
  async #goBad(ctx: Doing): Promise<string> {
    const loop = async (): Promise<void> => {
      for (let call = 0; call < BAD.calls; call += 1) await ctx.call('model', { item: null }, { remember: false }).catch(() => {});
    };
    await Promise.all(Array.from({ length: BAD.loops }, loop));
    ctx.score(0);
    throw new Error('nothing to show for it');
  }
}

interface Work {
  readonly item: number;
  readonly record: string;
}

type Doing = Context<{ readonly model: Dependency<Request, Reply> }>;

const nameOf = (worker: number): string => `${NAME}/agents/${KINDS[Math.floor(worker / REPLICAS)]!}/${worker % REPLICAS}`;

function indexOf(name: string): number {
  const [, , kind, replica] = name.split('/');
  return KINDS.indexOf(kind as (typeof KINDS)[number]) * REPLICAS + Number(replica);
}

/** Ids are `t17`, or `t17@2` of a node. */
const itemOf = (id: string): number => Number.parseInt(id.slice(1), 10);
