/** The HTTP server of the fake provider: its routes, its life, and what it owns until `close()`. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { invariant } from '../../../actors/kernel/errors.ts';
import { seededRandom } from '../../../actors/kernel/random.ts';
import type { Random } from '../../../actors/kernel/random.ts';
import type { ProviderLimits } from './admission/limits.ts';
import { checkLimits } from './admission/limits.ts';
import { anthropicWire } from './anthropic/wire.ts';
import { CallLog } from './call-log.ts';
import type { LoggedCall } from './call-log.ts';
import type { Call } from './call.ts';
import { checkFaults } from './faults/faults.ts';
import type { FaultRates } from './faults/faults.ts';
import { sendJson } from './http.ts';
import { Limiter } from './limiter.ts';
import type { FakeProviderStats } from './limiter.ts';
import { openaiWire } from './openai/wire.ts';
import { resolveOptions } from './options.ts';
import type { FakeProviderOptions, ResolvedOptions } from './options.ts';
import { handleQuestion } from './route.ts';
import type { RouteHost } from './route.ts';
import { invalidRequest } from './wire.ts';
import type { Wire } from './wire.ts';

/** A running fake provider. */
export interface FakeProvider extends AsyncDisposable {
  /** Without a path: `http://127.0.0.1:PORT`. The `baseURL` of Anthropic's client; that of OpenAI's is this plus `/v1`. */
  readonly url: string;
  readonly port: number;
  /** Accepted calls, oldest first, the last `maxCalls` of them. A copy. */
  readonly calls: readonly LoggedCall[];
  stats(): FakeProviderStats;
  /** Replaces all fault rates, for calls that arrive from now on. @throws RangeError */
  setFaults(faults: FaultRates): void;
  /** Replaces the hidden limits, until the schedule has others; `{}` makes the declared ones true again. @throws RangeError */
  setHidden(hidden: ProviderLimits): void;
  /** Ends open and hung connections, and closes the log file. Calls in flight end as `provider-closed`. */
  close(): Promise<void>;
}

interface Connection {
  readonly id: string;
  lastCallId: string | null;
}

const NO_KEEP_ALIVE_TIMEOUT = 0;
const BACKLOG = 4_096;

/**
 * Starts a provider on 127.0.0.1 that speaks OpenAI's chat completions and Anthropic's messages. Both
 * share one quota and one log.
 *
 * @throws RangeError when an option is out of its range; the system's error when the port is taken.
 * @example
 * ```ts
 * await using provider = await startFakeProvider({ limits: { requestsPerMinute: 600 } });
 * const openai = new OpenAI({ baseURL: `${provider.url}/v1`, apiKey: 'any', maxRetries: 0 });
 * const anthropic = new Anthropic({ baseURL: provider.url, apiKey: 'any', maxRetries: 0 });
 * ```
 */
export async function startFakeProvider(options: FakeProviderOptions = {}): Promise<FakeProvider> {
  const provider = new FakeProviderServer(resolveOptions(options));
  await provider.listen();
  return provider;
}

class FakeProviderServer implements FakeProvider {
  readonly #options: ResolvedOptions;
  readonly #server: Server;
  readonly #limiter: Limiter;
  readonly #log: CallLog;
  readonly #faultRandom: Random;
  readonly #answerRandom: Random;
  readonly #connections = new Map<Socket, Connection>();
  readonly #openCalls = new Set<Call>();
  // Part of every id, so that a log file of two runs in turn has no id twice.
  readonly #run = randomBytes(4).toString('hex');
  #faults: FaultRates;
  #port = 0;
  #requestCount = 0;
  #connectionCount = 0;
  #closed: Promise<void> | null = null;

  constructor(options: ResolvedOptions) {
    this.#options = options;
    this.#faults = options.faults;
    const random = seededRandom(options.seed);
    this.#faultRandom = random.fork('faults');
    this.#answerRandom = random.fork('answers');
    this.#limiter = new Limiter(options);
    this.#log = new CallLog(options.maxCalls, options.logFile);
    this.#server = createServer((request, response) => this.#route(request, response));
    // A server that closes an idle connection races with the client's next request on it: ECONNRESET.
    this.#server.keepAliveTimeout = NO_KEEP_ALIVE_TIMEOUT;
    this.#server.on('connection', (socket) => this.#connected(socket));
  }

