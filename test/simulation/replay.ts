/** Another process: `node --conditions=drover-source test/simulation/replay.ts programs 100 200` prints the trace hash of each seed. */
import { simulateFleetHour } from './fleet.ts';
import { simulatePrograms } from './programs.ts';

const [what, ...seeds] = process.argv.slice(2);
const simulateOne = what === 'fleet' ? simulateFleetHour : simulatePrograms;
const hashes: string[] = [];
for (const seed of seeds) hashes.push((await simulateOne(Number(seed))).trace.hash);
process.stdout.write(`${hashes.join('\n')}\n`);
