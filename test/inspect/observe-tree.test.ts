import { expect, test } from 'vitest';
import { createActor, fromCallback, setup } from 'xstate';
import type { AnyActorLogic, InspectionEvent } from 'xstate';
import { fromDecider, NOTHING } from '../../actors/kernel/decider.ts';
import type { Decision } from '../../actors/kernel/decider.ts';
import { exit, send, setTimer } from '../../actors/kernel/effects.ts';
import type { HostEffect, Message } from '../../actors/kernel/effects.ts';
import type { ActorView } from '../../src/inspect/actor-view.ts';
import { observeTree } from '../../src/inspect/observe-tree.ts';
import { inspectionEventsOf } from '../../src/inspect/told.ts';
import { SimulatedHost } from '../host/simulated-host.ts';

/** What an event says, in a line: `child counter/a: ask, from root`. */
function lineOf(event: InspectionEvent): string {
  const { id, sessionId } = event.actorRef as ActorView;
  const who = `${id}${/#\d+$/.exec(sessionId)?.[0] ?? ''}`;
  switch (event.type) {
    case '@xstate.actor':
      return `actor ${who}`;
    case '@xstate.event': {
      const source = event.sourceRef as ActorView | undefined;
      return `event ${who}: ${event.event.type}${source === undefined ? '' : `, from ${source.sessionId}`}`;
    }
    case '@xstate.snapshot': {
      const { status, value } = event.snapshot as { readonly status: string; readonly value?: unknown };
      return `snapshot ${who}: ${status}${value === undefined ? '' : ` ${JSON.stringify(value)}`}, after ${event.event.type}`;
    }
    case '@xstate.action':
      return `action ${who}: ${event.action.type}`;
    default:
      return `${event.type.slice('@xstate.'.length)} ${who}`;
  }
}

class Stage extends SimulatedHost {
  readonly events: InspectionEvent[] = [];
  readonly stop: () => void;
  #lives = 0;

  constructor() {
    super(1);
    this.stop = observeTree({
      host: this.host,
      root: 'root',
      onTold: (told) => this.events.push(...inspectionEventsOf(told)),
      sessionOf: (id) => `${id}#${(this.#lives += 1)}`,
    });
  }

  spawn(id: string, logic: AnyActorLogic, parent?: string): void {
    this.host.spawn({ id, logic, ...(parent === undefined ? {} : { parent }) });
  }

  /** What has been told since it was asked last. */
  told(): readonly string[] {
    this.settle();
    return this.events.splice(0).map(lineOf);
  }

  view(id: string): ActorView {
    return this.events.map(({ actorRef }) => actorRef as ActorView).findLast((view) => view.id === id)!;
  }

  /** An actor that keeps how many messages it has had, and does what they carry. */
  counter() {
    type Counted = { readonly at: string; readonly count: number };
    type Told = Message & { readonly effects?: readonly HostEffect[] };
    return fromDecider<Counted, Told, unknown, HostEffect>(
      {
        initial: () => [{ at: 'counting', count: 0 }, NOTHING],
        decide: (state, message): Decision<Counted> => {
          if (message.type === 'throw') throw new Error('the actor throws');
          return [{ ...state, count: state.count + 1 }, message.effects ?? NOTHING];
        },
      },
      this.clock,
    );
  }
}

test('each actor is announced below its parent, with one root for all', () => {
  const stage = new Stage();
  stage.spawn('root', stage.counter());
  stage.spawn('root/a', stage.counter(), 'root');
  stage.spawn('root/a/b', stage.counter(), 'root/a');
  const [root, a, b] = ['root', 'root/a', 'root/a/b'].map((id) => stage.view(id));
  expect([b!.parent, a!.parent, root!.parent]).toEqual([a, root, undefined]);
  expect(new Set(stage.events.map(({ rootId }) => rootId))).toEqual(new Set([root!.sessionId]));
});