  async listen(): Promise<void> {
    this.#server.listen({ host: '127.0.0.1', port: this.#options.port, backlog: BACKLOG });
    try {
      await once(this.#server, 'listening');
    } catch (error) {
      this.#log.close();
      throw error;
    }
    // Kept, because a closed server has no address any more.
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get calls(): readonly LoggedCall[] {
    return this.#log.calls;
  }

  stats(): FakeProviderStats {
    return this.#limiter.stats();
  }

  setFaults(faults: FaultRates): void {
    this.#faults = checkFaults(faults);
  }

  setHidden(hidden: ProviderLimits): void {
    this.#limiter.setHidden(checkLimits('hidden', hidden));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const call of this.#openCalls) call.cut('provider-closed');
    const sockets = [...this.#connections.keys()];
    await Promise.all([closed, ...sockets.map(destroyed)]);
    // Last: the calls and connections wrote their last lines when their sockets closed.
    this.#log.close();
  }

  #connected(socket: Socket): void {
    this.#connectionCount += 1;
    const connection: Connection = { id: `conn_${this.#run}_${this.#connectionCount}`, lastCallId: null };
    this.#connections.set(socket, connection);
    socket.once('close', () => {
      this.#connections.delete(socket);
      // In a microtask: the call in flight listens to the same event, and its line comes first.
      queueMicrotask(() => {
        const { id, lastCallId } = connection;
        if (lastCallId !== null) this.#log.connectionClosed(id, lastCallId, this.#options.nowMs());
      });
    });
  }

  #route(request: IncomingMessage, response: ServerResponse): void {
    this.#requestCount += 1;
    const { nowMs } = this.#options;
    const arrivedAtMs = nowMs();
    const id = `req_${this.#run}_${this.#requestCount}`;
    const answer = (wire: Wire) => {
      const headers = () => {
        const now = nowMs();
        return { ...wire.identityHeaders(id, now - arrivedAtMs), ...wire.rateHeaders(this.#limiter.shown(now), now) };
      };
      return { id, wire, request, response, headers, carry: () => this.#carry(request.socket, id) };
    };
    const path = (request.url ?? '/').split('?', 1)[0];
    switch (`${request.method} ${path}`) {
      // Nothing in there is expected to fail; if it does (a full disk), the test run should know.
      case 'POST /v1/chat/completions':
        return void handleQuestion(this.#routeHost(), answer(openaiWire));
      case 'POST /v1/messages':
        return void handleQuestion(this.#routeHost(), answer(anthropicWire));
      case 'GET /v1/models':
        return sendJson(response, 200, this.#models(), answer(openaiWire).headers());
      case 'GET /healthz':
        return sendJson(response, 200, { ok: true });
      case 'GET /_log':
        return sendJson(response, 200, { calls: this.calls });
      case 'GET /_stats':
        return sendJson(response, 200, this.stats());
      default: {
        const { wire, headers } = answer(path?.startsWith('/v1/messages') ? anthropicWire : openaiWire);
        const error = invalidRequest(`Unknown request URL: ${request.method} ${path}.`, null, 'unknown_url', 404);
        return sendJson(response, 404, wire.errorBody(error, id), headers());
      }
    }
  }

  #routeHost(): RouteHost {
    return {
      options: this.#options,
      nowMs: this.#options.nowMs,
      limiter: this.#limiter,
      log: this.#log,
      openCalls: this.#openCalls,
      faults: this.#faults,
      faultRandom: this.#faultRandom,
      answerRandom: this.#answerRandom,
    };
  }

  #carry(socket: Socket, callId: string): string {
    const connection = this.#connections.get(socket);
    invariant(connection !== undefined, 'a response that is not destroyed has an open connection');
    connection.lastCallId = callId;
    return connection.id;
  }

  #models() {
    const ids = this.#options.models ?? ['fake-model'];
    const data = ids.map((id) => ({ id, object: 'model', created: 0, owned_by: 'drover' }));
    return { object: 'list', data };
  }
}

function destroyed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    socket.destroy();
  });
}
