/** Progress: whether an agent that is busy with a task also gets on with it. */

/** About the present task of one worker. */
export interface Progress {
  readonly task: string | undefined;
  /** Operations and calls since it last told progress or remembered something new. */
  readonly operations: number;
  /** Calls in a row whose request was among the last few of this task. */
  readonly repeats: number;
  readonly calls: number;
  /** Hashes of the last few different requests, newest first. */
  readonly requests: readonly string[];
}

/** A cycle of up to so many requests is seen. */
const REQUESTS = 8;

export const NO_PROGRESS: Progress = { task: undefined, operations: 0, repeats: 0, calls: 0, requests: [] };

export function operated(before: Progress, task: string, progressed: boolean): Progress {
  const progress = onTask(before, task);
  return { ...progress, operations: progressed ? 0 : progress.operations + 1 };
}

/** A call whose request is new brings something new; the same request once more does not, though its place is new. */
export function called(before: Progress, task: string, request: string | undefined): Progress {
  const progress = onTask(before, task);
  const calls = progress.calls + 1;
  if (request === undefined) return { ...progress, calls, operations: progress.operations + 1 };
  const repeated = progress.requests.includes(request);
  const requests = [request, ...progress.requests.filter((known) => known !== request)].slice(0, REQUESTS);
  return repeated
    ? { ...progress, calls, requests, operations: progress.operations + 1, repeats: progress.repeats + 1 }
    : { ...progress, calls, requests, operations: 0, repeats: 0 };
}

function onTask(progress: Progress, task: string): Progress {
  return progress.task === task ? progress : { ...NO_PROGRESS, task };
}
