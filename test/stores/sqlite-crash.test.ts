/** Real processes, really killed. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SqlitePlace } from './conformance/sqlite-place.ts';
import { newTask } from './tasks.ts';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
const TIME_LIMIT_MS = 60_000;

/** A child process and what it has said so far, line by line. */
class Child {
  readonly process: ChildProcessByStdio<null, Readable, null>;
  readonly said: string[] = [];
  readonly ended: Promise<unknown>;
  readonly #lines: ReturnType<typeof createInterface>;

  constructor(role: string, path: string, { limitBlocks }: { limitBlocks?: number } = {}) {
    const command = [process.execPath, '--disable-warning=ExperimentalWarning', CHILD, role, path];
    const limited = limitBlocks === undefined ? command : ['bash', '-c', `ulimit -f ${limitBlocks} && exec "$@"`, 'bash', ...command];
    this.process = spawn(limited[0]!, limited.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.process.stdout });
    this.#lines.on('line', (line) => this.said.push(line));
    this.ended = Promise.all([once(this.process, 'exit'), once(this.#lines, 'close')]);
  }

  /** Waits until it has said `lines` lines. */
  async hasSaid(lines: number): Promise<void> {
    while (this.said.length < lines)
      await Promise.race([once(this.#lines, 'line'), this.ended.then(() => expect.fail(`ended after ${this.said.length} lines`))]);
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}

describe('the SQLite store and the processes around it', { timeout: TIME_LIMIT_MS }, () => {
  let place: SqlitePlace;
  let children: Child[];
  const start = (role: string, options?: { limitBlocks: number }): Child => {
    const child = new Child(role, place.path, options);
    children.push(child);
    return child;
  };
  beforeEach(() => {
    place = new SqlitePlace();
    children = [];
  });
  afterEach(async () => {
    await Promise.all(children.map((child) => child.kill()));
    await place.remove();
  });

  for (const lines of [3, 400, 2_500]) {
    test(`what was acknowledged is there after kill -9 in a stream of submits (${lines} lines on)`, async () => {
      const child = start('submit');
      await child.hasSaid(lines);
      await child.kill();
      const [opened, ...acknowledged] = child.said;
      expect(opened).toBe('open 1 0');
      const store = place.store();
      expect(await store.open({ nowMs: 0, maxUnfinished: 1e9 })).toEqual({ epoch: 2, recovered: 0 });
      const found = await store.get(acknowledged);
      expect(acknowledged.filter((_, at) => found[at]?.status !== 'queued')).toEqual([]);
      // A batch is there as a whole or not at all.
      const stored = new Set((await store.list({ limit: Infinity })).map(({ id }) => id));
      for (const id of stored) {
        const [lane, at] = id.split('-') as [string, string];
        for (let index = 0; index <= Number(at) % 5; index += 1) expect(stored).toContain(`${lane}-${at}-${index}`);
      }
      expect((await store.counts())['triage']?.queued).toBe(stored.size);
      await store.close();
    });
  }

  test('a second owner in another process is refused, and owns at once when the first is killed', async () => {
    const first = place.store();
    await first.open({ nowMs: 0, maxUnfinished: 9 });
    await first.submit(
      ['a', 'b', 'c'].map((id) => newTask(id)),
      0,
    );
    const refused = start('hold');
    await refused.ended;
    expect(refused.said).toEqual(['refused DROVER_STORE_OWNED']);
    await first.close();

    const holder = start('hold');
    await holder.hasSaid(2);
    const second = place.store();
    await expect(second.open({ nowMs: 0, maxUnfinished: 9 })).rejects.toMatchObject({ code: 'DROVER_STORE_OWNED' });
    await holder.kill();
    // It takes back the runs of the killed one; one that it had claimed and not started is queued.
    expect(await second.open({ nowMs: 5, maxUnfinished: 9 })).toEqual({ epoch: 3, recovered: 2 });
    expect((await second.get(['a', 'b', 'c'])).map((task) => [task?.status, task?.attempt, task?.losses])).toEqual([
      ['queued', 0, 0],
      ['queued', 1, 1],
      ['queued', 1, 1],
    ]);
    await second.close();
  });

  test('an open store does not keep its process alive, and loses nothing when that ends without closing', async () => {
    const child = start('leave');
    await child.ended;
    expect(child.said).toEqual(['open 1 0', 'done']);
    expect(child.process.exitCode).toBe(0);
    const store = place.store();
    await store.open({ nowMs: 0, maxUnfinished: 9 });
    expect((await store.get(['left']))[0]?.status).toBe('queued');
    await store.close();
  });

  test.skipIf(process.platform === 'win32')('a disk that is full of the log alone has room once that is written back', async () => {
    // 4 MB: long before the log would be written back by itself, and more than the row needs.
    const child = start('rewrite', { limitBlocks: 4_096 });
    await child.ended;
    expect(child.said.at(-1)).toBe('rewritten');
  });

  test.skipIf(process.platform === 'win32')('a disk that takes no more fails the command, not what was acknowledged before', async () => {
    // The shell counts in blocks of 1024 bytes: no file grows over 4 MB.
    const child = start('fill', { limitBlocks: 4_096 });
    await child.ended;
    const failed = child.said.findIndex((line) => line.startsWith('failed'));
    expect(failed).toBeGreaterThan(20);
    expect(child.said.slice(failed)).toEqual(['failed DROVER_STORE_FAILED', 'closed']);
    const store = place.store();
    await store.open({ nowMs: 0, maxUnfinished: 1e9 });
    const acknowledged = child.said.slice(1, failed);
    expect((await store.get(acknowledged)).filter((task) => task?.input.length !== 20_000)).toEqual([]);
    await store.close();
  });
});
