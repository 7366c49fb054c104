import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { FakeProvider, LogLine } from '../../src/providers/fake/index.ts';
import { clientOf, failureOf, hello, post, startProvider } from './fake-harness.ts';

function temporaryLog() {
  const directory = mkdtempSync(join(tmpdir(), 'drover-fake-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'calls.jsonl');
  const lines = () =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as LogLine);
  return { path, lines };
}

/** A process that makes two calls, `first` and `second`, and says when the first is answered. */
function spawnClient(provider: FakeProvider) {
  const program = `
    const call = (key) => fetch('${provider.url}/v1/chat/completions', {
      method: 'POST', headers: { 'idempotency-key': key }, body: ${JSON.stringify(JSON.stringify(hello))},
    }).then((response) => response.text());
    await call('first');
    console.log('answered');
    await call('second');`;
  return spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
}

describe('the log in memory', () => {
  test('holds the idempotency key of each accepted call, and of no refused one', async () => {
    const provider = await startProvider({ limits: { requestsPerMinute: 60 } });
    await clientOf(provider).chat.completions.create(hello, { headers: { 'Idempotency-Key': 'task-1' } });
    await failureOf(clientOf(provider).chat.completions.create(hello, { headers: { 'Idempotency-Key': 'task-2' } }));
    expect(provider.calls).toMatchObject([
      { key: 'task-1', model: 'm', promptTokens: 2, status: 200, streamed: false, ended: 'answered', sent: 'all' },
    ]);
  });

  test('has a null key for a call without one', async () => {
    const provider = await startProvider();
    await post(provider);
    expect(provider.calls).toMatchObject([{ key: null }]);
  });

  test('drops its oldest call when it is full', async () => {
    const provider = await startProvider({ maxCalls: 2 });
    for (const key of ['a', 'b', 'c']) await post(provider, hello, { 'idempotency-key': key });
    expect(provider.calls.map((call) => call.key)).toEqual(['b', 'c']);
  });

  test('can be read over HTTP, with the counters', async () => {
    const provider = await startProvider();
    await post(provider, hello, { 'idempotency-key': 'a' });
    const read = async (path: string) => (await fetch(`${provider.url}${path}`)).json();
    expect(await read('/_log')).toEqual({ calls: provider.calls });
    expect(await read('/_stats')).toEqual(provider.stats());
    expect(await read('/v1/models')).toMatchObject({ object: 'list', data: [{ id: 'fake-model', object: 'model' }] });
  });
});

describe('the log file', () => {
  test('has the call on file before the answer function is asked', async () => {
    const log = temporaryLog();
    const seen: LogLine[][] = [];
    const provider = await startProvider({ logFile: log.path, answer: () => (seen.push(log.lines()), 'ok') });
    await post(provider, hello, { 'idempotency-key': 'task-1' });
    expect(seen).toMatchObject([[{ line: 'accepted', key: 'task-1', model: 'm', promptTokens: 2, streamed: false }]]);
  });

  test('tells a call in flight at a kill -9 of its client from one whose answer had left', async () => {
    const log = temporaryLog();
    let asked = 0;
    const answer = () => ((asked += 1) === 1 ? 'ok' : new Promise<string>(() => {}));
    const provider = await startProvider({ logFile: log.path, answer });
    const client = spawnClient(provider);
    await once(client.stdout, 'data');
    await vi.waitFor(() => expect(asked).toBe(2), { interval: 2 });
    client.kill('SIGKILL');
    const [first, second] = provider.calls;
    const closed = (call = first) => ({ line: 'connection-closed', connection: call?.connection, lastCallId: call?.id });
    // The client may use one connection for both calls or one for each.
    await vi.waitFor(() => expect(log.lines()).toContainEqual(expect.objectContaining(closed(second))), { interval: 5 });
    expect(log.lines().filter(({ line }) => line !== 'connection-closed')).toMatchObject([
      { line: 'accepted', id: first?.id, key: 'first' },
      { line: 'ended', id: first?.id, key: 'first', ended: 'answered', sent: 'all', status: 200 },
      { line: 'accepted', id: second?.id, key: 'second' },
      { line: 'ended', id: second?.id, key: 'second', ended: 'client-closed', sent: 'nothing', status: null },
    ]);
    const order = log.lines().map((line) => (line.line === 'connection-closed' ? line.lastCallId : `${line.line} ${line.id}`));
    expect(order.indexOf(`ended ${second?.id}`)).toBeLessThan(order.indexOf(second?.id ?? ''));
  });

  test('is appended to by the next provider, and no id comes twice', async () => {
    const log = temporaryLog();
    for (const key of ['a', 'b']) {
      const provider = await startProvider({ logFile: log.path });
      await post(provider, hello, { 'idempotency-key': key });
      await provider.close();
    }
    const ended = log.lines().filter((line) => line.line === 'ended');
    expect(ended.map((line) => line.key)).toEqual(['a', 'b']);
    expect(new Set(ended.map((line) => line.id)).size).toBe(2);
    expect(new Set(ended.map((line) => line.connection)).size).toBe(2);
  });

  test('says of a call in flight that the provider was closed', async () => {
    const log = temporaryLog();
    const provider = await startProvider({ logFile: log.path, latency: { baseMs: 60_000 } });
    const call = failureOf(post(provider));
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(1), { interval: 2 });
    await provider.close();
    await call;
    expect(log.lines().map((line) => line.line)).toEqual(['accepted', 'ended', 'connection-closed']);
    expect(log.lines()[1]).toMatchObject({ ended: 'provider-closed', sent: 'nothing' });
  });
});