test('who stands beside the tree is not shown', () => {
  const stage = new Stage();
  stage.spawn('guardian', stage.counter());
  stage.spawn('root', stage.counter());
  stage.spawn('guardian/child', stage.counter(), 'guardian');
  stage.host.send('guardian', { type: 'tick' });
  expect(stage.told().filter((line) => line.includes('guardian'))).toEqual([]);
});

test('a turn is an event and the snapshot after it; its sender is the one that the host knows', () => {
  const stage = new Stage();
  stage.spawn('root', stage.counter());
  stage.spawn('root/a', stage.counter(), 'root');
  expect(stage.told()).toEqual([
    'actor root#1',
    'event root#1: xstate.init',
    'snapshot root#1: active "counting", after xstate.init',
    'actor root/a#2',
    'event root/a#2: xstate.init, from root#1',
    'snapshot root/a#2: active "counting", after xstate.init',
  ]);
  stage.host.send('root', { type: 'pass', effects: [send('root/a', { type: 'passed' })] } as Message);
  expect(stage.told()).toEqual([
    'event root#1: pass',
    'snapshot root#1: active "counting", after pass',
    'event root/a#2: passed, from root#1',
    'snapshot root/a#2: active "counting", after passed',
  ]);
});

test('a timer is told as the message that it brings, from the actor itself', () => {
  const stage = new Stage();
  stage.spawn('root', stage.counter());
  stage.host.send('root', { type: 'start', effects: [setTimer('t', 10, { type: 'ring' })] } as Message);
  stage.told();
  stage.run(20);
  expect(stage.told()).toEqual(['event root#1: ring, from root#1', 'snapshot root#1: active "counting", after ring']);
});

test('a turn that throws ends in a snapshot with the error; another life at the address is another session', () => {
  const stage = new Stage();
  stage.spawn('root', stage.counter());
  stage.spawn('root/a', stage.counter(), 'root');
  stage.told();
  stage.host.send('root/a', { type: 'throw' });
  stage.settle();
  expect((stage.events.at(-1) as { readonly snapshot?: unknown }).snapshot).toMatchObject({
    status: 'error',
    error: { message: 'the actor throws' },
  });
  expect(stage.told()).toEqual(['event root/a#2: throw', 'snapshot root/a#2: error "counting", after throw']);
  stage.spawn('root/a', stage.counter(), 'root');
  expect(stage.view('root/a').parent!.sessionId).toBe('root#1');
  expect(stage.told()[0]).toBe('actor root/a#3');
});

test.each([
  [
    'an effect',
    'done',
    'normal',
    (stage: Stage) => stage.host.send('root/a', { type: 'end', effects: [exit({ at: 'normal' })] } as Message),
  ],
  ['a stop', 'done', 'shutdown', (stage: Stage) => stage.host.stop('root/a', 1_000)],
  ['a kill', 'stopped', 'killed', (stage: Stage) => stage.host.stop('root/a', 0)],
  ['the end of its parent', 'stopped', 'killed', (stage: Stage) => stage.host.stop('root', 0)],
  ['the end of the host', 'stopped', 'killed', (stage: Stage) => stage.host.close()],
])('an actor that ends by %s is %s, after the reason %3$s', (_how, status, reason, end) => {
  const stage = new Stage();
  stage.spawn('root', stage.counter());
  stage.spawn('root/a', stage.counter(), 'root');
  const view = stage.view('root/a');
  end(stage);
  stage.settle();
  expect(stage.events.findLast(({ actorRef }) => actorRef === view)).toMatchObject({
    type: '@xstate.snapshot',
    event: { type: 'xstate.stop', reason },
    snapshot: { status, context: { at: 'counting' } },
  });
  expect(view.getSnapshot().status).toBe(status);
  expect(view.hasEnded).toBe(true);
});

