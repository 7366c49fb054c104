/** A service whose store is removed while it is idle, in a process of its own. `how`: who hears of it. */
import { rmSync } from 'node:fs';
import { agent, defineFleet, startFleet } from 'drover';
import { sqlite } from 'drover/stores/sqlite';

const [, , path, how] = process.argv;
const echo = agent({ run: async (text: string) => text });
const fleet = await startFleet(defineFleet({ name: 'service', agents: { echo } }), { store: sqlite(path!) });
if (how === 'event') fleet.events.on('fleet.failed', ({ error }) => console.log(`event ${error.code}`));
await (await fleet.submit('echo', 'hello')).result();
console.log('served');
rmSync(path!);
if (how === 'ended') {
  await fleet.ended.catch((error: { code: string; cause: { code: string } }) => {
    console.log(`ended ${error.code} ${error.cause.code}`);
    // That is one way to go on with.
    process.exitCode = 7;
  });
}
