import { describe, expect, test } from 'vitest';
import { EventWatch } from '../../src/providers/server-events.ts';
import type { EventReading } from '../../src/providers/server-events.ts';
import { watchedStream } from '../../src/providers/watched-stream.ts';
import type { StreamEnd } from '../../src/providers/watched-stream.ts';
import { failureOf } from './fake-harness.ts';

const NEVER = new AbortController().signal;
const usage = { inputTokens: 1, outputTokens: 2 };

/** Events whose data is a number; 0 is the mark of the end, odd ones are hidden where that is asked for. */
class Numbers implements EventReading {
  readonly seen: unknown[] = [];
  readonly usage = usage;
  isDone = false;
  isWhole = false;
  failure: string | undefined;

  read(data: string, value: unknown): boolean {
    this.seen.push(value ?? data);
    if (value === 0) this.isDone = true;
    if (value === 8) this.isWhole = true;
    if (value === -1) this.failure = 'minus one';
    return typeof value === 'number' && value % 2 === 1;
  }
}

function sourceOf(chunks: readonly string[], ending: 'close' | Error | 'open' = 'close') {
  const left = chunks.map((chunk) => new TextEncoder().encode(chunk));
  const state = { pulled: 0, cancelledWith: undefined as unknown };
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        state.pulled += 1;
        const chunk = left.shift();
        if (chunk !== undefined) controller.enqueue(chunk);
        else if (ending === 'close') controller.close();
        else if (ending !== 'open') controller.error(ending);
        else return new Promise(() => {});
      },
      cancel: (reason) => void (state.cancelledWith = reason ?? 'cancelled'),
    },
    { highWaterMark: 0 },
  );
  return { stream, state };
}

interface Watching {
  readonly hides?: boolean;
  readonly ending?: 'close' | Error | 'open';
  readonly signal?: AbortSignal;
}

function watched(chunks: readonly string[], { hides = true, ending = 'close', signal = NEVER }: Watching = {}) {
  const { stream, state } = sourceOf(chunks, ending);
  const reading = new Numbers();
  const ends: StreamEnd[] = [];
  const body = watchedStream(stream, new EventWatch(reading, hides), signal, (end) => void ends.push(end));
  return { body, state, reading, ends, text: () => new Response(body).text() };
}

const event = (value: number) => `data: ${value}\n\n`;

describe('events', () => {
  const whole = [event(2), event(3), ': a comment\n\n', 'event: x\r\ndata: 4\r\n\r\n', event(0)].join('');

  test.each([1, 2, 3, 7, 1_000])('are seen and hidden alike in pieces of %i characters', async (size) => {
    const pieces = whole.match(new RegExp(`[^]{1,${size}}`, 'g'))!;
    const { text, reading, ends } = watched(pieces);
    expect(await text()).toBe(whole.replace(event(3), ''));
    expect(reading.seen).toEqual([2, 3, 4, 0]);
    expect(ends).toEqual([{ at: 'whole', usage }]);
  });

  test('pass as they came where none is to be hidden', async () => {
    const { text, reading } = watched([whole.slice(0, 11), whole.slice(11)], { hides: false });
    expect(await text()).toBe(whole);
    expect(reading.seen).toEqual([2, 3, 4, 0]);
  });

  test('keep letters that are cut in two', async () => {
    const bytes = new TextEncoder().encode('data: "ä€𝄞"\n\n');
    const reading = new Numbers();
    const watch = new EventWatch(reading, true);
    const out = Array.from(bytes, (byte) => watch.pass(new Uint8Array([byte]))).filter((chunk) => chunk !== undefined);
    expect(new TextDecoder().decode(Buffer.concat(out))).toBe('data: "ä€𝄞"\n\n');
    expect(reading.seen).toEqual(['ä€𝄞']);
  });

  test('the last of which lacks its empty line are seen', async () => {
    const { text, reading, ends } = watched([event(2), 'data: 8']);
    expect(await text()).toBe(`${event(2)}data: 8`);
    expect(reading.seen).toEqual([2, 8]);
    expect(ends).toEqual([{ at: 'whole', usage }]);
  });

  test('without an end are passed on in bounded memory', async () => {
    const endless = 'x'.repeat(1_000_000);
    const { text, ends } = watched([event(2), endless, endless, endless, endless, endless]);
    expect((await text()).length).toBe(event(2).length + 5 * endless.length);
    expect(ends).toMatchObject([{ at: 'broken' }]);
  });
});

describe('the end of a stream', () => {
  test('is told with the mark of the end, before the reader has seen the rest', async () => {
    const { body, ends } = watched([event(0), event(2)]);
    const reader = body.getReader();
    await reader.read();
    expect(ends).toEqual([{ at: 'whole', usage }]);
    await reader.cancel();
    expect(ends).toHaveLength(1);
  });

  test.each([
    ['that brings an error', [event(-1)], 'close' as const, 'minus one'],
    ['that ends too early', [event(2)], 'close' as const, 'it ended before the answer did'],
  ])('%s is broken', async (_, chunks, ending, why) => {
    const { text, ends } = watched(chunks, { ending });
    await text();
    expect(ends).toMatchObject([{ at: 'broken', error: { code: 'DROVER_STREAM_BROKEN', detail: { why } } }]);
  });

  test('that is lost is broken, and the reader sees what broke it', async () => {
    const lost = new Error('reset');
    const { text, ends } = watched([event(2)], { ending: lost });
    expect(await failureOf(text())).toBe(lost);
    expect(ends).toEqual([{ at: 'broken', error: lost }]);
  });

  test('that the reader gives up is left, and the source is told', async () => {
    const { body, ends, state } = watched([event(2), event(4)]);
    const reader = body.getReader();
    await reader.read();
    await reader.cancel('enough');
    expect({ ends, cancelledWith: state.cancelledWith }).toEqual({ ends: [{ at: 'left' }], cancelledWith: 'enough' });
  });

  test.each([
    ['while the reader waits', true],
    ['while nobody reads', false],
  ])('comes when its signal aborts, %s', async (_, reads) => {
    const abort = new AbortController();
    const { body, ends, state } = watched([], { ending: 'open', signal: abort.signal });
    const reader = body.getReader();
    const reading = reads ? failureOf(reader.read()) : undefined;
    const reason = new Error('too late');
    abort.abort(reason);
    expect({ ends, cancelledWith: state.cancelledWith }).toEqual({ ends: [{ at: 'left' }], cancelledWith: reason });
    expect(await (reading ?? failureOf(reader.read()))).toBe(reason);
  });

  test('is at once where the signal has aborted already', async () => {
    const { body, ends } = watched([event(2)], { signal: AbortSignal.abort(new Error('gone')) });
    expect(ends).toEqual([{ at: 'left' }]);
    expect(await failureOf(body.getReader().read())).toMatchObject({ message: 'gone' });
  });
});

test('nothing is read ahead of the reader', async () => {
  const { body, state } = watched([event(2), event(4), event(6)]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(state.pulled).toBe(0);
  await body.getReader().read();
  expect(state.pulled).toBe(1);
});
