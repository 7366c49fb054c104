/**
 * Report: what became of the mails, counted afterwards from the store and from the provider, not
 * from what the program believes that it did.
 */
import type { TaskLook } from 'drover';
import type { CallRecord } from 'drover/fake-provider';
import { triageResult } from './agents.ts';
import type { TriageResult } from './agents.ts';
import type { Mail } from './mails.ts';
import { score } from './score.ts';

/** What is read of a task. */
export type JobTask = Pick<TaskLook, 'id' | 'status' | 'input' | 'result' | 'parentId' | 'submittedAtMs' | 'finishedAtMs'>;

/** Every task of the job, as the store has it. */
export interface JobTasks {
  readonly triage: readonly JobTask[];
  readonly digest: readonly JobTask[];
}

export interface Report {
  /** Mails of the run. */
  readonly submitted: number;
  /** Mails whose triage is completed in the store. */
  readonly completed: number;
  /** Mails with which it is no use trying again. */
  readonly failed: number;
  /** Mails whose attempts are used up. */
  readonly dead: number;
  /** Mails that are still to be done, safe in the store: not 0 after an interruption only. */
  readonly unfinished: number;
  /** Of the completed, those that an earlier run of this command had done already. */
  readonly resumed: number;
  /** Mails completed more than once, and calls answered more than once without a crash in between. */
  readonly duplicates: number;
  /** Mails that neither ended nor wait in the store. */
  readonly lost: number;
  /** Requests that this run made, the refused ones included. The provider's own count where it is ours. */
  readonly calls: number;
  readonly rejected429: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of workers, by their supervisor. */
  readonly restarts: number;
  /** Share of right labels among the completed; null where there are none. */
  readonly accuracy: number | null;
  /** The accuracy of always giving the more frequent label. */
  readonly majorityShare: number | null;
  /** Ham called spam, out of `ham`: mails that a reader would miss. */
  readonly falsePositives: number;
  /** Spam called ham, out of `spam`: mails that a reader has to delete. */
  readonly falseNegatives: number;
  readonly ham: number;
  readonly spam: number;
  readonly interrupted: boolean;
  /** From the start of the process. */
  readonly wallMs: number;
}

export type Usage = Pick<Report, 'calls' | 'rejected429' | 'inputTokens' | 'outputTokens'>;

