/** Batcher: few commands of many requests, each answered once, whatever the store does. */
import { describe, expect, test } from 'vitest';
import { fifoTransport } from '../../actors/host/transport.ts';
import { Host } from '../../actors/host/host.ts';
import { seededRandom } from '../../actors/kernel/random.ts';
import { Batcher } from '../../src/runtime/batcher.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const passing = Object.assign(new Error('for a while'), { retryable: true });
const fatal = Object.assign(new Error('for good'), { retryable: false });

/** A batcher whose command doubles, unless `fault` says otherwise. */
function doubling(fault: (batch: readonly number[]) => unknown = () => undefined) {
  const clock = new VirtualClock();
  const random = seededRandom(1);
  const batches: (readonly number[])[] = [];
  const heard: { readonly retries: unknown[]; readonly fatal: unknown[] } = { retries: [], fatal: [] };
  const batcher = new Batcher<number, number>(
    async (items) => {
      batches.push(items);
      const error = fault(items);
      if (error !== undefined) throw error;
      return items.map((item) => item * 2);
    },
    {
      host: new Host({ clock, random, transport: fifoTransport() }),
      random,
      onRetry: (error) => heard.retries.push(error),
      onFatal: (error) => heard.fatal.push(error),
    },
  );
  const replies: number[] = [];
  const failures: unknown[] = [];
  const patient = { replied: (reply: number): unknown => replies.push(reply) };
  const impatient = { ...patient, failed: (error: unknown): unknown => failures.push(error) };
  /** Lets time pass, with the promises that wait for it. */
  const pass = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 10) {
      clock.advanceBy(10);
      await new Promise(setImmediate);
    }
  };
  return { batcher, batches, replies, failures, heard, patient, impatient, pass };
}

test('requests of one burst go together, those of the next one apart', async () => {
  const { batcher, batches, replies, patient } = doubling();
  for (const item of [1, 2, 3]) batcher.add(item, patient);
  await batcher.idle();
  batcher.add(4, patient);
  await batcher.idle();
  expect(batches).toEqual([[1, 2, 3], [4]]);
  expect(replies).toEqual([2, 4, 6, 8]);
});

test('no batch is larger than 512, and order is kept', async () => {
  const { batcher, batches, replies, patient } = doubling();
  const items = Array.from({ length: 1_300 }, (_, at) => at);
  for (const item of items) batcher.add(item, patient);
  await batcher.idle();
  expect(batches.map(({ length }) => length)).toEqual([512, 512, 276]);
  expect(replies).toEqual(items.map((item) => item * 2));
});

describe('a command that fails for a while', () => {
  test('is sent again with those who wait; who takes the error gets it', async () => {
    let left = 2;
    const { batcher, batches, replies, failures, heard, patient, impatient, pass } = doubling(() => (left-- > 0 ? passing : undefined));
    batcher.add(1, patient);
    batcher.add(2, impatient);
    batcher.add(3, patient);
    await pass(1_000);
    expect(batches).toEqual([
      [1, 2, 3],
      [1, 3],
      [1, 3],
    ]);
    expect(replies).toEqual([2, 6]);
    expect(failures).toEqual([passing]);
    expect(heard).toEqual({ retries: [passing, passing], fatal: [] });
  });

  test('is not sent again when nobody waits for it', async () => {
    const { batcher, batches, failures, heard, impatient, pass } = doubling(() => passing);
    batcher.add(1, impatient);
    await pass(1_000);
    expect(batches).toHaveLength(1);
    expect(failures).toEqual([passing]);
    expect(heard.retries).toEqual([]);
  });

  test('keeps the batcher busy until it is through; others are not held up', async () => {
    let failing = true;
    const { batcher, replies, patient, pass } = doubling((items) => (failing && items.includes(1) ? passing : undefined));
    batcher.add(1, patient);
    let idle = false;
    await pass(100);
    batcher.add(2, patient);
    void batcher.idle().then(() => (idle = true));
    await pass(1_000);
    expect({ replies, idle }).toEqual({ replies: [4], idle: false });
    failing = false;
    await pass(10_000);
    expect({ replies, idle }).toEqual({ replies: [4, 2], idle: true });
  });

  test('is not sent again once the batcher is closed', async () => {
    const { batcher, batches, patient, pass } = doubling(() => passing);
    batcher.add(1, patient);
    await pass(10);
    batcher.close();
    const before = batches.length;
    await pass(10_000);
    expect(batches).toHaveLength(before);
  });
});

test('a command that fails for good is told once, and not sent again', async () => {
  const { batcher, batches, replies, heard, patient, pass } = doubling(() => fatal);
  batcher.add(1, patient);
  batcher.add(2, patient);
  await pass(10_000);
  expect(batches).toEqual([[1, 2]]);
  expect(replies).toEqual([]);
  expect(heard).toEqual({ retries: [], fatal: [fatal] });
  await batcher.idle();
});

describe('who throws at his reply', () => {
  const thrown = new Error('a defect');
  const throwing = {
    replied: (): never => {
      throw thrown;
    },
  };

  test('is told that as his error; the others of his batch are told all the same', async () => {
    const { batcher, replies, failures, heard, impatient, patient } = doubling();
    batcher.add(1, patient);
    batcher.add(2, { ...impatient, ...throwing });
    batcher.add(3, patient);
    await batcher.idle();
    expect(replies).toEqual([2, 6]);
    expect(failures).toEqual([thrown]);
    expect(heard.fatal).toEqual([]);
  });

  test('and takes no error, or throws at that too, stops the fleet: nobody is left hanging', async () => {
    const { batcher, replies, heard, patient } = doubling();
    batcher.add(1, throwing);
    batcher.add(2, { ...throwing, failed: throwing.replied });
    batcher.add(3, patient);
    await batcher.idle();
    expect(replies).toEqual([6]);
    expect(heard.fatal).toEqual([thrown, thrown]);
  });

  test('at the error of the command does not keep it from the others', async () => {
    const { batcher, failures, heard, impatient } = doubling(() => passing);
    batcher.add(1, { ...impatient, failed: throwing.replied });
    batcher.add(2, impatient);
    await batcher.idle();
    expect(failures).toEqual([passing]);
    expect(heard.fatal).toEqual([thrown]);
  });
});
