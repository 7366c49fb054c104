/** What must hold of drawn programs, beside what holds of every fleet. */
import type { Invariant } from '../../src/testing/index.ts';
import type { Count } from './execute.ts';

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
  'DROVER_COMPENSATION_FAILED',
  'hopeless',
  'rejected at attempt',
  'a step fails',
  'the worker died under the run',
];

/** What a task says it brought is what was remembered, each by its own key. */
export const SAID: Invariant = {
  name: 'S4',
  promise: 'a result is made of what is remembered',
  check(_topology, broken) {
    const remembered = new Map<string, string>();
    /** As the store does with whoever was undone. */
    const forget = (id: string): void => {
      for (const key of remembered.keys()) if (key.startsWith(`${id}/`)) remembered.delete(key);
    };
    return {
      'store.settled': ({ settlement: { id, outcome: asked } }) => {
        if (asked.at === 'undone') forget(id);
      },
      'store.remembered': ({ item: { id, place, value } }) => {
        const key = `${id}/${place}`;
        // What failed may be made again by a later attempt.
        if (!remembered.has(key) && !value.startsWith('!')) remembered.set(key, value);
      },
      'client.told': ({ id, outcome, value }) => {
        if (outcome !== 'completed') return;
        for (const said of value as readonly unknown[]) {
          // Garbage is remembered as well as anything else.
          if (!Array.isArray(said) || typeof said[0] !== 'string') continue;
          const known = remembered.get(said[0]);
          if (known !== JSON.stringify(said)) broken(`${id} says ${JSON.stringify(said)}, remembered is ${known}`);
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
