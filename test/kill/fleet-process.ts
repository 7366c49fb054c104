/**
 * A process of the fleet. It loads, waits for its turn (`go`), takes the store, and does what it is asked over the
 * channel to its parent, without which it ends.
 *
 *     node --conditions=drover-source --import ./commit-point.ts fleet-process.ts STORE EFFECTS_URL PROVIDER_URL
 */
import { DroverError, startFleet } from 'drover';
import { sqlite } from 'drover/stores/sqlite';
import type { Fleet } from 'drover';
import type { Command, FromFleet, Outcome, ToFleet } from './messages.ts';
import { shop } from './shop.ts';

const [path, effectsUrl, providerUrl] = process.argv.slice(2) as [string, string, string];
const topology = shop({ effectsUrl, providerUrl });
const tell = (message: FromFleet): void => void process.send!(message);

let fleet: Fleet<(typeof topology)['agents']> | undefined;

process.once('disconnect', () => process.exit(1));
process.on('message', (message: ToFleet) => {
  if (message.at === 'go') void open();
  else void answer(message.command).then((outcome) => tell({ at: 'answered', ticket: message.ticket, outcome }));
});
tell({ at: 'loaded' });

async function open(): Promise<void> {
  try {
    fleet = await startFleet(topology, { store: sqlite(path) });
  } catch (error) {
    return tell({ at: 'failed', error: String(error) });
  }
  for (const ended of ['task.completed', 'task.failed', 'task.cancelled'] as const) {
    fleet.events.on(ended, ({ id }: { readonly id: string }) => tell({ at: 'ended', id }));
  }
  fleet.events.on('lease.lost', ({ id, atMs }) => tell({ at: 'lease-lost', id, atMs }));
  fleet.events.on('fleet.failed', ({ error }) => tell({ at: 'failed', error: error.message }));
  tell({ at: 'open' });
}

async function answer(command: Command): Promise<Outcome> {
  try {
    return { at: 'done', value: await obey(fleet!, command) };
  } catch (error) {
    return { at: 'refused', code: error instanceof DroverError ? error.code : String(error) };
  }
}

/** What comes back goes through JSON. */
async function obey(shopFleet: NonNullable<typeof fleet>, command: Command): Promise<unknown> {
  switch (command.do) {
    case 'submit': {
      const { kind, id, input, notBeforeMs } = command;
      await shopFleet.submit(kind, input, { id, ...(notBeforeMs === undefined ? {} : { notBefore: notBeforeMs }) });
      return undefined;
    }
    case 'cancel':
      return shopFleet.cancel(command.id);
    case 'pause':
      return shopFleet.pause(command.id);
    case 'unpause':
      return shopFleet.unpause(command.id);
    case 'signal':
      return shopFleet.signal(command.id, command.name, command.payload, { key: command.key });
    case 'decide':
      return shopFleet[command.approved ? 'approve' : 'reject'](command.id, command.name, { by: command.by });
    case 'schedule':
      return shopFleet.schedule(command.name, command.spec);
    case 'unschedule':
      return shopFleet.unschedule(command.name);
    case 'approvals':
      return (await shopFleet.approvals({ limit: 1_000 })).map(({ id, name }) => ({ id, name }));
    case 'unfinished': {
      const counts = Object.values(await shopFleet.counts());
      return counts.reduce((sum, { queued, leased, running, retrying, parked }) => sum + queued + leased + running + retrying + parked, 0);
    }
    case 'close':
      await shopFleet.close();
      return undefined;
  }
}
