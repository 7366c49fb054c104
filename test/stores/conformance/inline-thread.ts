import type { OpenCommand, Opened } from '../../../actors/ports/store.ts';
import { SqliteServer } from '../../../src/stores/sqlite-server.ts';
import { toStoreError } from '../../../src/stores/sqlite-thread.ts';
import type { SqliteCaller } from '../../../src/stores/sqlite-thread.ts';
import type { Answers, Replies, Request } from '../../../src/stores/sqlite-wire.ts';

/** A thread that is none: the server answers within the call. Starts a hundred times faster. */
export class InlineThread implements SqliteCaller {
  commits = 0;
  readonly #name: string;
  readonly #server: SqliteServer;
  #answers: Answers | undefined;

  /** `nowMs`: a clock of the test's own. */
  constructor(name: string, path: string, nowMs?: () => number) {
    this.#name = name;
    this.#server = new SqliteServer({
      path,
      receive: () => undefined,
      answer: (answers) => (this.#answers = answers),
      ...(nowMs === undefined ? {} : { nowMs }),
    });
  }

  async open(command: OpenCommand): Promise<Opened> {
    const { log: _, ...opened } = await this.call({ op: 'open', command }, 1);
    return opened;
  }

  async call<Op extends Request['op']>(request: Extract<Request, { op: Op }>, size: number): Promise<Replies[Op]> {
    return this.ask(request, size);
  }

  ask<Op extends Request['op']>(request: Extract<Request, { op: Op }>, size: number): Replies[Op] {
    // What passes between threads is a copy.
    this.#server.serve([structuredClone({ ticket: 1, size, request })]);
    const [answer] = structuredClone(this.#answers!.answers);
    if (this.#answers!.wrote) this.commits += 1;
    if ('failure' in answer!) throw toStoreError(answer.failure, this.#name, request.op);
    return answer!.value as Replies[Op];
  }

  async close(): Promise<void> {
    await this.call({ op: 'close' }, 1);
  }

  async terminate(): Promise<void> {
    // What a thread that ends has found wrong, nobody hears.
    await this.close().catch(() => {});
  }
}
