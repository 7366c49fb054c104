/** What the tests use of ws, which brings no types of its own. */
declare module 'ws' {
  export interface Socket {
    on(event: 'message', listener: (data: Buffer) => void): this;
    pause(): void;
    terminate(): void;
  }

  export class WebSocketServer {
    readonly clients: ReadonlySet<Socket>;
    constructor(options: { readonly host: string; readonly port: number });
    address(): { readonly port: number };
    on(event: 'connection', listener: (socket: Socket) => void): this;
    once(event: 'listening', listener: () => void): this;
    close(done?: () => void): void;
  }
}
