/**
 * A process that opens a store and does as its first argument says. Tests start it, and kill it.
 *
 *     node child.ts submit PATH          submits without end, and says each id when it is acknowledged
 *     node child.ts hold PATH            claims and starts what there is, then waits
 *     node child.ts leave PATH           submits one task and ends without closing
 *     node child.ts fill PATH            submits until it fails, and says how
 *     node child.ts rewrite PATH         writes one row until it fails, or 1,000 times
 */
import { setTimeout as wait } from 'node:timers/promises';
import { sqlite } from '../../src/stores/sqlite.ts';
import { KIND, newTask } from './tasks.ts';

const [, , role, path] = process.argv;
const store = sqlite(path!);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const opened = await store.open({ nowMs: 0, maxUnfinished: 1e9 }).catch((error: { code: string }) => say(`refused ${error.code}`));
if (opened !== undefined) {
  say(`open ${opened.epoch} ${opened.recovered}`);
  switch (role) {
    case 'submit':
      for (let lane = 0; lane < 8; lane += 1) {
        void (async () => {
          for (let at = 0; ; at += 1) {
            const ids = Array.from({ length: 1 + (at % 5) }, (_, index) => `${lane}-${at}-${index}`);
            await store.submit(
              ids.map((id) => newTask(id)),
              0,
            );
            say(ids.join('\n'));
          }
        })();
      }
      break;
    case 'hold': {
      const claimed = await store.claim({ wants: [{ kind: KIND, limit: 10 }], leaseUntilMs: 1e12, nowMs: 0 });
      await store.start(claimed.slice(1), 0);
      say('holding');
      await wait(60_000);
      break;
    }
    case 'leave':
      await store.submit([newTask('left')], 0);
      say('done');
      break;
    case 'fill':
      for (let at = 0; ; at += 1) {
        try {
          await store.submit([newTask(`t${at}`, { input: 'x'.repeat(20_000) })], 0);
          say(`t${at}`);
        } catch (error) {
          say(`failed ${(error as { code: string }).code}`);
          await store.close();
          say('closed');
          break;
        }
      }
      break;
    case 'rewrite': {
      let version: number | null = null;
      for (let at = 0; at < 1_000; at += 1) {
        const [written] = await store.setState([{ key: 'row', value: `"${'x'.repeat(20_000)}"`, version }], 0);
        version = (written as { readonly version: number }).version;
      }
      say('rewritten');
      await store.close();
      break;
    }
    default:
      say(`no such role ${role}`);
  }
}
