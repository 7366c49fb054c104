import { expect, test } from 'vitest';
import { Host } from '../../actors/host/host.ts';
import { fifoTransport } from '../../actors/host/transport.ts';
import { fromDecider, NOTHING } from '../../actors/kernel/decider.ts';
import { reply } from '../../actors/kernel/effects.ts';
import type { Message, OwnEffect, ReplyTo } from '../../actors/kernel/effects.ts';
import { systemRandom } from '../../actors/kernel/random.ts';

test('a turn after an effect that blocked the process sees the time that has passed', async () => {
  let nowMs = 1_000;
  const clock = { nowMs: () => nowMs, wakeAt: () => () => {} };
  const host = new Host({ clock, random: systemRandom, transport: fifoTransport() });
  const seen: number[] = [];
  const blocking = fromDecider<null, { type: string }, undefined, OwnEffect>(
    { initial: () => [null, NOTHING], decide: (state) => [state, [{ type: 'block' }]] },
    host.clock,
  );
  const watching = fromDecider<null, { type: string }, undefined, OwnEffect>(
    {
      initial: () => [null, NOTHING],
      decide: (state, _message, atMs) => {
        seen.push(atMs);
        return [state, NOTHING];
      },
    },
    host.clock,
  );
  host.spawn({ id: 'blocking', logic: blocking, perform: () => (nowMs += 60_000) });
  host.spawn({ id: 'watching', logic: watching });
  host.send('watching', { type: 'look' });
  host.send('blocking', { type: 'go' });
  host.send('watching', { type: 'look' });
  await Promise.resolve();
  expect(seen).toEqual([1_000, 61_000]);
  host.close();
});

test('a turn after an answer that blocked the process sees the time that has passed, when whoever got it says so', async () => {
  let nowMs = 1_000;
  const clock = { nowMs: () => nowMs, wakeAt: () => () => {} };
  const host = new Host({ clock, random: systemRandom, transport: fifoTransport() });
  const seen: number[] = [];
  const answering = fromDecider<null, { type: string; replyTo?: ReplyTo }, undefined, OwnEffect>(
    {
      initial: () => [null, NOTHING],
      decide: (state, { replyTo }, atMs) => {
        seen.push(atMs);
        return [state, replyTo === undefined ? NOTHING : [reply(replyTo, 'yes')]];
      },
    },
    host.clock,
  );
  host.spawn({ id: 'answering', logic: answering });
  const answered = (): void => {
    // In the turn's time still.
    seen.push(host.clock.nowMs());
    host.goesOutside();
    nowMs += 60_000;
  };
  host.send('answering', { type: 'ask', replyTo: host.expect({ asked: 'answering', answered }) } as Message);
  host.send('answering', { type: 'look' });
  await Promise.resolve();
  expect(seen).toEqual([1_000, 1_000, 61_000]);
  host.close();
});
