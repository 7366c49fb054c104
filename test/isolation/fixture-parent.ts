/** A process with a fleet whose isolated process loops, or waits. Says that child's process id. Run by a test, which kills it. */
import { startFleet } from 'drover';
import { topology } from './fixture.ts';

const fleet = await startFleet(topology);
fleet.events.on('task.progressed', ({ done }) => process.stdout.write(`${done}\n`));
const deed = process.argv[2] as 'tells its process and loops' | 'tells its process';
await fleet.submit('process-patient', { deed });
