/** A `fetch` in front of another one. */
import { TopologyError } from '../topology/topology-error.ts';
import type { DropIn } from './drop-in.ts';
import { HttpDropIn } from './http-drop-in.ts';
import type { HttpWire } from './http-drop-in.ts';

/** What clients call. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** @throws TopologyError when there is nothing to send with. */
export function fetchThrough(name: string, dropIn: DropIn, wire: HttpWire, send: Fetch | undefined): Fetch {
  if (send !== undefined && typeof send !== 'function')
    throw new TopologyError({ path: [name, 'fetch'], value: send, expected: 'a function like `fetch`' });
  const through = new HttpDropIn(dropIn, wire);
  return async (input, init) => {
    // The global one as it is now: somebody may have put another in its place.
    const sender = send ?? globalThis.fetch;
    const { url, init: whole } = input instanceof Request ? await opened(input, init) : { url: String(input), init: init ?? {} };
    return through.exchange({ url, init: whole, send: (sent) => sender(url, sent), passesErrors: false });
  };
}

/** A request as an address and the rest. */
async function opened(input: Request, init: RequestInit | undefined): Promise<{ readonly url: string; readonly init: RequestInit }> {
  const request = new Request(input, init);
  const { url, method, headers, signal, redirect } = request;
  if (request.body === null) return { url, init: { method, headers, signal, redirect } };
  return { url, init: { method, headers, signal, redirect, body: await request.arrayBuffer() } };
}
