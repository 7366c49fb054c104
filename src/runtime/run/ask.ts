/** Ask: a run makes another task of it, and waits for its result (ask) or does not (send). */
import { isTerminal } from '../../../actors/ports/store.ts';
import type { ChildRecord, NewTask, SubmitOutcome } from '../../../actors/ports/store.ts';
import type { AskOptions } from '../../topology/context.ts';
import { childTask } from '../child-task.ts';
import { ChildFailedError } from '../errors.ts';
import { checkNoHold } from '../holding.ts';
import { decode, hashText, parse, sameJson } from '../payload.ts';
import { derives, newTask } from '../new-task.ts';
import type { Run, Settle } from '../run.ts';
import { readErrorRecord } from '../task-error.ts';
import { childId } from '../task-id.ts';
import { answerOf, checkContract } from './answer.ts';
import type { AnyContract } from '../../topology/contract.ts';
import { BoundReachedError, ChildIdTakenError, ReplayDivergedError } from './errors.ts';
import { failureIn, PUT_BACK } from './memory.ts';
import { checkOutsideStep } from './in-step.ts';
import { Pending } from './operation.ts';
import { describe, toErrorRecord } from '../../../actors/kernel/errors.ts';
import { TaskCancelledError } from '../work-errors.ts';

export function ask(run: Run, kind: string, input: unknown, options: AskOptions, resolve: Settle, reject: Settle): void {
  checkOutsideStep(run, `ask ${describe(kind)}`);
  checkNoHold(run, run.plan.kind, kind);
  const name = run.memory.next(kind, options.key);
  const child = childOf(run, kind, input, options, name, true);
  const place = `ask:${name}@${hashText(child.input)}`;
  const seen = run.memory.recall(place, '');
  const known = run.memory.child(place);
  // A failure that an earlier run has seen stays one, whatever has become of the child since.
  if (seen !== undefined && failureIn(seen.value) !== undefined) return run.give(seen, resolve, reject);
  if (known?.status === 'completed') {
    const deliver = (): void => giveAnswer(run, kind, known.result, true, resolve, reject);
    if (seen !== undefined) return run.inOrder(seen.hash, deliver);
    return run.inTime({ child: known.id }, () => run.unseen(place, deliver));
  }
  const asked = new Asked(run, child, place, resolve, reject);
  if (known !== undefined && isTerminal(known.status)) return failedBefore(run, asked, place, known);
  if (!run.mayAct(reject)) return;
  if (known !== undefined && run.memory.has(`over:${place}`)) run.putBack(place);
  // One that is asked already is not new.
  if (run.memory.isBefore(place) && known === undefined) run.holdBack(place, () => asked.begin(undefined), reject);
  else asked.begin(known);
}

/** No run has seen that yet, or the attempt that has ended with it has it forgotten. */
function failedBefore(run: Run, asked: Asked, place: string, known: ChildRecord): void {
  if (run.undoing === undefined) {
    run.mayAct();
    return run.inTime({ child: known.id }, () => run.afterSeen(() => asked.begin(known)));
  }
  // Who is undone comes by what was done because a run has seen it; a child that was cancelled with its task nobody has seen fail.
  const seen = run.memory.recall(`over:${place}`, '');
  if (seen === undefined || seen.value === PUT_BACK) run.undoing.neverSeen();
  else run.inOrder(seen.hash, () => asked.tell(known));
}

/** `wasThere`: it has been brought before this run. */
function giveAnswer(run: Run, kind: string, result: string | null, wasThere: boolean, resolve: Settle, reject: Settle): void {
  run.read(() => {
    // Who is undone goes the way that was gone with it.
    if (run.undoing !== undefined) return resolve(decode(result));
    const plan = run.engine.planOf(kind);
    const answer = wasThere ? answerOf(plan, result) : decode(result);
    checkContract(plan, (run.plan.agent.spec.asks as Readonly<Record<string, AnyContract>>)[kind], answer);
    resolve(answer);
  }, reject);
}

/** Given to the store with the completion of the task. `sends`: how many are already. */
export function sent(run: Run, kind: string, input: unknown, options: AskOptions, sends: number): NewTask {
  checkOutsideStep(run, `send ${describe(kind)}`);
  return childOf(run, kind, input, options, run.memory.next(`send:${kind}`, options.key), false, sends);
}

function childOf(run: Run, kind: string, input: unknown, options: AskOptions, name: string, isAsked: boolean, sends = 0): NewTask {
  const { id, depth, rootId, deadlineMs } = run.claimed;
  const { engine } = run;
  const asking = { plan: run.plan, bounds: engine.bounds, id, depth, priority: run.priority, offspring: run.offspring, sends };
  const { input: text, parsed, schema, ...checked } = childTask(asking, kind, input, options);
  run.offspring += 1;
  const plan = engine.planOf(kind);
  const own = schema === plan.agent.input || !derives(plan) ? parsed : parse(plan.agent.input, input, plan.names.input);
  const given = {
    id: childId(id, run.memory.childName(name)),
    rootId: rootId ?? id,
    deadlineMs: isAsked ? (deadlineMs ?? undefined) : undefined,
    ...checked,
  };
  return newTask(plan, own, text, given, engine.nowMs());
}

