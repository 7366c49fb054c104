/** The refunds of the example: the program as it is run, and the paths through its chart. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { assertCovered, testMachine } from 'drover/testing';
import { refundMachine } from '../../examples/statechart/refund.ts';

test('the example pays a small refund at once, and a large one when a person has said so', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=drover-source', 'examples/statechart/main.ts']);
  expect(stdout.replaceAll(/\s+/g, ' ').trim()).toBe(
    "small: { letter: 'Dear customer, we are sorry: it came late', cents: 4000, by: 'nobody', reminders: 0 } " +
      'large: parked large: 9000 by eve after a reminder paid: 4000 9000',
  );
});

test('every state of its chart is reached and every transition taken; nothing is paid above the limit without a name', async () => {
  const paying: unknown[] = [];
  const report = await testMachine(refundMachine, {
    input: { order: 'A-17', reason: 'it came late' },
    events: [
      { type: 'xstate.done.actor.draft', output: 'Dear customer' },
      { type: 'xstate.done.actor.lookUp', output: { cents: 4_000 } },
      { type: 'xstate.done.actor.lookUp', output: { cents: 9_000 } },
      { type: 'approve', by: 'eve' },
      { type: 'reject', by: 'eve' },
    ],
    within: ({ context }) => context.reminders < 2,
    states: {
      paying: ({ snapshot }) => {
        const { cents, by } = snapshot.context;
        paying.push(cents);
        expect(cents <= 5_000 || by === 'eve').toBe(true);
      },
      refused: ({ snapshot }) => expect(snapshot.context.cents).toBe(0),
    },
  });
  assertCovered(report);
  expect(new Set(paying)).toEqual(new Set([4_000, 9_000]));
});
