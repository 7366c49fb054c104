/** What must hold of drawn programs, beside what holds of every fleet. */
import { markIn, unmarked } from '../../src/testing/invariants/marks.ts';
import type { Invariant } from '../../src/testing/index.ts';
import type { Count, Said } from './execute.ts';
import type { Program } from './program.ts';

/** What programs and faults may bring a task to; anything else was Drover's doing. */
const FAIR_ENDS = [
  'DROVER_CALL_FAILED',
  'DROVER_CALL_TIMEOUT',
  'DROVER_BULKHEAD_ORDER',
  'DROVER_CHILD_FAILED',
  'DROVER_RUN_TIMEOUT',
  'DROVER_RUN_LOST',
  'DROVER_DEADLINE_PASSED',
  'DROVER_VERSION_CONFLICT',
  'DROVER_WRITE_CONFLICT',
  'DROVER_VERSION_REFUSED',
  'DROVER_COMPENSATION_FAILED',
  'DROVER_BOUND_REACHED',
  'hopeless',
  'rejected at attempt',
  'a step fails',
  'All promises were rejected',
  'the worker died under the run',
];

/** What a task says it brought is what was remembered, each by its own key. */
export const SAID: Invariant = {
  name: 'S4',
  promise: 'a result is made of what is remembered',
  check(_topology, broken) {
    /** By key: what was said, by the version that it is set apart for. */
    const remembered = new Map<string, Map<string, string>>();
    const forgotten = new Set<string>();
    /** As the store does with whoever was undone. */
    const forget = (id: string): void => {
      for (const key of remembered.keys()) if (key.startsWith(`${id}/`)) remembered.delete(key);
    };
    return {
      'store.settled': ({ settlement: { id, outcome: asked } }) => {
        if (asked.at === 'undone') forget(id);
      },
      // Whoever is told still may be told of the one before.
      'store.forgot': ({ id }) => void forgotten.add(id),
      'store.accepted': ({ task: { id } }) => {
        if (forgotten.delete(id)) forget(id);
      },
      'store.remembered': ({ item: { id, place, value } }) => {
        const key = `${id}/${unmarked(place)}`;
        const mark = markIn(place);
        let values = remembered.get(key);
        if (values === undefined) remembered.set(key, (values = new Map()));
        // What failed may be made again by a later attempt.
        if (!values.has(mark) && !value.startsWith('!')) values.set(mark, value);
      },
      'client.told': ({ id, outcome, value }) => {
        if (outcome !== 'completed') return;
        /** By task: the versions that all it says may be of. */
        const versions = new Map<string, Set<string>>();
        for (const said of value as readonly unknown[]) {
          // Garbage is remembered as well as anything else.
          if (!Array.isArray(said) || typeof said[0] !== 'string') continue;
          const known = remembered.get(said[0]);
          const text = JSON.stringify(said);
          const by = new Set([...(known ?? [])].filter(([, its]) => its === text).map(([mark]) => mark));
          if (by.size === 0) broken(`${id} says ${text}, remembered is ${[...(known?.values() ?? [])].join(' or ')}`);
          const task = said[0].slice(0, said[0].search(/\/[a-z]+[:#]/));
          const before = versions.get(task);
          const left = before === undefined ? by : new Set([...by].filter((mark) => before.has(mark)));
          if (by.size > 0 && left.size === 0) broken(`${id} says ${text}, and of ${task} also what another version has brought`);
          versions.set(task, left);
        }
      },
    };
  },
};

/** A task that did not complete says why, and it is nothing that Drover did. */
export const FAIR: Invariant = {
  name: 'fair ends',
  promise: 'a task that does not complete ends for a reason of its own, or of a fault',
  check(_topology, broken) {
    return {
      'store.settled': ({ settlement: { id, outcome } }) => {
        if (outcome.at !== 'failed' && outcome.at !== 'dead') return;
        const { code, message } = JSON.parse(outcome.error) as { readonly code?: string; readonly message: string };
        if (!FAIR_ENDS.some((fair) => fair === code || message.startsWith(fair)))
          broken(`${id} is ${outcome.at}: ${outcome.error.slice(0, 600)}`);
      },
    };
  },
};

/** Rows count one by one, whoever counts. */
export const COUNTED: Invariant = {
  name: 'rows',
  promise: 'a row counts every commit that counted in it',
  check(_topology, broken) {
    const counts = new Map<string, number>();
    return {
      'store.wrote': ({ key, value, task }) => {
        const before = counts.get(key) ?? 0;
        const { n } = JSON.parse(value ?? '{"n":0}') as Count;
        // A task may count more than once.
        if (value !== null && n <= before) broken(`${task ?? 'somebody outside'} counts ${n} in ${key}, which was at ${before}`);
        if (task === undefined && n !== before + 1) broken(`somebody outside counts ${n} in ${key}, which was at ${before}`);
        counts.set(key, n);
      },
    };
  },
};

/** What a task says is what the deployed code does: all that this version of its program adds, and nothing of a later one. */
export const DEPLOYED: Invariant = {
  name: 'deployed',
  promise: 'a task finishes under the version of its code that is deployed',
  check(_topology, broken) {
    let deployed: Readonly<Record<string, string>> = {};
    const tasks = new Map<string, { readonly kind: string; readonly program: Program }>();
    return {
      'process.started': ({ versions }) => {
        deployed = versions;
      },
      'store.accepted': ({ task: { id, kind, input } }) => void tasks.set(id, { kind, program: JSON.parse(input) as Program }),
      'store.settled': ({ settlement: { id, outcome: asked }, outcome: { status } }) => {
        const task = tasks.get(id);
        if (asked.at !== 'completed' || status !== 'completed' || task === undefined) return;
        tasks.delete(id);
        const keys = new Set(
          (JSON.parse(asked.result ?? '[]') as readonly Said[]).map((said) => (Array.isArray(said) ? said[0] : undefined)),
        );
        const version = Number(deployed[task.kind]);
        for (const op of task.program.ops) {
          // What a call brings may be garbage.
          if (op.at !== 'since' || op.op.at !== 'step') continue;
          const key = `${id}/step:${op.op.name}`;
          const does = op.version <= version;
          if (keys.has(key) !== does)
            broken(
              `${id} finishes under version ${version} ${does ? 'without' : 'with'} ${key}, which is done since version ${op.version}`,
            );
        }
      },
    };
  },
};
