/**
 * Evidence: whether what was wanted, what lies in the store, and what the world outside has in its log keep the
 * promises. Pure, so that a test can show it a story in which they are broken.
 */
import type { LogLine } from 'drover/fake-provider';
import { isTerminal } from '../../actors/ports/store.ts';
import type { LoggedEffect } from './effects.ts';
import { judgeStops } from './evidence-of-stops.ts';
import type { Stop } from './evidence-of-stops.ts';
import { judgeWanted } from './evidence-of-tasks.ts';
import { ASKED_AT } from './outside.ts';
import type { Snapshot } from './snapshot.ts';
import type { Wanted } from './workload.ts';

/** All that is known of a kill test. */
export interface Story {
  readonly wanted: readonly Wanted[];
  /** The store after the last life. */
  readonly end: Snapshot;
  /** Logs of the world, in the order in which it happened. */
  readonly effects: readonly LoggedEffect[];
  readonly calls: readonly LogLine[];
  readonly stops: readonly Stop[];
  /** When it was seen first, between two lives, that a task had ended, and that an effect or a call was remembered. */
  readonly endedAtMs: ReadonlyMap<string, number>;
  readonly rememberedAtMs: ReadonlyMap<string, number>;
  /** From when to when there were schedules. */
  readonly scheduled: { readonly fromMs: number; readonly toMs: number };
}

const LONGEST_BETWEEN_CLOCKS_MS = 20;
const TICK = /^schedule:(every|cron)@(.*)$/;

/** Empty: every promise was kept. */
export function judge(story: Story): readonly string[] {
  const accepted = new Map(story.effects.filter(({ verdict }) => verdict === 'accepted').map((effect) => [effect.key, effect]));
  return [
    ...judgeEnd(story),
    ...judgeWanted(story.wanted, story.end, accepted),
    ...judgeEffects(story),
    ...judgeCalls(story),
    ...judgeSchedules(story, accepted),
    ...judgeStops(story.stops, story.end, story.effects),
  ];
}

/** Everything has ended, nothing is left of it but what has ended, and no lease or lock had two holders. */
function judgeEnd({ end }: Story): string[] {
  const unfinished = [...end.tasks.values()].filter(({ status }) => !isTerminal(status));
  const left = Object.entries(end.left).filter(([, rows]) => rows > 0);
  return [
    ...unfinished.map(({ id, status }) => `task ${id}: has not ended but is ${status}`),
    ...end.overtaken.map((id) => `task ${id}: was overtaken while it held its lease`),
    ...left.map(([table, rows]) => `${rows} rows are left in ${table}`),
  ];
}

/** One effect a key; none after it is remembered, nor for a task that has ended; nobody's lock is passed over. */
function judgeEffects({ effects, endedAtMs, rememberedAtMs }: Story): string[] {
  const violations: string[] = [];
  const accepted = new Set<string>();
  const fences = new Map<string, number>();
  const isGrowing = (of: string, fence: number): boolean => {
    const grows = fence >= (fences.get(of) ?? 0);
    fences.set(of, Math.max(fence, fences.get(of) ?? 0));
    return grows;
  };
  for (const { key, task, fence, lock, verdict, begunAtMs } of effects) {
    if (verdict === 'differs') violations.push(`effect ${key}: was made with two payloads`);
    if (begunAtMs > (rememberedAtMs.get(key) ?? Infinity)) violations.push(`effect ${key}: was remembered and made again`);
    if (begunAtMs > (endedAtMs.get(task) ?? Infinity)) violations.push(`effect ${key}: its task had ended`);
    if (verdict !== 'accepted') continue;
    if (accepted.has(key)) violations.push(`effect ${key}: was accepted twice`);
    accepted.add(key);
    if (!isGrowing(`task ${task}`, fence)) violations.push(`effect ${key}: accepted under an older fence`);
    if (lock !== undefined && (lock.fence < 1 || !isGrowing(`lock ${lock.resource}`, lock.fence))) {
      violations.push(`effect ${key}: accepted under an older token of ${lock.resource}`);
    }
  }
  return violations;
}

/** No call is made for what is remembered, nor for a task that has ended. */
function judgeCalls({ calls, endedAtMs, rememberedAtMs }: Story): string[] {
  return calls.flatMap((line) => {
    if (line.line !== 'accepted') return [];
    const { key, model } = line;
    if (key === null) return ['a call without a key'];
    const task = key.slice(0, key.lastIndexOf('/call:'));
    const askedAtMs = Number(model.slice(ASKED_AT.length));
    return [
      ...(askedAtMs > (rememberedAtMs.get(key) ?? Infinity) ? [`call ${key}: was remembered and made again`] : []),
      ...(askedAtMs > (endedAtMs.get(task) ?? Infinity) ? [`call ${key}: its task had ended`] : []),
    ];
  });
}

/** Each turn made one task, which made one effect; turns come once a second at most, and do come. */
function judgeSchedules({ end, scheduled }: Story, accepted: ReadonlyMap<string, LoggedEffect>): string[] {
  const violations: string[] = [];
  const turns: Record<string, number[]> = { every: [], cron: [] };
  for (const { id, kind, status } of end.tasks.values()) {
    if (kind !== 'tick') continue;
    const [, name, turn] = TICK.exec(id) ?? [];
    if (name === undefined) violations.push(`task ${id}: is of no schedule`);
    else turns[name]!.push(Date.parse(turn!));
    if (status !== 'completed' || !accepted.has(`${id}/step:tick`)) violations.push(`task ${id}: is ${status}, and a turn is one effect`);
  }
  for (const [name, at] of Object.entries(turns)) {
    if (at.length === 0) violations.push(`schedule ${name}: has not fired`);
    if (new Set(at.map((ms) => ms % 1_000)).size > 1) violations.push(`schedule ${name}: fired between two turns`);
    for (const ms of at) {
      const isWithin = ms >= scheduled.fromMs - LONGEST_BETWEEN_CLOCKS_MS && ms <= scheduled.toMs + LONGEST_BETWEEN_CLOCKS_MS;
      if (!isWithin) violations.push(`schedule ${name}: fired for ${new Date(ms).toISOString()}, when it was not there`);
    }
  }
  return violations;
}
