import { EventEmitter } from 'eventemitter3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Feed } from '../../src/cli/feed.ts';
import type { EndedTask, FeedOptions } from '../../src/cli/feed.ts';
import type { TaskSource } from '../../src/cli/task-source.ts';
import { FleetFullError } from '../../src/runtime/work-errors.ts';
import type { FleetEvents } from '../../src/runtime/events.ts';
import { startFleet } from '../../src/runtime/fleet.ts';
import { TaskHandle } from '../../src/runtime/handle.ts';
import { agent } from '../../src/topology/agent.ts';
import { defineFleet } from '../../src/topology/fleet.ts';
import { StoreFailedError, StoreNotADatabaseError } from '../../actors/ports/store-errors.ts';

const line = (id: string | number): string => `${JSON.stringify({ kind: 'echo', input: id, id: String(id) })}\n`;

function sourceOf(chunks: Iterable<string> | AsyncIterable<string>): TaskSource & { closed: boolean } {
  const source = {
    name: 'tasks.jsonl',
    origin: { label: 'tasks.jsonl', identity: 'tasks.jsonl' },
    bytes: undefined,
    chunks: (async function* bytes() {
      for await (const chunk of chunks) yield Buffer.from(chunk);
    })(),
    closed: false,
    close: () => {
      source.closed = true;
    },
  };
  return source;
}

/** A fleet that ends its tasks when it is told to. */
class FakeFleet {
  readonly topology = defineFleet({ name: 'fake', agents: { echo: agent({ run: async () => 1 }) } });
  readonly events = new EventEmitter<FleetEvents>();
  readonly handles = new Map<string, TaskHandle>();
  /** Answers a submission instead of accepting it. */
  refuse: (id: string) => Error | undefined = () => undefined;
  tries = 0;

  readonly submit = async (kind: string, _input: unknown, { id }: { readonly id?: string } = {}): Promise<never> => {
    this.tries += 1;
    const refused = this.refuse(id!);
    if (refused !== undefined) throw refused;
    const handle = this.handles.get(id!) ?? new TaskHandle(id!, kind);
    if (!this.handles.has(id!)) this.events.emit('task.submitted', { id: id!, kind, atMs: 0 });
    this.handles.set(id!, handle);
    return handle as never;
  };

  complete(id: string): void {
    this.events.emit('task.completed', { id, kind: 'echo', atMs: 0, attempt: 1, ms: 0, worker: 'w' });
    this.handles.get(id)!.ended({ id, place: '', status: 'completed', result: '1', error: null });
  }
}

function feedOf(fleet: FakeFleet, options: Partial<FeedOptions> = {}) {
  const refused: [number, unknown][] = [];
  const ended: EndedTask[] = [];
  const timers: { ms: number; fire: () => void }[] = [];
  const feed = new Feed({
    fleet,
    limit: 2,
    onRefused: (number, error) => refused.push([number, error]),
    onEnded: (task) => ended.push(task),
    backlog: () => undefined,
    after(ms, fire) {
      timers.push({ ms, fire });
      return () => {};
    },
    ...options,
  });
  return { feed, refused, ended, timers };
}

