/** `npm run bench -- NAME [--json]`: each benchmark runs its own control and its peers in the same process run. */
import { parseArgs } from 'node:util';
import { core } from './core.ts';
import { supervision } from './supervision.ts';
import { testing } from './testing.ts';
import { print } from './report.ts';
import type { Report } from './report.ts';

const BENCHES: Readonly<Record<string, (say: (text: string) => void) => Promise<Report>>> = { core, supervision, testing };

const { positionals, values } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean', default: false } } });
const names = positionals.length === 0 ? Object.keys(BENCHES) : positionals;
const unknown = names.find((name) => !Object.hasOwn(BENCHES, name));
if (unknown !== undefined) {
  console.error(`no benchmark is called ${unknown}; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}
for (const name of names) {
  const measured = await BENCHES[name]!((text) => process.stderr.write(`${text}\n`));
  if (values.json) console.log(JSON.stringify(measured));
  else print(measured);
}
