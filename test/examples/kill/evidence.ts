/**
 * Evidence: whether what store and provider have seen over several lives of the main job keeps the
 * promises. Pure, so that a test can show it a story in which they are broken.
 *
 * Lives are told apart in the provider's log by position, not by time: after a kill the log is
 * measured, and whatever comes later was asked by a later life.
 */
import type { LogLine } from 'drover/fake-provider';
import type { Snapshot, SnapshotTask } from './snapshot.ts';

/** The moment after one kill, when nobody owns the store. */
export interface Kill {
  readonly atMs: number;
  /** Lines of the provider's log so far. */
  readonly logLines: number;
  readonly store: Snapshot;
}

export interface Story {
  readonly mailIds: readonly string[];
  readonly kills: readonly Kill[];
  /** The store after the last life. */
  readonly end: Snapshot;
  readonly log: readonly LogLine[];
}

export interface Verdict {
  readonly facts: readonly (readonly [name: string, fact: string | number])[];
  /** Empty: every promise was kept. */
  readonly violations: readonly string[];
}

type Accepted = Extract<LogLine, { line: 'accepted' }> & { readonly life: number };
type Ended = Extract<LogLine, { line: 'ended' }>;
type Closed = Extract<LogLine, { line: 'connection-closed' }>;

/**
 * An answer that had left in full, and was not remembered: its client died within this time of it.
 * It covers reading it, and the commit that would have remembered it.
 */
const LONGEST_UNREMEMBERED_MS = 1_000;

export function judge(story: Story): Verdict {
  const calls = readCalls(story);
  const repeats = judgeRepeats(calls);
  const violations = [...judgeMails(story), ...judgeCompleted(story), ...judgeRemembered(story, calls), ...repeats.violations];
  const tasks = [...story.end.tasks.values()];
  const { kills } = story;
  return {
    violations,
    facts: [
      ['kills', kills.length],
      ['of them before any task was there', kills.filter(({ store }) => store.tasks.size === 0).length],
      ['mails', story.mailIds.length],
      ['tasks, all kinds', tasks.length],
      ['of them completed', tasks.filter(isCompleted).length],
      [
        'completed at the kills, one after the other',
        kills.map(({ store }) => [...store.tasks.values()].filter(isCompleted).length).join(' '),
      ],
      ['runs lost to kills', tasks.reduce((sum, { losses }) => sum + losses, 0)],
      ['calls accepted by the provider', calls.accepted.length],
      ['keys of them', new Set(calls.accepted.map(({ key }) => key)).size],
      ['calls made again after a kill', repeats.again],
      ['of them not answered in full before the kill', repeats.unanswered],
      ['of them answered, and killed before it was remembered', repeats.answered],
      ['longest time from such an answer to the end of its connection, ms', repeats.longestMs],
    ],
  };
}

interface Calls {
  readonly accepted: readonly Accepted[];
  readonly ended: ReadonlyMap<string, Ended>;
  readonly closed: ReadonlyMap<string, Closed>;
}

function readCalls({ log, kills }: Story): Calls {
  const accepted = log.flatMap((line, at) => {
    if (line.line !== 'accepted') return [];
    return [{ ...line, life: kills.filter(({ logLines }) => logLines <= at).length }];
  });
  return {
    accepted,
    ended: new Map(log.flatMap((line) => (line.line === 'ended' ? [[line.id, line]] : []))),
    closed: new Map(log.flatMap((line) => (line.line === 'connection-closed' ? [[line.connection, line]] : []))),
  };
}

/** Every mail ends exactly once, completed. */
function judgeMails({ mailIds, end }: Story): string[] {
  const triage = [...end.tasks.values()].filter(({ kind }) => kind === 'triage');
  const byMail = Map.groupBy(triage, ({ input }) => (JSON.parse(input) as { mailId: string }).mailId);
  const wrong = mailIds.flatMap((id) => {
    const statuses = (byMail.get(id) ?? []).map(({ status }) => status);
    return statuses.length === 1 && statuses[0] === 'completed'
      ? []
      : [`mail ${id}: expected one completed task, found ${statuses.join(', ') || 'none'}`];
  });
  const strangers = [...byMail.keys()].filter((id) => !mailIds.includes(id)).map((id) => `mail ${id}: is no mail of this run`);
  return [...wrong, ...strangers];
}

/** What was completed at a kill is at the end as it was: same fence, same attempt, same result, so no run was begun for it. */
function judgeCompleted({ kills, end }: Story): string[] {
  return kills.flatMap(({ store }, at) =>
    [...store.tasks.values()].filter(isCompleted).flatMap((before) => {
      const after = end.tasks.get(before.id);
      const same =
        after !== undefined &&
        (['status', 'fence', 'attempt', 'result', 'finishedMs'] as const).every((field) => after[field] === before[field]);
      return same ? [] : [`task ${before.id}: was completed at kill ${at + 1} and has run again`];
    }),
  );
}

/** No call is made for a reply that is remembered, nor for a task that is completed. */
function judgeRemembered({ kills }: Story, { accepted }: Calls): string[] {
  return kills.flatMap(({ store }, at) =>
    accepted
      .filter(({ life }) => life > at)
      .flatMap(({ key }) => {
        if (key === null) return [`a call without a key after kill ${at + 1}`];
        if (store.remembered.has(key)) return [`call ${key}: was remembered at kill ${at + 1} and made again`];
        const task = store.tasks.get(key.slice(0, key.lastIndexOf('/call:')));
        return task !== undefined && isCompleted(task) ? [`call ${key}: its task was completed at kill ${at + 1}`] : [];
      }),
  );
}

/** A key comes twice only where its first call was in flight at the kill between the two. */
function judgeRepeats({ accepted, ended, closed }: Calls) {
  const violations: string[] = [];
  let [again, unanswered, answered, longestMs] = [0, 0, 0, 0];
  for (const [key, calls] of Map.groupBy(accepted, ({ key: own }) => own)) {
    for (const [at, next] of calls.slice(1).entries()) {
      const call = calls[at]!;
      const end = ended.get(call.id);
      const whole = end?.ended === 'answered' && end.sent === 'all';
      if (next.life === call.life) {
        // Within a life only a failed call is made again.
        if (whole) violations.push(`call ${key}: was answered, and made again in the same life`);
        continue;
      }
      again += 1;
      if (!whole) {
        unanswered += 1;
        continue;
      }
      answered += 1;
      const gone = closed.get(call.connection);
      const goneAfterMs = gone?.lastCallId === call.id ? gone.atMs - end.endedAtMs : Infinity;
      longestMs = Math.max(longestMs, Math.round(goneAfterMs));
      if (goneAfterMs > LONGEST_UNREMEMBERED_MS) violations.push(`call ${key}: was answered long before the kill, and made again`);
    }
  }
  return { violations, again, unanswered, answered, longestMs };
}

const isCompleted = ({ status }: SnapshotTask) => status === 'completed';