export interface ReportInput {
  readonly mails: readonly Mail[];
  readonly tasks: JobTasks;
  /** The provider's log; empty where it keeps none for us. */
  readonly calls: readonly CallRecord[];
  readonly usage: Usage;
  readonly restarts: number;
  readonly interrupted: boolean;
  /** When this process began, in milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly wallMs: number;
}

/** Counts. Pure. */
export function reportOf({ mails, tasks, calls, usage, restarts, interrupted, startedAtMs, wallMs }: ReportInput): Report {
  const byMail = Map.groupBy(tasks.triage, mailIdOf);
  const ended = (status: JobTask['status']) => mails.filter(({ id }) => byMail.get(id)?.some((task) => task.status === status) === true);
  const completed = ended('completed');
  const [failed, dead] = [ended('failed').length, ended('dead').length];
  // A mail waits in the store by its own task, or by its section's, which has yet to ask for it.
  const waiting = new Set(tasks.digest.filter(isUnfinished).flatMap((task) => (task.input as { mailIds: string[] }).mailIds));
  const over = completed.length + failed + dead;
  const unfinished = mails.filter(({ id }) => (byMail.get(id) ?? []).every(isUnfinished) && (byMail.has(id) || waiting.has(id))).length;
  const results = resultsOf(tasks);
  const judged = completed.map(({ id, label }) => ({ predicted: results.get(id)!.label, actual: label }));
  const scored = judged.length === 0 ? null : score(judged);
  return {
    submitted: mails.length,
    completed: completed.length,
    failed,
    dead,
    unfinished,
    resumed: tasks.triage.filter((task) => task.status === 'completed' && task.finishedAtMs! < startedAtMs).length,
    duplicates: [...byMail.values()].filter((all) => all.filter(isCompleted).length > 1).length + answeredTwice(calls, tasks, startedAtMs),
    lost: mails.length - over - unfinished,
    ...usage,
    restarts,
    accuracy: scored?.accuracy ?? null,
    majorityShare: scored?.majorityShare ?? null,
    falsePositives: scored?.falsePositives.count ?? 0,
    falseNegatives: scored?.falseNegatives.count ?? 0,
    ham: scored?.falsePositives.of ?? 0,
    spam: scored?.falseNegatives.of ?? 0,
    interrupted,
    wallMs,
  };
}

/** The results of completed triage tasks, by mail. */
export function resultsOf({ triage }: JobTasks): ReadonlyMap<string, TriageResult> {
  return new Map(triage.filter(isCompleted).map((task) => [mailIdOf(task), triageResult.parse(task.result)]));
}

/** A key of the provider's log belongs to this task or to one that it asked for. */
const taskOf = (key: string) => /^section-\d+/.exec(key)?.[0];

/**
 * Keys that the provider answered in full more than once. A client that dies between the provider's
 * last byte and its own disk cannot know of the answer, and asks again after its restart: such a first
 * answer is of an earlier process, and the last on its connection. That one is explained and not
 * counted; `test/examples/kill` checks it against the moments of the kills.
 */
function answeredTwice(calls: readonly CallRecord[], { digest }: JobTasks, startedAtMs: number): number {
  const ids = new Set(digest.map(({ id }) => id));
  const sinceMs = Math.min(...digest.map(({ submittedAtMs }) => submittedAtMs));
  // Another store may have given the same provider the same job before.
  const own = calls.filter(({ key, atMs }) => key !== null && ids.has(taskOf(key) ?? '') && atMs >= sinceMs);
  const lastOn = new Map(own.map(({ connection, id }) => [connection, id]));
  const whole = own.filter((call) => call.state === 'ended' && call.ended === 'answered' && call.sent === 'all');
  return [...Map.groupBy(whole, ({ key }) => key).values()].filter((answers) =>
    answers.slice(0, -1).some((answer) => answer.atMs >= startedAtMs || lastOn.get(answer.connection) !== answer.id),
  ).length;
}

const mailIdOf = ({ input }: JobTask) => (input as { mailId: string }).mailId;
const isCompleted = ({ status }: JobTask) => status === 'completed';
const isUnfinished = ({ status }: JobTask) => status !== 'completed' && status !== 'failed' && status !== 'dead' && status !== 'cancelled';

/** The report as lines that a person reads. */
export function printReport(report: Report): string {
  const { submitted, completed, resumed, unfinished, failed, dead, calls, rejected429, accuracy, majorityShare } = report;
  const rows: readonly (readonly [string, string])[] = [
    [
      'mails',
      `${submitted} submitted, ${completed} completed${resumed > 0 ? ` (${resumed} by an earlier run)` : ''}${unfinished > 0 ? `, ${unfinished} still to do` : ''}`,
    ],
    ['not done', `${failed} failed, ${dead} dead, ${report.lost} lost`],
    ['duplicates', String(report.duplicates)],
    ['calls', `${calls}, of which ${rejected429} refused with 429 (${percent(calls === 0 ? 0 : rejected429 / calls)})`],
    ['tokens', `${report.inputTokens} in, ${report.outputTokens} out`],
    ['restarts', `${report.restarts} of workers`],
    [
      'accuracy',
      accuracy === null ? 'nothing to score' : `${percent(accuracy)}; always the more frequent label would be ${percent(majorityShare!)}`,
    ],
    ['ham lost', `${report.falsePositives} of ${report.ham}`],
    ['spam kept', `${report.falseNegatives} of ${report.spam}`],
    ['time', `${(report.wallMs / 1_000).toFixed(1)} s`],
  ];
  return rows.map(([name, text]) => `${name.padEnd(12)}${text}`).join('\n');
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
