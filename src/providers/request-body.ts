/** Request body: what a client sends, in whichever of the forms that `fetch` takes, read without using it up. */
import { types } from 'node:util';

/** A body, once it has been looked at. */
export interface RequestBody {
  /** To be sent, as often as it takes: a stream has been read whole. */
  readonly body: RequestInit['body'];
  /** The object that it is as JSON; undefined: it is none (nothing, a form, compressed, broken). */
  readonly json: Readonly<Record<string, unknown>> | undefined;
  /** Characters of it, or bytes where it is no text. */
  readonly size: number;
}

/** Rejects with what a stream rejects with. */
export async function readBody(body: RequestInit['body']): Promise<RequestBody> {
  if (body === null || body === undefined) return { body, json: undefined, size: 0 };
  if (typeof body === 'string') return { body, json: objectOf(body), size: body.length };
  if (body instanceof FormData || body instanceof URLSearchParams) return { body, json: undefined, size: [...body.keys()].length };
  const bytes = isBytes(body) ? bytesOf(body) : new Uint8Array(await new Response(body).arrayBuffer());
  const text = new TextDecoder().decode(bytes);
  const json = objectOf(text);
  // What was read is as good as what it was read from, and can be sent twice.
  return json === undefined
    ? { body: bytes as Uint8Array<ArrayBuffer>, json, size: bytes.byteLength }
    : { body: text, json, size: text.length };
}

function isBytes(body: unknown): body is ArrayBuffer | ArrayBufferView {
  return types.isAnyArrayBuffer(body) || ArrayBuffer.isView(body);
}

function bytesOf(body: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(body) ? new Uint8Array(body.buffer, body.byteOffset, body.byteLength) : new Uint8Array(body);
}

function objectOf(text: string): RequestBody['json'] {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}
