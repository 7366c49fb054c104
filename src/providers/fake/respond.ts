/** What an accepted call gets for an answer: plain or streamed, whole or as its fault has it. */
import type { Random } from '../../../actors/kernel/random.ts';
import type { Call } from './call.ts';
import { garbageText } from './faults.ts';
import type { ResolvedOptions } from './options.ts';
import type { ChatRequest, Completion } from './wire.ts';
import { complete, completionBody, streamEvents } from './wire.ts';

/** What an answer needs besides the call. */
export interface Answering {
  readonly options: ResolvedOptions;
  /** For jitter and garbage: a stream of its own, so that it does not shift the faults. */
  readonly random: Random;
  /** Rate-limit and identity headers, as they are at the moment of sending. */
  readonly headers: () => Record<string, string>;
  readonly callId: string;
}

/** Time for the client to read what was sent: a reset may throw away what it has not read. */
const RESET_GRACE_MS = 5;

const JSON_TYPE = { 'content-type': 'application/json' };
const EVENT_STREAM_TYPE = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' };

/** Sees the call through to its last byte. Resolves early when the call is over before. */
export async function respond(call: Call, request: ChatRequest, answering: Answering): Promise<void> {
  try {
    await sendAnswer(call, request, answering);
  } catch (error) {
    // Each wait ends by throwing when the client has gone; then no one is left to answer.
    if (!call.isOver) throw error;
  }
}

async function sendAnswer(call: Call, request: ChatRequest, answering: Answering): Promise<void> {
  const { options, random } = answering;
  const { baseMs, perOutputTokenMs, jitter } = options.latency;
  const pace = 1 + jitter * (2 * random.next() - 1);
  switch (call.fault) {
    case 'hang':
      return call.cut('fault:hang');
    case 'reset':
      await call.pause(baseMs * pace);
      return call.reset('fault:reset');
    case 'rate500':
      await call.pause(baseMs * pace);
      return sendError(call, answering, 500, 'server_error', 'The server had an error while processing your request.');
    case 'rate529':
      await call.pause(baseMs * pace);
      return sendError(call, answering, 529, 'overloaded_error', 'The server is overloaded.');
    default:
    // The other faults spoil an answer that is given.
  }
  let text: string;
  try {
    text = call.fault === 'garbage' ? garbageText(random) : await options.answer(request);
  } catch (error) {
    if (call.isOver) return;
    return sendError(call, answering, 500, 'server_error', `options.answer threw: ${String(error)}`);
  }
  const completion = complete(request, text, answering.callId, options.nowMs());
  await call.pause(baseMs * pace);
  if (request.stream === true) {
    const includeUsage = request.stream_options?.include_usage === true;
    await sendStream(call, completion, includeUsage, perOutputTokenMs * pace, answering);
  } else {
    await call.pause(completion.pieces.length * perOutputTokenMs * pace);
    await sendPlain(call, completion, answering);
  }
}

async function sendPlain(call: Call, completion: Completion, { headers }: Answering): Promise<void> {
  const body = completionBody(completion);
  const half = body.slice(0, body.length / 2);
  if (call.fault === 'resetMidStream') {
    call.begin(200, { ...headers(), ...JSON_TYPE, 'content-length': String(Buffer.byteLength(body)) });
    return sendAndReset(call, half);
  }
  const isCut = call.fault === 'truncatedJson';
  const sent = isCut ? half : body;
  call.begin(200, { ...headers(), ...JSON_TYPE, 'content-length': String(Buffer.byteLength(sent)) });
  call.completionTokens = completion.pieces.length;
  call.end(sent, isCut ? 'part' : 'all');
}

async function sendStream(
  call: Call,
  completion: Completion,
  includeUsage: boolean,
  perTokenMs: number,
  { options, headers }: Answering,
): Promise<void> {
  const { pieces } = completion;
  const events = streamEvents(completion, includeUsage);
  const isCut = call.fault === 'truncatedJson' || call.fault === 'resetMidStream';
  const sentPieces = isCut ? pieces.slice(0, pieces.length / 2) : pieces;
  call.begin(200, { ...headers(), ...EVENT_STREAM_TYPE });
  await call.write(events.role());
  // Each token has its due time: timers that fire late do not add up over a long answer.
  let dueMs = options.nowMs();
  for (const piece of sentPieces) {
    dueMs += perTokenMs;
    if (perTokenMs > 0) await call.pause(dueMs - options.nowMs());
    await call.write(events.content(piece));
    call.completionTokens += 1;
  }
  if (!isCut) return call.end(events.tail());
  const next = events.content(pieces[sentPieces.length] ?? '');
  const half = next.slice(0, next.length / 2);
  if (call.fault === 'resetMidStream') return sendAndReset(call, half);
  call.end(`${half}\n\n`, 'part');
}

async function sendAndReset(call: Call, text: string): Promise<void> {
  await call.write(text);
  await call.pause(RESET_GRACE_MS);
  call.reset('fault:resetMidStream');
}

function sendError(call: Call, { headers }: Answering, status: number, type: string, message: string): void {
  const body = JSON.stringify({ error: { message, type, param: null, code: null } });
  call.fail(status, { ...headers(), ...JSON_TYPE, 'content-length': String(Buffer.byteLength(body)) }, body);
}
