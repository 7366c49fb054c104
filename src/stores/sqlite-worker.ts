/** The thread of an SQLite store: a server behind a message port. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { invariant } from '../../actors/kernel/errors.ts';
import { SqliteServer } from './sqlite-server.ts';
import type { Envelope } from './sqlite-wire.ts';

/** What the thread is started with. */
export interface ThreadData {
  readonly path: string;
}

invariant(parentPort !== null, 'sqlite-worker is run as a thread');
const port = parentPort;
const server = new SqliteServer({
  path: (workerData as ThreadData).path,
  receive: () => receiveMessageOnPort(port)?.message,
  answer: (answers) => port.postMessage(answers),
});

port.on('message', (envelopes: readonly Envelope[]) => {
  server.serve(envelopes);
  if (!server.isOpen) port.close();
});
