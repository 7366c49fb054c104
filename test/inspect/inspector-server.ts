/** What a page of the XState inspector would get: a WebSocket server on loopback that keeps the frames. */
import { once } from 'node:events';
import type { AnyEventObject } from 'xstate';
import { WebSocketServer } from 'ws';

/** As it comes over the wire. */
export interface ReceivedFrame {
  readonly type: string;
  readonly rootId: string;
  readonly sessionId: string;
  readonly parentId?: string;
  readonly sourceId?: string;
  readonly name?: string;
  readonly definition?: string;
  readonly event?: AnyEventObject;
  readonly snapshot?: { readonly status: string; readonly value?: unknown; readonly context?: unknown; readonly error?: unknown };
  readonly createdAt: string;
  readonly _version: string;
}

export class InspectorServer implements AsyncDisposable {
  readonly frames: ReceivedFrame[] = [];
  readonly #server: WebSocketServer;
  readonly #waiting = new Set<() => void>();

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket) =>
      socket.on('message', (data) => {
        this.frames.push(JSON.parse(data.toString()) as ReceivedFrame);
        for (const look of this.#waiting) look();
      }),
    );
  }

  static async start(): Promise<InspectorServer> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server as never, 'listening');
    return new InspectorServer(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#server.address().port}`;
  }

  /** Resolves with the first frame that fits, from those that have come or when it comes. */
  until(fits: (frame: ReceivedFrame) => boolean): Promise<ReceivedFrame> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.frames.find(fits);
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Every actor that was announced, by session. */
  actors(): ReadonlyMap<string, ReceivedFrame> {
    return new Map(this.frames.filter(({ type }) => type === '@xstate.actor').map((frame) => [frame.sessionId, frame]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#server.clients) client.terminate();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
