/**
 * Main: what an isolated worker's thread or process runs.
 *
 *   1. It is told which kind it is for, loads the module and says `ready`.
 *   2. It executes runs, and answers pings from its event loop.
 *   3. It ends when it is told to, and when its parent is gone.
 */
import { getHeapStatistics } from 'node:v8';
import { decode, encode, parse } from '../../runtime/payload.ts';
import { markIsolated } from '../mark.ts';
import { toWire } from '../wire.ts';
import type { FromChild, FromRun, RunOrder, ToChild } from '../wire.ts';
import { ChildRun } from './child-run.ts';
import { loadKind } from './load.ts';
import type { Loaded } from './load.ts';
import { openPort } from './port.ts';

// Before anything of the user's: its module must not start a fleet here.
markIsolated();

const runs = new Map<number, ChildRun>();
let loaded: Loaded | undefined;

const port = openPort(hear);

function hear(message: ToChild): void {
  switch (message.at) {
    case 'load':
      return void load(message);
    case 'ping':
      return port.post({ at: 'pong', externalBytes: getHeapStatistics().external_memory });
    case 'end':
      return process.exit(0);
    case 'run':
      return execute(message);
    case 'over':
      runs.get(message.run)?.heard(message);
      runs.delete(message.run);
      return;
    default:
      return runs.get(message.run)?.heard(message);
  }
}

async function load({ purpose }: Extract<ToChild, { at: 'load' }>): Promise<void> {
  try {
    loaded = await loadKind(purpose);
    port.loaded();
    port.post({ at: 'ready' });
  } catch (error) {
    port.post({ at: 'unable', error: toWire(error) });
  }
}

function execute(order: RunOrder): void {
  const { plan, bounds } = loaded!;
  const { agent, names } = plan;
  const say = (said: FromRun): void => port.post({ at: 'run', run: order.run, said } satisfies FromChild);
  const run = new ChildRun(order, plan, bounds, say);
  runs.set(order.run, run);
  const running = async (): Promise<void> => {
    try {
      const input = parse(agent.input, decode(order.input), names.input);
      const value: unknown = await agent.spec.run(input, run);
      const { forgotten } = run;
      if (forgotten !== undefined) throw forgotten;
      say({ at: 'returned', result: encode(parse(agent.output, value, names.output, true), names.output, bounds.payloadBytes) });
    } catch (error) {
      say({ at: 'threw', error: toWire(error), of: run.holding(error) });
    }
  };
  void running();
}

// As for runs on the fleet's own event loop, it says nothing about the others.
process.on('unhandledRejection', (error) => port.post({ at: 'stray', error: toWire(error) }));
