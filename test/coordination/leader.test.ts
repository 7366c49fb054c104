import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { leader } from 'drover/coordination';
import { StoreFailedError } from 'drover';
import { World } from './world.ts';
import type { Process } from './world.ts';

const ttlMs = 1_000;

/** Notes who is in office, and that never two are at a time. */
class Office {
  readonly epochs: number[] = [];
  readonly #world: World;
  readonly #signals: AbortSignal[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  candidate(process: Process, onElected: (epoch: number, signal: AbortSignal) => unknown = () => {}) {
    const elected = (epoch: number, signal: AbortSignal): unknown => {
      this.epochs.push(epoch);
      this.#signals.push(signal);
      return onElected(epoch, signal);
    };
    return leader(process.store, 'scheduler', { ...process.options, ttlMs, onElected: elected });
  }

  async electedAfter(count: number): Promise<void> {
    while (this.epochs.length < count) await this.#world.advance(10);
  }
}

describe('a leader', () => {
  test('is one of many, and its epoch grows from term to term', async () => {
    const world = await new World().open();
    const office = new Office(world);
    const candidates = [1, 2, 3].map(() => office.candidate(world.process()));
    for (let terms = 1; terms <= 6; terms += 1) {
      await office.electedAfter(terms);
      expect(candidates.filter(({ isLeader }) => isLeader)).toHaveLength(1);
      await world.drive(candidates.find(({ isLeader }) => isLeader)!.resign());
    }
    expect(office.epochs).toEqual(office.epochs.toSorted((a, b) => a - b));
    expect(new Set(office.epochs).size).toBe(office.epochs.length);
    await world.drive(Promise.all(candidates.map((candidate) => candidate.close())));
    expect(world.clock.pending).toBe(0);
  });

  test('stays in office while it lives', async () => {
    const world = await new World().open();
    const office = new Office(world);
    const [one, two] = [office.candidate(world.process()), office.candidate(world.process())];
    await world.advance(100 * ttlMs);
    expect(office.epochs).toHaveLength(1);
    expect(one.isLeader).toBe(true);
    expect(one.epoch).toBe(office.epochs[0]);
    await world.drive(Promise.all([one.close(), two.close()]));
  });

  test(
    'L6: who died is replaced within two terms of the lease, also when others who waited died with it',
    { timeout: 60_000 },
    async () => {
      for (let seed = 1; seed <= 20; seed += 1) {
        const world = await new World(seed).open();
        const office = new Office(world);
        const processes = [1, 2, 3, 4].map(() => world.process());
        for (const process of processes) {
          office.candidate(process);
          await world.advance(7);
        }
        await world.advance(seed * 37);
        for (const process of processes.slice(0, 3)) process.die();
        const diedMs = world.nowMs;
        await office.electedAfter(2);
        expect(world.nowMs - diedMs, `seed ${seed}`).toBeLessThanOrEqual(2 * ttlMs);
      }
    },
  );

  test('that is cut off from the store steps down before anybody else is elected', async () => {
    const world = await new World().open();
    const office = new Office(world);
    const [one, two] = [world.process(), world.process()];
    let steppedDownMs = Infinity;
    const first = office.candidate(one, (_, signal) => signal.addEventListener('abort', () => (steppedDownMs = world.nowMs)));
    await office.electedAfter(1);
    let electedMs = 0;
    const second = office.candidate(two, () => (electedMs = world.nowMs));
    await world.advance(50);
    one.way = () => ({ error: new StoreFailedError({ store: 'test', command: 'any' }) });
    await office.electedAfter(2);
    expect(steppedDownMs).toBeLessThanOrEqual(electedMs);
    expect([first.isLeader, second.isLeader]).toEqual([false, true]);
    one.way = () => ({});
    await world.drive(Promise.all([first.close(), second.close()]));
  });

  test('whose work fails gives its office up, and others come first', async () => {
    const world = await new World().open();
    const office = new Office(world);
    const errors: unknown[] = [];
    const process = world.process();
    const first = leader(process.store, 'scheduler', {
      ...process.options,
      ttlMs,
      onElected: async () => {
        throw new Error('out of ideas');
      },
      onError: (error) => errors.push(error),
    });
    await world.advance(10);
    const second = office.candidate(world.process());
    await office.electedAfter(1);
    expect(errors).toMatchObject([{ message: 'out of ideas' }]);
    expect([first.isLeader, second.isLeader]).toEqual([false, true]);
    await world.drive(Promise.all([first.close(), second.close()]));
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('no log');
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('no log');
      },
    ],
  ])('whose onError %s gives its office up all the same, stands again, and closes', async (_, onError) => {
    const warn = vi.spyOn(process, 'emitWarning').mockReturnValue();
    onTestFinished(() => warn.mockRestore());
    const world = await new World().open();
    const office = new Office(world);
    const listening = world.process();
    let terms = 0;
    const onElected = (): void => {
      terms += 1;
      throw new Error('out of ideas');
    };
    const first = leader(listening.store, 'scheduler', { ...listening.options, ttlMs, onElected, onError });
    await world.advance(1);
    expect(await world.store.readLeases(['leader:scheduler'], world.nowMs)).toEqual([undefined]);
    await world.advance(10 * ttlMs);
    expect(terms).toBeGreaterThan(10);
    const second = office.candidate(world.process());
    await office.electedAfter(1);
    await world.drive(Promise.all([first.close(), second.close()]));
    const options = expect.objectContaining({ type: 'DroverWarning', code: 'DROVER_LISTENER_THREW' });
    expect(warn.mock.calls).toEqual([['onError of leader scheduler threw Error: no log', options]]);
    expect(world.clock.pending).toBe(0);
  });

  test('is told once of each outage of its store: when it stands, when it leads on, and when it has lost its office by it', async () => {
    const world = await new World().open();
    const process = world.process();
    const told: unknown[] = [];
    const away = (name: string): void => {
      process.way = () => ({ error: new StoreFailedError({ store: name, command: 'any' }) });
    };
    const back = (): void => {
      process.way = () => ({});
    };
    away('first');
    const onError = (error: unknown): unknown => told.push((error as StoreFailedError).detail.store);
    const candidate = leader(process.store, 'scheduler', { ...process.options, ttlMs, onElected: () => {}, onError });
    await world.advance(20 * ttlMs);
    expect(told).toEqual(['first']);
    back();
    await world.advance(ttlMs);
    const { epoch } = candidate;
    expect(epoch).toBeDefined();
    away('second');
    await world.advance(ttlMs / 2);
    back();
    await world.advance(ttlMs);
    expect(candidate.epoch).toBe(epoch);
    expect(told).toEqual(['first', 'second']);
    away('third');
    await world.advance(20 * ttlMs);
    expect(candidate.isLeader).toBe(false);
    expect(told).toEqual(['first', 'second', 'third']);
    away('closing');
    await world.drive(candidate.close());
    expect(told).toEqual(['first', 'second', 'third']);
  });

  test('is told once of a store that has failed for good, also while it leads', async () => {
    const world = await new World().open();
    const process = world.process();
    const told: unknown[] = [];
    const onError = (error: unknown): unknown => told.push((error as StoreFailedError).code);
    const candidate = leader(process.store, 'scheduler', { ...process.options, ttlMs, onElected: () => {}, onError });
    await world.advance(ttlMs);
    await world.store.close();
    await world.advance(20 * ttlMs);
    expect(told).toEqual(['DROVER_STORE_CLOSED']);
    await world.drive(candidate.close());
  });

  test('does not begin another term before the work of the last has ended', async () => {
    const world = await new World().open();
    const office = new Office(world);
    let finish = (): void => {};
    let terms = 0;
    const only = office.candidate(world.process(), () => {
      terms += 1;
      return new Promise<void>((resolve) => (finish = resolve));
    });
    await office.electedAfter(1);
    await world.drive(only.resign());
    await world.advance(5 * ttlMs);
    expect(terms).toBe(1);
    finish();
    await office.electedAfter(2);
    finish();
    await world.drive(only.close());
  });

  test('JEP-11: who was replaced by another term of the same name has lost its office: it is the term that leads', async () => {
    const world = await new World().open();
    const process = world.process();
    const office = new Office(world);
    const names = ['the-same'];
    const same = { ...process, options: { ...process.options, ids: () => names.pop() ?? process.options.ids() } };
    const old = office.candidate(same);
    await office.electedAfter(1);
    const held = { name: 'leader:scheduler', holder: 'the-same', fence: old.epoch! };
    expect(await world.store.releaseLeases([held], world.nowMs)).toEqual([true]);
    const request = { name: 'leader:scheduler', holder: 'the-same', ttlMs: 60_000, waitUntilMs: null };
    const [replaced] = await world.store.takeLeases([request], world.nowMs);
    expect(replaced).toMatchObject({ at: 'granted' });
    await world.advance(ttlMs / 2);
    expect(old.isLeader).toBe(false);
    expect(await world.store.readLeases(['leader:scheduler'], world.nowMs)).toMatchObject([{ holder: 'the-same' }]);
    await world.store.releaseLeases([{ ...held, fence: (replaced as { fence: number }).fence }], world.nowMs);
    await world.drive(old.close());
  });
});
