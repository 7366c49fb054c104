/**
 * The world outside, a process of its own that survives the fleet: it takes effects, and has a model provider.
 * What it was told is in its log, synced, before it answers.
 *
 *     node --conditions=drover-source test/kill/world.ts FOLDER
 *
 * When it is ready it prints one line of JSON: `{"effectsUrl", "providerUrl"}`. It ends with its standard input,
 * that is with its parent.
 */
import { fdatasyncSync, openSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { startFakeProvider } from 'drover/fake-provider';
import { Effects } from './effects.ts';
import type { Effect, LoggedEffect, Verdict } from './effects.ts';

const STATUS: Readonly<Record<Verdict, number>> = {
  accepted: 200,
  known: 200,
  'stale-fence': 409,
  'stale-lock': 409,
  differs: 422,
  failed: 503,
};

const folder = process.argv[2]!;
process.stdin.once('close', () => process.exit(0)).resume();

let answers = 0;
const provider = await startFakeProvider({
  latency: { baseMs: 20, jitter: 0.5 },
  logFile: join(folder, 'calls.jsonl'),
  // Never the same twice: a run that is replayed over another answer is found out by what it does next.
  answer: () => `answer ${(answers += 1)}`,
});

const effects = new Effects();
const log = openSync(join(folder, 'effects.jsonl'), 'a');
const server = createServer((request, response) => {
  void text(request).then((body) => {
    const effect = JSON.parse(body) as Effect;
    const verdict = effects.receive(effect);
    writeSync(log, `${JSON.stringify({ ...effect, verdict, atMs: Date.now() } satisfies LoggedEffect)}\n`);
    fdatasyncSync(log);
    response.writeHead(STATUS[verdict]).end(verdict);
  });
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ effectsUrl: `http://127.0.0.1:${port}`, providerUrl: provider.url }));
});
