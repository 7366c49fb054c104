/** The same fleet, with an invariant that asks too much of it: some seeds break it. */
import type { Invariant } from '../../src/testing/index.ts';
import { INVARIANTS } from '../../src/testing/index.ts';
import { simulation as sound, topology } from './fixture-lab.ts';

export default topology;

const U1: Invariant = {
  name: 'U1',
  promise: 'the first mail is done first',
  check: (_topology, broken) => {
    let first = true;
    return {
      'run.began': ({ kind, task }: { readonly kind: string; readonly task: string }) => {
        if (kind !== 'summary') return;
        if (first && task !== 'task-1/summary#1') broken(`${task} was before the first mail`);
        first = false;
      },
    };
  },
};

export const simulation = { ...sound, invariants: [...INVARIANTS, U1] };
