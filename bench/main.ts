/** `npm run bench -- NAME [--json] [--data DIR]`: each benchmark runs its own control and its peers in the same process run. `admission` takes about a quarter of an hour. */
import { parseArgs } from 'node:util';
import { admissionBench } from './admission.ts';
import { chaos80 } from './chaos80.ts';
import { core } from './core.ts';
import { philosophersBench } from './philosophers.ts';
import { stealing } from './stealing.ts';
import { storeBench } from './store.ts';
import { supervision } from './supervision.ts';
import { testing } from './testing.ts';
import { print } from './report.ts';
import type { Report } from './report.ts';

interface Options {
  /** Folder of recorded workloads, for those that replay them. Default: stand-ins. */
  readonly data?: string | undefined;
}

type Bench = (say: (text: string) => void, options: Options) => Promise<Report>;

const BENCHES: Readonly<Record<string, Bench>> = {
  admission: admissionBench,
  chaos80,
  core,
  philosophers: philosophersBench,
  stealing,
  store: storeBench,
  supervision,
  testing,
};

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, data: { type: 'string' } },
});
const names = positionals.length === 0 ? Object.keys(BENCHES) : positionals;
const unknown = names.find((name) => !Object.hasOwn(BENCHES, name));
if (unknown !== undefined) {
  console.error(`no benchmark is called ${unknown}; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}
for (const name of names) {
  const measured = await BENCHES[name]!((text) => process.stderr.write(`${text}\n`), values);
  if (values.json) console.log(JSON.stringify(measured));
  else print(measured);
}
