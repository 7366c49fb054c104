/** Execution: a run's function is called, on this event loop or in the thread or process of its worker. */
import type { Isolation } from '../../isolation/isolation.ts';
import { joining } from '../../admission/joining.ts';
import { decode, encode, parse } from '../payload.ts';
import type { Run } from '../run.ts';
import { inStep } from './in-step.ts';

/** Says to the run how its function ends, unless the thread or process dies first: then the queue says what becomes of the task. */
export function execute(run: Run): void {
  const { agent, names, isolation } = run.plan;
  const { maxBytes } = run.engine;
  const isolated = isolation === 'inline' ? undefined : run.engine.isolation;
  let input: unknown;
  try {
    input = parse(agent.input, decode(run.claimed.input), names.input);
  } catch (error) {
    return run.misfits(error) ? undefined : run.threw(error);
  }
  try {
    if (isolated !== undefined) return executeIsolated(run, isolated);
    Promise.resolve(run.within(() => joining.run(undefined, () => agent.spec.run(input, run) as unknown))).then(
      (value) => {
        if (run.over !== undefined) return;
        try {
          run.returned(encode(parse(agent.output, value, names.output, true), names.output, maxBytes));
        } catch (error) {
          run.threw(error);
        }
      },
      (error: unknown) => run.threw(error),
    );
  } catch (error) {
    run.threw(error);
  }
}

function executeIsolated(run: Run, isolation: Isolation): void {
  const { input, depth } = run.claimed;
  const { priority } = run;
  isolation.execute(run.plan, run.worker, {
    ctx: run as never,
    inStep: (step, act) => inStep(run, step, act),
    ended: run.ended,
    input: input ?? '',
    depth,
    priority,
    returned: (result) => run.over === undefined && run.returned(result),
    threw: (error, holding) => run.threw(error, holding),
  });
}
