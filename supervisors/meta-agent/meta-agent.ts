/**
 * Meta-agent: watches every worker of a fleet, and acts as an operator would. It waits for nobody: it
 * takes no task, no permit and no place in a queue, and hears of the fleet through a bounded buffer.
 *
 *     watching ── pulse ──▶ deciding ── observed: something to do ──▶ acting ── all answered, ──▶ cooling
 *        ▲                     │                                            or overdue            │
 *        ├── observed: nothing ┘                                                                  │
 *        ├── nobody collects ──┘                                                                  │
 *        └──────────────────────────────── cooled down ───────────────────────────────────────────┘
 *
 *     anywhere: stop.requested ──▶ stopped
 *
 * 1. Once a pulse it asks for what was observed (`meta.collect`), and gets one batch (`observed`).
 * 2. It takes the batch into its measures and judges the fleet once, see `judge.ts`.
 * 3. Each decision is told (`meta.decided`), each command given (`operator.*`), and nothing else is
 *    judged until each command is answered, or the time for answers is over.
 *
 * It has an operator's power and no more: what it asks for may be refused. Started again after a
 * crash it knows who works and who is suspended, and learns the rest anew.
 */
import { assign, setup } from 'xstate';
import type { Clock } from '../../actors/kernel/clock.ts';
import { emit } from '../../actors/kernel/effects.ts';
import type { ActorId, StopRequested } from '../../actors/kernel/effects.ts';
import { judge } from './judge.ts';
import { absorb, NO_MEASURES } from './measures.ts';
import type { Observation, Observed } from './observation.ts';
import type { OperatorAnswered, OperatorCommand } from './operator.ts';
import type { MetaAgentPlan } from './plan.ts';
import { answer, NOTHING_KNOWN } from './watch.ts';
import type { Decision, Watch } from './watch.ts';

export type MetaAgentMessage =
  | Observed
  | OperatorAnswered
  | StopRequested
  /** One of its effects threw: a command counts as refused, anything else is let go. */
  | { readonly type: 'effect.failed'; readonly effect: { readonly type: string; readonly id?: number } };

/** What it wants done. */
export type MetaAgentEffect =
  /** Send it `observed` with everything since the last time, on the control lane. */
  | { readonly type: 'meta.collect' }
  /** For observers: nothing depends on it. */
  | { readonly type: 'meta.decided'; readonly decision: Decision }
  /** Commands were refused, not answered in time, or observations dropped: nothing depends on it. */
  | { readonly type: 'meta.noted'; readonly fact: MetaAgentFact }
  | OperatorCommand;

export type MetaAgentFact =
  | { readonly at: 'answered'; readonly command: OperatorCommand; readonly done: true }
  | { readonly at: 'answered'; readonly command: OperatorCommand; readonly done: false; readonly why: string }
  | { readonly at: 'dropped'; readonly observations: number };

export interface MetaAgentInput {
  readonly plan: MetaAgentPlan;
  /** Who works when it starts; those it does not know it learns from what they do. Default nobody. */
  readonly workers?: readonly { readonly worker: ActorId; readonly kind: string; readonly suspended: boolean }[];
}

export interface MetaAgentContext {
  readonly plan: MetaAgentPlan;
  readonly watch: Watch;
  /** What was decided at this pulse; undefined until the batch is there. */
  readonly decisions: readonly Decision[] | undefined;
  /** Given and not answered, by id. */
  readonly waitingFor: ReadonlyMap<number, OperatorCommand>;
  /** Observations that were lost since it started. */
  readonly dropped: number;
}

