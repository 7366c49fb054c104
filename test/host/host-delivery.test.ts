import { fc, test } from '@fast-check/vitest';
import { describe, expect, vi } from 'vitest';
import { setup } from 'xstate';
import { Host } from '../../actors/host/host.ts';
import { fifoTransport } from '../../actors/host/transport.ts';
import { NOTHING } from '../../actors/kernel/decider.ts';
import { emit, reply, send, setTimer } from '../../actors/kernel/effects.ts';
import type { Lane, Message, ReplyTo } from '../../actors/kernel/effects.ts';
import { seededRandom } from '../../actors/kernel/random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { bench, make, own, scripted } from './simulated-host.ts';

describe('asking', () => {
  interface Question extends Message {
    readonly replyTo: ReplyTo;
  }
  const question = (replyTo: ReplyTo): Message => ({ type: 'question', replyTo }) as Question;
  const keeper = (clock: VirtualClock, answers: number) =>
    scripted(
      (message) =>
        message.type === 'question' ? Array.from({ length: answers }, (_, at) => reply((message as Question).replyTo, at + 1)) : NOTHING,
      clock,
    );

  /** Expects an answer by hand, so that a test needs no promise. */
  function ask(host: Host, asked = 'a') {
    const asker = {
      asked,
      answers: [] as number[],
      losses: 0,
      answered: (value: number) => void asker.answers.push(value),
      lost: () => void (asker.losses += 1),
    };
    const replyTo = host.expect<number>(asker);
    host.send(asked, question(replyTo));
    return { asker, replyTo };
  }

  test('the first answer counts, a second one goes nowhere', () => {
    const { host, clock, simulated, spawn } = bench();
    spawn('a', { logic: keeper(clock, 2) });
    const { asker } = ask(host);
    expect(host.pending.asks).toBe(1);
    simulated.settle();
    expect(asker).toMatchObject({ answers: [1], losses: 0 });
    expect(host.pending.asks).toBe(0);
  });

  test('a question that was forgotten is not answered, and not lost', () => {
    const { host, clock, simulated, spawn } = bench();
    spawn('a', { logic: keeper(clock, 1) });
    const { asker, replyTo } = ask(host);
    host.forget(replyTo);
    simulated.settle();
    host.stop('a', 0);
    simulated.settle();
    expect(asker).toMatchObject({ answers: [], losses: 0 });
  });

  test('a promise of an answer is kept, or rejected when whoever was asked is gone', async () => {
    const { host, clock, simulated, spawn } = bench();
    spawn('a', { logic: keeper(clock, 1) });
    spawn('mute', { logic: keeper(clock, 0) });
    const answers = [host.ask<number>('a', question), host.ask<number>('mute', question), host.ask<number>('nobody', question)];
    simulated.settle();
    host.stop('mute', 0);
    simulated.settle();
    await expect(answers[0]).resolves.toBe(1);
    await expect(answers[1]).rejects.toMatchObject({ code: 'DROVER_ACTOR_GONE', retryable: true, detail: { actor: 'mute' } });
    await expect(answers[2]).rejects.toMatchObject({ code: 'DROVER_ACTOR_GONE', detail: { actor: 'nobody' } });
    expect(host.pending.asks).toBe(0);
  });

  test('a question is answered or lost, once, wherever it is when its taker dies; what is lost is not asked of the successor', () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 100; seed += 1) {
      const { host, clock, simulated, spawn } = bench(seed);
      spawn('a', { logic: keeper(clock, 1) });
      const { asker } = ask(host);
      host.stop('a', 0);
      while (host.isAlive('a')) host.step();
      const heard = simulated.probe('a');
      simulated.settle();
      expect(asker.answers.length + asker.losses).toBe(1);
      expect(heard).toEqual([]);
      expect(host.pending.asks).toBe(0);
      outcomes.add(asker.losses === 1 ? 'lost' : 'answered');
    }
    expect(outcomes).toEqual(new Set(['answered', 'lost']));
  });

  test('a question to an address that is empty for now is answered by the one who comes', () => {
    const { host, clock, simulated, spawn } = bench();
    const { asker } = ask(host);
    spawn('a', { logic: keeper(clock, 1) });
    simulated.settle();
    expect(asker).toMatchObject({ answers: [1], losses: 0 });
  });
});

