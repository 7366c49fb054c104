/** Fleet model: what must be there of a fleet, whatever happened to it. As small as it can be. */
import { isDeepStrictEqual } from 'node:util';
import { isTerminal } from '../../../actors/ports/store.ts';
import type { TaskLook } from '../../runtime/task-look.ts';
import type { VirtualFleet } from './virtual-fleet.ts';
import { FleetModelError } from './errors.ts';

/** A task as its submitter knows it. */
export interface ModelTask {
  readonly id: string;
  readonly kind: string;
  readonly input: unknown;
  /** The submission was answered: it is there. Otherwise nobody knows, until the task is seen. */
  isSure: boolean;
  /** How it was seen to end: that is for ever. */
  ended: Pick<TaskLook, 'status' | 'result' | 'error'> | undefined;
}

export class FleetModel {
  readonly tasks: ModelTask[] = [];
  isUp = true;

  /** The next task that is submitted. */
  add(kind: string, input: unknown): ModelTask {
    // As the store keeps it: what JSON leaves out is not there.
    const task: ModelTask = { id: `m${this.tasks.length + 1}`, kind, input: toJson(input), isSure: false, ended: undefined };
    this.tasks.push(task);
    return task;
  }

  /** A task that is there, by any number; undefined when there is none. */
  sure(which: number): ModelTask | undefined {
    const sure = this.tasks.filter(({ isSure }) => isSure);
    return sure.length === 0 ? undefined : sure[which % sure.length];
  }

  /**
   * Compares every task with the fleet's.
   *
   * @throws FleetModelError
   */
  // oxlint-disable-next-line typescript/no-explicit-any -- of any topology
  compare(fleet: VirtualFleet<any>, command: string): void {
    for (const task of this.tasks) {
      const found = fleet.task(task.id);
      const fail = (expected: string): never => {
        throw new FleetModelError({ command, task: task.id }, `${task.id} ${expected}`, found);
      };
      if (found === undefined) {
        if (task.isSure) fail('to be in the store: its submission was answered');
        continue;
      }
      task.isSure = true;
      if (found.kind !== task.kind || !isDeepStrictEqual(toJson(found.input), task.input))
        fail(`to be of ${task.kind}, with the input ${JSON.stringify(task.input)}`);
      if (task.ended !== undefined && !isDeepStrictEqual(endOf(found), task.ended)) fail(`to stay ${task.ended.status}, as it was`);
      if (isTerminal(found.status)) task.ended = endOf(found);
    }
  }
}

function endOf({ status, result, error }: TaskLook): NonNullable<ModelTask['ended']> {
  return { status, result, error };
}

function toJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value) ?? 'null') as unknown;
}