/** The machine over a clock, which it reads once a message. */
export const metaAgentMachine = (clock: Clock) =>
  setup({
    types: { context: {} as MetaAgentContext, events: {} as MetaAgentMessage, input: {} as MetaAgentInput },
    delays: {
      pulse: ({ context }) => context.plan.pulseMs,
      collecting: ({ context }) => context.plan.pulseMs,
      answering: ({ context }) => context.plan.answerMs,
      cooling: ({ context }) => context.plan.coolMs,
    },
    guards: {
      hasOrders: ({ context }) => context.waitingFor.size > 0,
      hasLooked: ({ context }) => context.decisions !== undefined,
      isAnswered: ({ context }) => context.waitingFor.size === 0,
    },
    actions: {
      open: assign({ decisions: undefined }),
      collect: () => emit({ type: 'meta.collect' }),
      absorb: assign(({ context, event }) => absorbed(context, event as Observed)),
      tellDropped: ({ event }) => {
        const { dropped } = event as Observed;
        if (dropped > 0) note({ at: 'dropped', observations: dropped });
      },
      judge: assign(({ context }) => judged(context, clock.nowMs())),
      tell: ({ context }) => {
        for (const decision of context.decisions ?? []) emit({ type: 'meta.decided', decision } as MetaAgentEffect);
      },
      act: ({ context }) => {
        for (const command of context.waitingFor.values()) emit(command);
      },
      tellAnswered: ({ context, event }) => {
        const answered = answerIn(event as OperatorAnswered | EffectFailed);
        const command = context.waitingFor.get(answered.id);
        if (command !== undefined) note(answered.done ? { at: 'answered', command, done: true } : refused(command, answered.why));
      },
      takeAnswer: assign(({ context, event }) => taken(context, answerIn(event as OperatorAnswered | EffectFailed), clock.nowMs())),
      giveUp: ({ context }) => {
        for (const command of context.waitingFor.values()) note(refused(command, 'not answered in time'));
      },
      forget: assign({ waitingFor: new Map() }),
    },
  }).createMachine({
    id: 'meta-agent',
    context: ({ input }) => begun(input, clock.nowMs()),
    initial: 'watching',
    on: {
      // Nobody was asked for it, or it comes late: it is news all the same.
      observed: { actions: ['tellDropped', 'absorb'] },
      'stop.requested': { target: '.stopped' },
    },
    states: {
      watching: { after: { pulse: 'deciding' } },
      deciding: {
        entry: ['open', 'collect'],
        always: [
          { guard: 'hasOrders', target: 'acting' },
          { guard: 'hasLooked', target: 'watching' },
        ],
        after: { collecting: 'watching' },
        on: { observed: { actions: ['tellDropped', 'absorb', 'judge', 'tell'] } },
      },
      acting: {
        entry: 'act',
        always: { guard: 'isAnswered', target: 'cooling' },
        after: { answering: { target: 'cooling', actions: ['giveUp', 'forget'] } },
        on: {
          'operator.answered': { actions: ['tellAnswered', 'takeAnswer'] },
          'effect.failed': { actions: ['tellAnswered', 'takeAnswer'] },
        },
      },
      cooling: { after: { cooling: 'watching' } },
      stopped: { type: 'final' },
    },
  });

type EffectFailed = Extract<MetaAgentMessage, { readonly type: 'effect.failed' }>;

function begun({ plan, workers = [] }: MetaAgentInput, nowMs: number): MetaAgentContext {
  const known = workers.map(
    ({ suspended, worker, kind }) =>
      ({ type: suspended ? 'worker.suspended' : 'worker.started', atMs: nowMs, worker, kind }) satisfies Observation,
  );
  const watch = { ...NOTHING_KNOWN, measures: absorb(NO_MEASURES, known) };
  return { plan, watch, decisions: undefined, waitingFor: new Map(), dropped: 0 };
}

function absorbed({ watch, dropped }: MetaAgentContext, event: Observed): Partial<MetaAgentContext> {
  return { watch: { ...watch, measures: absorb(watch.measures, event.observations) }, dropped: dropped + event.dropped };
}

function judged({ watch, plan }: MetaAgentContext, nowMs: number): Partial<MetaAgentContext> {
  const judgement = judge(watch, plan, nowMs);
  return {
    watch: judgement.watch,
    decisions: judgement.decisions,
    waitingFor: new Map(judgement.commands.map((command) => [command.id, command])),
  };
}

function taken({ watch, waitingFor }: MetaAgentContext, answered: Answer, nowMs: number): Partial<MetaAgentContext> {
  const command = waitingFor.get(answered.id);
  if (command === undefined) return {};
  const left = new Map(waitingFor);
  left.delete(command.id);
  return { waitingFor: left, watch: answer(watch, command, answered.done, nowMs) };
}

type Answer = { readonly id: number; readonly done: true } | { readonly id: number; readonly done: false; readonly why: string };

function answerIn(event: OperatorAnswered | EffectFailed): Answer {
  return event.type === 'operator.answered' ? event : { id: event.effect.id ?? 0, done: false, why: 'whoever performs it threw' };
}

const refused = (command: OperatorCommand, why: string): MetaAgentFact => ({ at: 'answered', command, done: false, why });

function note(fact: MetaAgentFact): void {
  emit({ type: 'meta.noted', fact } as MetaAgentEffect);
}
