/** What an accepted call gets for an answer: plain or streamed, whole or as its fault has it. */
import type { Random } from '../../../actors/kernel/random.ts';
import type { Call } from './call.ts';
import { HTML_PAGE, spoiledCompletion, spoiledRateHeaders, spoiledText } from './faults/spoil.ts';
import type { ResolvedOptions } from './options.ts';
import { piecesOf, reasoningFor } from './usage.ts';
import type { PromptUsage } from './usage.ts';
import type { Completion, Question, Wire, WireError } from './wire.ts';

/** What an answer needs besides the call. */
export interface Answering {
  readonly options: ResolvedOptions;
  readonly wire: Wire;
  readonly prompt: PromptUsage;
  /** For jitter and garbage: a stream of its own, so that it does not shift the faults. */
  readonly random: Random;
  /** Rate-limit and identity headers, as they are at the moment of sending. */
  readonly headers: () => Record<string, string>;
  readonly callId: string;
}

/** Time for the client to read what was sent: a reset may throw away what it has not read. */
const RESET_GRACE_MS = 5;

const JSON_TYPE = { 'content-type': 'application/json' };
const HTML_TYPE = { 'content-type': 'text/html; charset=utf-8' };
const EVENT_STREAM_TYPE = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' };

const OVERLOADED: WireError = { status: 529, message: 'The server is overloaded.', type: 'overloaded_error', param: null, code: null };

/** Sees the call through to its last byte. Resolves early when the call is over before. */
export async function respond(call: Call, question: Question, answering: Answering): Promise<void> {
  try {
    await sendAnswer(call, question, answering);
  } catch (error) {
    // Each wait ends by throwing when the client has gone; then no one is left to answer.
    if (!call.isOver) throw error;
  }
}

async function sendAnswer(call: Call, question: Question, answering: Answering): Promise<void> {
  const { options, random } = answering;
  const { baseMs, perOutputTokenMs, slowTokenMs, jitter } = options.latency;
  const pace = 1 + jitter * (2 * random.next() - 1);
  switch (call.fault) {
    case 'hang':
      return call.cut('fault:hang');
    case 'reset':
      await call.pause(baseMs * pace);
      return call.reset('fault:reset');
    case 'rate500':
      await call.pause(baseMs * pace);
      return sendFailure(call, answering, serverError('The server had an error while processing your request.'));
    case 'rate529':
      await call.pause(baseMs * pace);
      return sendFailure(call, answering, OVERLOADED);
    case 'html':
      await call.pause(baseMs * pace);
      return call.fail(200, { ...headersOf(call, answering), ...HTML_TYPE, ...lengthOf(HTML_PAGE) }, HTML_PAGE);
    default:
    // The other faults spoil an answer that is given.
  }
  let text: string;
  try {
    text = spoiledText(call.fault, question.maxTokens, random) ?? (await options.answer(question.request));
  } catch (error) {
    if (call.isOver) return;
    return sendFailure(call, answering, serverError(`options.answer threw: ${String(error)}`));
  }
  const completion = complete(call, question, text, answering);
  const perTokenMs = (perOutputTokenMs + (call.fault === 'slow' ? slowTokenMs : 0)) * pace;
  await call.pause(baseMs * pace + completion.usage.reasoningTokens * perTokenMs);
  if (question.streamed) {
    await sendStream(call, completion, question.includeUsage, perTokenMs, answering);
  } else {
    await call.pause((completion.pieces?.length ?? 0) * perTokenMs);
    await sendPlain(call, completion, answering);
  }
}

function complete(call: Call, { request, maxTokens }: Question, text: string, { options, prompt, callId }: Answering): Completion {
  const most = maxTokens ?? Infinity;
  // Nothing is thought about an answer that is not given.
  const reasoningTokens = call.fault === 'emptyChoices' ? 0 : Math.min(most, reasoningFor(request, options.reasoningTokens));
  const { pieces, isCut } = piecesOf(text, most - reasoningTokens);
  return spoiledCompletion(call.fault, {
    id: callId,
    model: request.model,
    createdMs: options.nowMs(),
    pieces,
    finishReason: isCut ? 'length' : 'stop',
    usage: { ...prompt, outputTokens: pieces.length + reasoningTokens, reasoningTokens },
    tellsUsage: true,
  });
}

