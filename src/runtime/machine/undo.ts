/**
 * Undo: what the operations of a machine have registered is come by again. The machine itself is not run:
 * each operation that registered something, or was under way, is performed once more over what is
 * remembered, as far as an earlier run went: all of them side by side, for one may have stood until its state was left. Then it
 * is undone in the order of the numbers under which it was registered, whichever operation it is of.
 */
import type { AnyStateMachine } from 'xstate';
import { isOperation } from '../../topology/operation.ts';
import { logicAt } from './actors.ts';
import { Invocation } from './invocation.ts';
import type { Onlooker } from './onlooker.ts';
import { underWay } from './record.ts';
import type { KeptInvocation, MachineRecord } from './record.ts';

/** Never resolves: the run is over when all has been undone, or goes no further. */
export async function performAgain(onlooker: Onlooker, machine: AnyStateMachine, record: MachineRecord | undefined): Promise<never> {
  if (record !== undefined) {
    const labels = new Set(record.undoable.map(({ label }) => label));
    const others = [...underWay(machine, record)].filter(({ label }) => !labels.has(label));
    await Promise.all([...record.undoable, ...others].map((kept) => performOnce(onlooker, machine, kept)));
  }
  // There is nothing more that an earlier run has done.
  onlooker.run.undoing?.goesNoFurther();
  return new Promise<never>(() => {});
}

/** Resolves when it has ended, however, or has come to what no earlier run has done. */
function performOnce(onlooker: Onlooker, machine: AnyStateMachine, { label, sources, input }: KeptInvocation): Promise<void> {
  const logic = logicAt(machine, sources);
  if (!isOperation(logic)) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const { run } = onlooker;
  const invocation = new Invocation({ run, label, onStuck: resolve });
  new Promise((settle) => settle(run.within(() => onlooker.perform(invocation, (ctx) => logic.perform(input, ctx))))).then(
    () => resolve(),
    () => resolve(),
  );
  return promise;
}