/** Everything that can happen by itself has happened. */
const quiet = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a feed', () => {
  test('keeps no more lines under way than its limit, and reads no further meanwhile', async () => {
    const fleet = new FakeFleet();
    let read = 0;
    const { feed, ended } = feedOf(fleet);
    const over = feed.run(
      sourceOf(
        (function* lines() {
          for (; read < 5;) yield line((read += 1));
        })(),
      ),
    );
    await quiet();
    expect([...fleet.handles.keys()]).toEqual(['1', '2']);
    expect(read).toBe(3);
    fleet.complete('2');
    await quiet();
    expect([...fleet.handles.keys()]).toEqual(['1', '2', '3']);
    for (const id of ['1', '3', '4', '5']) {
      fleet.complete(id);
      await quiet();
    }
    await over;
    expect(ended.map(({ id }) => id)).toEqual(['2', '1', '3', '4', '5']);
    expect(feed.tally).toMatchObject({ lines: 5, submitted: 5, known: 0, refused: 0, readAll: true, endedBefore: 0 });
  });

  test('waits while a reader of the output lags behind', async () => {
    const fleet = new FakeFleet();
    const slow = Promise.withResolvers<void>();
    let backlog: Promise<void> | undefined = slow.promise;
    const { feed } = feedOf(fleet, { backlog: () => backlog });
    const over = feed.run(sourceOf([line(1)]));
    await quiet();
    expect(fleet.tries).toBe(0);
    backlog = undefined;
    slow.resolve();
    await quiet();
    fleet.complete('1');
    await over;
  });

  test('submits again when the store was full and a task has ended, or after a while', async () => {
    const fleet = new FakeFleet();
    let full = true;
    fleet.refuse = (id) => (full && id !== '1' ? new FleetFullError({ of: 'store', limit: 1, retryAfterMs: 1_000 }, 'shout') : undefined);
    const { feed, refused, timers } = feedOf(fleet, { limit: 3 });
    const over = feed.run(sourceOf([line(1), line(2), line(3)]));
    await quiet();
    expect(fleet.tries).toBe(3);
    expect(timers.map(({ ms }) => ms)).toEqual([1_000, 1_000]);
    full = false;
    fleet.complete('1');
    await quiet();
    // One end makes room for one.
    expect([...fleet.handles.keys()]).toEqual(['1', '2']);
    timers[1]!.fire();
    await quiet();
    expect([...fleet.handles.keys()]).toEqual(['1', '2', '3']);
    fleet.complete('2');
    fleet.complete('3');
    await over;
    expect(refused).toEqual([]);
  });

  test('submits the same id again when the store has failed and may have it or not', async () => {
    const fleet = new FakeFleet();
    const ids: string[] = [];
    fleet.refuse = (id) => {
      ids.push(id);
      return ids.length === 1 ? new StoreFailedError({ store: 's', command: 'submit' }) : undefined;
    };
    const { feed, timers } = feedOf(fleet);
    const over = feed.run(sourceOf(['{"kind":"echo"}\n']));
    await quiet();
    timers[0]!.fire();
    await quiet();
    expect(ids[1]).toBe(ids[0]);
    fleet.complete(ids[0]!);
    await over;
  });

  test('fails when the store takes nothing more', async () => {
    const fleet = new FakeFleet();
    fleet.refuse = () => new StoreNotADatabaseError('s');
    const { feed } = feedOf(fleet);
    await expect(feed.run(sourceOf([line(1)]))).rejects.toMatchObject({ code: 'DROVER_STORE_NOT_A_DATABASE' });
  });

  test('stopped, reads and submits nothing more, and lets go of the input', async () => {
    const fleet = new FakeFleet();
    const { feed } = feedOf(fleet, { limit: 1 });
    const source = sourceOf([`${line(1)}${line(2)}`, line(3)]);
    const over = feed.run(source);
    await quiet();
    feed.stop();
    await over;
    expect(source.closed).toBe(true);
    expect([...fleet.handles.keys()]).toEqual(['1']);
    expect(feed.tally).toMatchObject({ lines: 1, readAll: false });
  });

  test('finishes what was read when the input breaks off, and says so', async () => {
    const fleet = new FakeFleet();
    const { feed, ended } = feedOf(fleet);
    const over = feed.run(
      sourceOf(
        (function* lines() {
          yield line(1);
          throw new Error('disk gone');
        })(),
      ),
    );
    await quiet();
    fleet.complete('1');
    await expect(over).rejects.toMatchObject({ code: 'DROVER_TASKS_FILE', cause: { message: 'disk gone' } });
    expect(ended).toHaveLength(1);
    expect(feed.tally.readAll).toBe(false);
  });

  test('tells a task that was over before from one that ends now, and one with the same id only once', async () => {
    const fleet = new FakeFleet();
    const { feed, ended } = feedOf(fleet, { limit: 4 });
    await fleet.submit('echo', 0, { id: 'old' });
    fleet.complete('old');
    const over = feed.run(sourceOf([line('old'), line('new'), line('new')]));
    await quiet();
    expect(feed.owns('new')).toBe(true);
    fleet.complete('new');
    await over;
    expect(ended.map(({ id }) => id)).toEqual(['old', 'new']);
    expect(feed.tally).toMatchObject({ lines: 3, submitted: 1, known: 2, endedBefore: 1, endedBadlyBefore: 0 });
    expect(feed.owns('new')).toBe(false);
  });
});

describe('a feed of a real fleet', () => {
  test('names each refused line, runs the others, and tells results and errors', async () => {
    const echo = agent({
      run: async (input: unknown) => {
        if (input === 'bad') throw Object.assign(new Error('no'), { retryable: false });
        return input;
      },
    });
    const fleet = await startFleet(defineFleet({ name: 'real', staggerMs: 0, agents: { echo } }));
    onTestFinished(() => fleet.close({ deadlineMs: 0 }));
    const refused: string[] = [];
    const ended: EndedTask[] = [];
    const feed = new Feed({
      fleet,
      limit: 100,
      onRefused: (number, error) => refused.push(`${number} ${(error as { code: string }).code}`),
      onEnded: (task) => ended.push(task),
      backlog: () => undefined,
      after: () => () => {},
    });
    await feed.run(sourceOf([line('a'), 'oops\n', line('bad'), '{"kind":"other"}\n', line('b').slice(0, 9), line('b').slice(9)]));
    expect(refused.toSorted()).toEqual(['2 DROVER_TASK_LINE', '4 DROVER_UNKNOWN_KIND']);
    expect(ended.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toMatchObject([
      { id: 'a', status: 'completed', result: 'a' },
      { id: 'b', status: 'completed', result: 'b' },
      { id: 'bad', status: 'failed', error: { message: 'no' } },
    ]);
    expect(feed.tally).toMatchObject({ lines: 5, submitted: 3, refused: 2 });
  });
});