async function sendPlain(call: Call, completion: Completion, answering: Answering): Promise<void> {
  const { reasoningTokens } = completion.usage;
  const textTokens = completion.pieces?.length ?? 0;
  const body = JSON.stringify(answering.wire.plainBody(completion));
  const half = body.slice(0, body.length / 2);
  const begin = (text: string) => call.begin(200, { ...headersOf(call, answering), ...JSON_TYPE, ...lengthOf(text) });
  switch (call.fault) {
    case 'resetMidStream':
      begin(body);
      return sendAndReset(call, half);
    case 'stall':
      begin(body);
      call.cut('fault:stall');
      return call.write(half);
    case 'errorMidStream':
      call.count(textTokens, reasoningTokens);
      return sendError(call, answering, OVERLOADED);
    default:
  }
  const isCut = call.fault === 'truncatedJson' || call.fault === 'quietEnd';
  const sent = isCut ? half : body;
  begin(sent);
  call.count(textTokens, reasoningTokens);
  call.end(sent, isCut ? 'part' : 'all');
}

/** Faults that strike a stream after half of its text. */
const MID_STREAM = new Set(['truncatedJson', 'resetMidStream', 'stall', 'quietEnd', 'errorMidStream']);

async function sendStream(
  call: Call,
  completion: Completion,
  includeUsage: boolean,
  perTokenMs: number,
  answering: Answering,
): Promise<void> {
  const { nowMs } = answering.options;
  const { usage, pieces: all } = completion;
  const pieces = all ?? [];
  const events = answering.wire.streamed(completion, includeUsage);
  const isCut = call.fault !== null && MID_STREAM.has(call.fault);
  const sentPieces = isCut ? pieces.slice(0, pieces.length / 2) : pieces;
  call.begin(200, { ...headersOf(call, answering), ...EVENT_STREAM_TYPE });
  call.count(0, usage.reasoningTokens);
  await call.write(events.head());
  // Each token has its due time: timers that fire late do not add up over a long answer.
  let dueMs = nowMs();
  for (const piece of sentPieces) {
    dueMs += perTokenMs;
    if (perTokenMs > 0) await call.pause(dueMs - nowMs());
    await call.write(events.content(piece));
    call.count(1);
  }
  const next = events.content(pieces[sentPieces.length] ?? '');
  const half = next.slice(0, next.length / 2);
  switch (call.fault) {
    case 'resetMidStream':
      return sendAndReset(call, half);
    case 'stall':
      return call.cut('fault:stall');
    case 'truncatedJson':
      return call.end(`${half}\n\n`, 'part');
    case 'quietEnd':
      return call.end('', 'part');
    case 'errorMidStream':
      return call.end(events.error(OVERLOADED), 'part');
    case 'missingDone':
      return call.end(events.finish(), 'part');
    default:
      return call.end(events.finish() + events.end());
  }
}

async function sendAndReset(call: Call, text: string): Promise<void> {
  await call.write(text);
  await call.pause(RESET_GRACE_MS);
  call.reset('fault:resetMidStream');
}

/** The call fails, and uses no tokens. */
function sendFailure(call: Call, answering: Answering, error: WireError): void {
  const body = JSON.stringify(answering.wire.errorBody(error, answering.callId));
  call.fail(error.status, { ...headersOf(call, answering), ...JSON_TYPE, ...lengthOf(body) }, body);
}

/** The call fails after it has used its tokens. */
function sendError(call: Call, answering: Answering, error: WireError): void {
  const body = JSON.stringify(answering.wire.errorBody(error, answering.callId));
  call.begin(error.status, { ...headersOf(call, answering), ...JSON_TYPE, ...lengthOf(body) });
  call.end(body);
}

function serverError(message: string): WireError {
  return { status: 500, message, type: 'server_error', param: null, code: null };
}

function headersOf(call: Call, { wire, headers }: Answering): Record<string, string> {
  return { ...headers(), ...spoiledRateHeaders(call.fault, wire.rateHeaderNames) };
}

function lengthOf(body: string): Record<string, string> {
  return { 'content-length': String(Buffer.byteLength(body)) };
}
