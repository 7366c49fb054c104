/** The little of HTTP that the routes share. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What became of a request body. */
export type Body = { readonly at: 'read'; readonly text: string } | { readonly at: 'too-large' } | { readonly at: 'aborted' };

/**
 * Reads a body of at most `maxBytes`. A larger one is read to its end and thrown away: closing the
 * connection on a client that is still sending would show it a reset instead of the 413.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Body> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes <= maxBytes) chunks.push(chunk);
      else chunks.length = 0;
    }
  } catch {
    // The only error of a request stream is that its client went away.
    return { at: 'aborted' };
  }
  if (bytes > maxBytes) return { at: 'too-large' };
  return { at: 'read', text: Buffer.concat(chunks).toString('utf8') };
}

/** Sends a whole JSON answer. */
export function sendJson(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  const text = JSON.stringify(body);
  const length = String(Buffer.byteLength(text));
  response.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': length });
  response.end(text);
}