test('an actor that is resumed where it was is the same session, and goes on to be told of', () => {
  const stage = new Stage();
  stage.spawn('root', stage.counter());
  stage.host.spawn({ id: 'root/a', logic: stage.counter(), parent: 'root', resumes: () => true });
  stage.told();
  stage.host.send('root/a', { type: 'throw' });
  stage.host.send('root/a', { type: 'tick' });
  expect(stage.told()).toEqual([
    'event root/a#2: throw',
    'snapshot root/a#2: error "counting", after throw',
    'snapshot root/a#2: active "counting", after actor.resumed',
    'event root/a#2: tick',
    'snapshot root/a#2: active "counting", after tick',
  ]);
});

test('an actor that throws while starting is announced and told', () => {
  const stage = new Stage();
  stage.spawn('root', stage.counter());
  stage.told();
  const broken = fromDecider(
    {
      initial: () => {
        throw new Error('no start');
      },
      decide: (state: unknown) => [state, NOTHING],
    },
    stage.clock,
  );
  stage.spawn('root/a', broken, 'root');
  expect(stage.told()).toEqual([
    'actor root/a#2',
    'event root/a#2: xstate.init, from root#1',
    'snapshot root/a#2: error, after xstate.stop',
  ]);
});

const machine = setup({
  actors: { watch: fromCallback(() => {}) },
  actions: { note: () => {} },
  delays: { soon: 10 },
}).createMachine({
  id: 'door',
  initial: 'shut',
  states: {
    shut: { on: { OPEN: { target: 'open', actions: 'note' } } },
    open: { invoke: { src: 'watch', id: 'watcher' }, after: { soon: 'shut' } },
  },
});

test('of a machine microsteps, actions and the actors that it invokes are told too', () => {
  const stage = new Stage();
  stage.spawn('root', machine);
  expect(stage.view('root').logic).toMatchObject({ config: { id: 'door' } });
  stage.told();
  stage.host.send('root', { type: 'OPEN' });
  const told = stage.told();
  expect(told[0]).toBe('event root#1: OPEN');
  expect(told).toContain('microstep root#1');
  expect(told).toContain('action root#1: note');
  expect(told).toContain('actor root/watcher#2');
  expect(told).toContain('event root/watcher#2: xstate.init, from root#1');
  expect(told.at(-1)).toBe('snapshot root#1: active "open", after OPEN');
  stage.run(20);
  expect(stage.told()).toContain('snapshot root#1: active "shut", after xstate.after.soon.door.open');
});

test('with a machine the events and their order are what XState itself tells of it', () => {
  const stage = new Stage();
  stage.spawn('root', machine);
  stage.host.send('root', { type: 'OPEN' });
  stage.settle();
  const alone: string[] = [];
  const actor = createActor(machine, { inspect: ({ type }) => alone.push(type) }).start();
  actor.send({ type: 'OPEN' });
  actor.stop();
  const shown = stage.events.map(({ type }) => type);
  // Actions of the first state are told before its actor is entered, so both begin with the actor.
  expect(alone.slice(0, shown.length)).toEqual(shown);
});

test('of events that are never read nothing is copied', () => {
  const stage = new Stage();
  stage.spawn('root', stage.counter());
  stage.spawn('root/a', machine, 'root');
  let reads = 0;
  const payload = {
    get text(): string {
      reads += 1;
      return 'text';
    },
  };
  stage.host.send('root', { type: 'tick', payload } as Message);
  stage.host.send('root/a', { type: 'OPEN', payload } as Message);
  stage.settle();
  expect(reads).toBe(0);
  const event = stage.events.find((inspected) => inspected.type === '@xstate.event' && inspected.event.type === 'tick');
  expect(event).toMatchObject({ event: { type: 'tick', payload: { text: 'text' } } });
});

test('once it is stopped nothing more is told', () => {
  const stage = new Stage();
  stage.spawn('root', machine);
  stage.stop();
  stage.told();
  stage.host.send('root', { type: 'OPEN' });
  stage.spawn('root/a', stage.counter(), 'root');
  expect(stage.told()).toEqual([]);
});
