/** Invariant of versions: a task is run by the code that is deployed, and a kind that refuses what another version has begun does. */
import { isTerminal } from '../../../actors/ports/store.ts';
import type { Invariant } from './invariant.ts';

const REFUSED = '"code":"DROVER_VERSION_REFUSED"';

interface Begun {
  readonly kind: string;
  /** Under which it was submitted. */
  readonly version: string;
  /** What it remembers, where its kind refuses what another version has brought: by place, under which version that was brought, and whether it is a failure. */
  readonly brought: Map<string, { readonly version: string; readonly failed: boolean }>;
  undoing: boolean;
}

export const VERSIONS: Invariant = {
  name: 'versions',
  promise:
    'a task is begun, goes on and finishes under the version that is deployed, and not over what another has brought where its kind refuses that: such a one is kept as it stands',
  check({ kinds }, broken) {
    let deployed: Readonly<Record<string, string>> = {};
    const tasks = new Map<string, Begun>();
    const other = ({ kind, brought }: Begun): string | undefined => {
      if (kinds[kind]?.onVersionChange !== 'refuse') return undefined;
      for (const { version } of brought.values()) if (version !== deployed[kind]) return version;
      return undefined;
    };
    const forgetFailures = ({ brought }: Begun, places: readonly string[] = []): void => {
      for (const place of places) if (brought.get(place)?.failed === true) brought.delete(place);
    };
    return {
      'process.started': ({ versions }) => {
        deployed = versions;
      },
      'store.accepted': ({ task: { id, kind, version } }) => {
        if (version !== deployed[kind]) broken(`${id} is submitted under version ${version} of ${kind}, and ${deployed[kind]} is deployed`);
        tasks.set(id, { kind, version, brought: new Map(), undoing: false });
      },
      'store.started': ({ held: { id }, start: { undo } }) => {
        const task = tasks.get(id);
        if (task !== undefined) task.undoing = undo !== null;
      },
      'store.remembered': ({ item: { id, place, version: its, failed = false } }) => {
        const task = tasks.get(id);
        if (task === undefined) return;
        const version = its ?? task.version;
        if (version !== deployed[task.kind])
          broken(`${id} remembers ${place} under version ${version}, and ${deployed[task.kind]} of ${task.kind} is deployed`);
        const before = task.undoing ? undefined : other(task);
        if (before !== undefined)
          broken(`${id} goes on under version ${version} with ${place}, and ${task.kind} refuses what ${before} has brought`);
        if (kinds[task.kind]?.onVersionChange === 'refuse' && !task.brought.has(place)) task.brought.set(place, { version, failed });
      },
      'store.settled': ({ settlement: { id, outcome: asked }, outcome: { status } }) => {
        const task = tasks.get(id);
        if (task === undefined) return;
        if (asked.at === 'failed' && (asked.keeps === true) !== asked.error.includes(REFUSED))
          broken(`${id} has failed with ${asked.error}, and is ${asked.keeps === true ? '' : 'not '}kept as it stands`);
        if (status === 'completed') {
          const before = other(task);
          if (before !== undefined)
            broken(`${id} completes under version ${deployed[task.kind]}, and ${task.kind} refuses what ${before} has brought`);
          tasks.delete(id);
        } else if (asked.at === 'undone' && isTerminal(status)) task.brought.clear();
        else if (asked.at === 'retry' && asked.forget === 'everything') task.brought.clear();
        else if ('failures' in asked) forgetFailures(task, asked.failures);
      },
      'store.forgot': ({ id }) => void tasks.delete(id),
    };
  },
};