describe('delivery', () => {
  test('a message goes to whoever lives at the address, a tell to its present tenant alone', () => {
    for (let seed = 0; seed < 30; seed += 1) {
      const { host, simulated } = bench(seed);
      const first = simulated.probe('a');
      host.send('a', { type: 'sent' });
      host.tell('a', { type: 'told' });
      host.tell('nobody', { type: 'told' });
      host.stop('a', 0);
      while (host.isAlive('a')) host.step();
      const second = simulated.probe('a');
      simulated.settle();
      expect([...first, ...second].filter(({ type }) => type === 'sent')).toHaveLength(1);
      expect(second).not.toContainEqual({ type: 'told' });
    }
  });

  test('a message to nobody is a dead letter, and no error', () => {
    const { host, simulated } = bench();
    host.send('nobody', { type: 'hello' });
    simulated.settle();
    expect(simulated.deadLetters).toEqual([{ to: 'nobody', message: { type: 'hello' } }]);
  });

  test('in production the control lane overtakes the work lane', () => {
    const { host, clock, simulated } = bench(1, { transport: fifoTransport() });
    const heard: string[] = [];
    host.spawn({
      id: 'a',
      logic: scripted((message) => {
        heard.push(message.type);
        return NOTHING;
      }, clock),
    });
    for (let at = 0; at < 3; at += 1) host.send('a', { type: `work ${at}` });
    host.send('a', { type: 'control' }, 'control');
    host.step();
    host.send('a', { type: 'control too' }, 'control');
    simulated.settle();
    expect(heard).toEqual(['control', 'control too', 'work 0', 'work 1', 'work 2']);
  });

  test.prop([
    fc.integer(),
    fc.array(fc.record({ from: fc.nat({ max: 2 }), to: fc.nat({ max: 2 }), lane: fc.constantFrom<Lane>('control', 'work') }), {
      maxLength: 60,
    }),
  ])('under any seed, what one actor sends another on one lane arrives in order', (seed, sends) => {
    const { host, simulated, spawn } = bench(seed);
    const heard = [0, 1, 2].map((to) => simulated.probe(`to/${to}`));
    for (const from of [0, 1, 2]) spawn(`from/${from}`);
    for (const [at, { from, to, lane }] of sends.entries()) {
      host.send(`from/${from}`, make(send(`to/${to}`, { type: `${from}/${lane}`, at } as Message, lane)));
      if (at % 5 === 0) host.step();
    }
    simulated.settle();
    const arrived = heard.map((messages) => Object.groupBy(messages, ({ type }) => type));
    for (const [to, channels] of arrived.entries()) {
      for (const [type, messages] of Object.entries(channels)) {
        const sent = sends.flatMap((one, at) => (one.to === to && `${one.from}/${one.lane}` === type ? [{ type, at }] : []));
        expect(messages).toEqual(sent);
      }
    }
    expect(heard.flat()).toHaveLength(sends.length);
  });

  /** Four actors that pass balls around until the balls are used up. */
  function game(seed: number): { readonly choices: readonly number[]; readonly log: readonly string[] } {
    const { host, clock, simulated } = bench(seed);
    const log: string[] = [];
    for (const id of ['a', 'b', 'c', 'd']) {
      const logic = scripted((message) => {
        const { left } = message as never as { readonly left: number };
        log.push(`${id}${left}@${clock.nowMs()}`);
        if (left === 0) return NOTHING;
        const ball = { type: 'ball', left: left - 1 } as Message;
        return left % 3 === 0 ? [setTimer('rest', clock.nowMs() + 1, ball, 10)] : [send(left % 2 === 0 ? 'a' : 'c', ball), send('b', ball)];
      }, clock);
      host.spawn({ id, logic });
      host.send(id, { type: 'ball', left: 7 } as Message);
    }
    simulated.run(1_000);
    return { choices: simulated.choices, log };
  }

  test('the same seed gives the same choices, times and order; other seeds give others', () => {
    const logs = new Set<string>();
    for (let seed = 0; seed < 20; seed += 1) {
      const once = game(seed);
      expect(game(seed)).toEqual(once);
      logs.add(once.log.join());
    }
    expect(logs.size).toBe(20);
  });

  const relay = setup({ types: { events: {} as { readonly type: 'hop'; readonly left: number } } }).createMachine({
    on: { hop: { actions: ({ event }) => emit(send('b', { type: 'hop', left: event.left - 1 } as Message)) } },
  });

  test('a relay of 10,000 hops never grows the stack', async () => {
    const clock = new VirtualClock();
    const host = new Host({ clock, random: seededRandom(1), transport: fifoTransport() });
    const depths = new Set<number>();
    let hops = 0;
    const measured = scripted((message) => {
      const { left } = message as never as { readonly left: number };
      hops += 1;
      if (hops % 500 === 0) depths.add(stackDepth());
      return left <= 0 ? NOTHING : [send('a', { type: 'hop', left: left - 1 } as Message)];
    }, clock);
    host.spawn({ id: 'a', logic: relay });
    host.spawn({ id: 'b', logic: measured });
    host.send('a', { type: 'hop', left: 10_000 } as Message);
    while (host.pending.messages > 0) await immediate();
    expect(hops).toBe(5_001);
    expect([...depths]).toHaveLength(1);
    host.close();
  });

  test('nothing runs inside send; a long burst lets the event loop in between, and then all of it is delivered', async () => {
    const clock = new VirtualClock();
    const host = new Host({ clock, random: seededRandom(1), transport: fifoTransport() });
    let turns = 0;
    host.spawn({
      id: 'a',
      logic: scripted(() => {
        turns += 1;
        return NOTHING;
      }, clock),
    });
    for (let at = 0; at < 10_000; at += 1) host.send('a', { type: 'x' });
    expect(turns).toBe(0);
    await Promise.resolve();
    const burst = turns;
    expect(burst).toBeGreaterThan(0);
    expect(burst).toBeLessThan(10_000);
    while (host.pending.messages > 0) await immediate();
    expect(turns).toBe(10_000);
    host.send('a', { type: 'x' });
    await Promise.resolve();
    expect(turns).toBe(10_001);
    host.close();
  });

  test('while it delivers a burst the host’s clock may be some turns old; it never goes back, and is right again afterwards', async () => {
    const clock = new VirtualClock(1_000);
    const host = new Host({ clock, random: seededRandom(1), transport: fifoTransport() });
    const ages: number[] = [];
    let lastMs = 0;
    const perform = (): void => {
      clock.advanceBy(1);
      const nowMs = host.clock.nowMs();
      expect(nowMs).toBeGreaterThanOrEqual(lastMs);
      lastMs = nowMs;
      ages.push(clock.nowMs() - nowMs);
    };
    host.spawn({ id: 'a', logic: scripted(() => [own('tick')], clock), perform });
    for (let at = 0; at < 1_000; at += 1) host.send('a', { type: 'x' });
    while (host.pending.messages > 0) await immediate();
    expect(ages).toHaveLength(1_000);
    expect(Math.max(...ages)).toBeLessThanOrEqual(32);
    expect(host.clock.nowMs()).toBe(clock.nowMs());
    host.close();
  });

  test('an observer that throws does not stop delivery', async () => {
    const clock = new VirtualClock();
    const onDeadLetter = vi.fn<() => void>(() => {
      throw new Error('no space left for logs');
    });
    const thrown = new Promise<unknown>((resolve) => {
      // The drain that threw is a microtask: its error is the process's business.
      const others = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.once('uncaughtException', (error) => {
        for (const other of others) process.on('uncaughtException', other);
        resolve(error);
      });
    });
    const host = new Host({ clock, random: seededRandom(1), transport: fifoTransport(), onDeadLetter });
    let heard = 0;
    host.spawn({
      id: 'a',
      logic: scripted(() => {
        heard += 1;
        return NOTHING;
      }, clock),
    });
    host.send('nobody', { type: 'x' });
    host.send('a', { type: 'x' });
    await expect(thrown).resolves.toEqual(new Error('no space left for logs'));
    while (host.pending.messages > 0) await immediate();
    expect(heard).toBe(1);
    host.close();
  });
});