/** A child that is asked for: submitted, and waited for. */
class Asked {
  readonly #run: Run;
  readonly #child: NewTask;
  readonly #place: string;
  readonly #resolve: Settle;
  readonly #reject: Settle;
  readonly #wait = new Pending();

  constructor(run: Run, child: NewTask, place: string, resolve: Settle, reject: Settle) {
    this.#run = run;
    this.#child = child;
    this.#place = place;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** That it has failed; known already, so nothing is remembered of it. */
  tell(child: ChildRecord): void {
    const run = this.#run;
    run.opened(this.#wait);
    this.#failureOf(child, (error) => {
      if (!run.done(this.#wait)) return;
      this.#reject(error);
      run.undoing?.moved();
    });
  }

  begin(known: ChildRecord | undefined): void {
    const { engine, memory, task } = this.#run;
    this.#run.opened(this.#wait);
    if (known !== undefined) return this.#know(known);
    const parent = { id: task.id, fence: task.fence, place: memory.askedPlace(this.#place) };
    engine.submit({ ...this.#child, parent }, { replied: (outcome) => this.#submitted(outcome) });
  }

  #submitted(outcome: SubmitOutcome): void {
    const run = this.#run;
    if (run.over !== undefined) return;
    switch (outcome.at) {
      case 'accepted':
        return this.#await();
      case 'stale':
        return run.leaseLost();
      case 'full':
        return this.#fail(new BoundReachedError({ id: run.task.id, bound: 'family', limit: outcome.limit }));
      case 'known': {
        const { id, kind, input, status, result, error, parentId } = outcome.task;
        if (parentId !== run.task.id) return this.#fail(this.#taken(kind));
        return run.read(() => {
          const isSame = kind === this.#child.kind && sameJson(input, this.#child.input);
          if (isSame) this.#know({ id, place: this.#place, status, result, error });
          else this.#diverged(kind, input);
        }, this.#reject);
      }
    }
  }

  #know(child: ChildRecord): void {
    const { status, result } = child;
    if (status === 'completed') this.#answered(() => giveAnswer(this.#run, this.#child.kind, result, true, this.#resolve, this.#reject));
    else if (isTerminal(status)) this.#ended(child);
    else this.#await();
  }

  #answered(deliver: () => void): void {
    this.#wait.waitsFor = undefined;
    this.#run.finish(this.#wait, this.#place, deliver);
  }

  #await(): void {
    const wait = this.#wait;
    wait.waitsFor = 'child';
    wait.child = this.#child.id;
    wait.stop = this.#run.engine.onTaskEnded(this.#child.id, { ended: (child) => this.#ended(child) });
    this.#run.parks.linger();
  }

  #ended(child: ChildRecord): void {
    const { status, result } = child;
    this.#wait.waitsFor = undefined;
    if (status === 'completed')
      return this.#answered(() => giveAnswer(this.#run, this.#child.kind, result, false, this.#resolve, this.#reject));
    this.#failureOf(child, (error) => this.#run.keepChildFailure(this.#wait, this.#place, error, this.#reject));
  }

  /** By whom and why it was cancelled is in its story. */
  #failureOf({ id, status, error }: ChildRecord, told: (failure: ChildFailedError) => void): void {
    const { kind } = this.#child;
    if (status !== 'cancelled') return told(new ChildFailedError({ id, kind, status, error: readErrorRecord(error) }));
    this.#run.engine.requests.whyCancelled(id, (why) => {
      const cancelled = toErrorRecord(new TaskCancelledError({ id, kind, ...why }));
      told(new ChildFailedError({ id, kind, status: 'cancelled', error: cancelled, ...why }));
    });
  }

  #fail(error: unknown): void {
    this.#wait.waitsFor = undefined;
    this.#run.keepFailure(this.#wait, this.#place, '', error, this.#reject);
  }

  #taken(kind: string): ChildIdTakenError {
    return new ChildIdTakenError({ id: this.#run.task.id, child: this.#child.id, kind: this.#child.kind, taken: { kind } });
  }

  #diverged(kind: string, input: string): void {
    const { id } = this.#run.task;
    const remembered = `asked ${kind} for ${describe(input)}`;
    const error = new ReplayDivergedError({ id, place: this.#place, remembered, came: describe(this.#child.input) });
    if (this.#run.done(this.#wait)) this.#reject(error);
  }
}