const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function stackDepth(): number {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = Infinity;
  const depth = new Error().stack!.split('\n').length;
  Error.stackTraceLimit = before;
  return depth;
}

describe('telling together', () => {
  interface Heard extends Message {
    readonly items?: readonly number[];
  }
  function listener() {
    const { host, clock, simulated, spawn } = bench();
    const heard: unknown[] = [];
    const logic = scripted((message) => {
      heard.push((message as Heard).items ?? message.type);
      return NOTHING;
    }, clock);
    const tell = (...items: number[]): void => items.forEach((item) => host.tellTogether('a', 'told', item));
    return { host, simulated, heard, tell, start: () => spawn('a', { logic }) };
  }

  test('what is told before the first is delivered comes with it, in one turn', () => {
    const { host, simulated, heard, tell, start } = listener();
    start();
    tell(1, 2, 3);
    expect(host.pending.messages).toBe(1);
    simulated.settle();
    tell(4);
    tell(5);
    simulated.settle();
    expect(heard).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
  });

  test('what is told while the others are heard is heard after them', () => {
    const { host, clock, simulated, spawn } = bench();
    const heard: unknown[] = [];
    const logic = scripted((message) => {
      heard.push([...(message as Heard).items!]);
      if (heard.length === 1) host.tellTogether('a', 'told', 2);
      return NOTHING;
    }, clock);
    spawn('a', { logic });
    host.tellTogether('a', 'told', 1);
    simulated.settle();
    expect(heard).toEqual([[1], [2]]);
  });

  test('a successor hears nothing of what its predecessor was told', () => {
    const { host, simulated, heard, tell, start } = listener();
    tell(0);
    start();
    tell(1);
    host.stop('a', 0);
    tell(2);
    simulated.settle();
    start();
    tell(3);
    simulated.settle();
    expect(heard).toEqual([[3]]);
  });
});
