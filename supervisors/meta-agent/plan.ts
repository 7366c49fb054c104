/** Plan: the rules and limits by which a meta-agent lives, checked and complete. */
import { z } from 'zod';
import { check, count, fieldsOr, ms, share } from './check.ts';
import { DEFAULT_RULES, defineRules } from './rules.ts';
import type { Rule, RuleSpec } from './rules.ts';

/** As an owner of a fleet writes it. */
export interface MetaAgentSpec {
  /** Joined to the default rules; one with the same name replaces it. */
  readonly rules?: readonly RuleSpec[];
  /** Names of default rules that do not apply. */
  readonly without?: readonly string[];
  /** Time between two looks at the fleet. Default 1,000. */
  readonly pulseMs?: number;
  /** How long the answers to commands may take; what is not answered by then counts as refused. Default 10,000. */
  readonly answerMs?: number;
  /** Time after commands in which nothing else is judged. Default 1,000. */
  readonly coolMs?: number;
  /** Commands a minute over the whole fleet, resuming included. Default 6. */
  readonly actionsPerMinute?: number;
  /** Time between two commands about one worker. Default 10,000. */
  readonly restMs?: number;
  /** At most this share of a kind is suspended by it, for whatever reason: one worker at least, never the last. Default 0.25. */
  readonly suspendedShare?: number;
  /** When one rule finds more than this share of a kind bad, it is not the workers. Default 0.3. */
  readonly kindShare?: number;
}

export interface MetaAgentPlan extends Required<Omit<MetaAgentSpec, 'rules' | 'without'>> {
  readonly rules: readonly Rule[];
}

const LIMITS = {
  pulseMs: 1_000,
  answerMs: 10_000,
  coolMs: 1_000,
  actionsPerMinute: 6,
  restMs: 10_000,
  suspendedShare: 0.25,
  kindShare: 0.3,
};
const KNOWN = DEFAULT_RULES.map(({ name }) => name);
const knownRule = `names of default rules: ${KNOWN.join(', ')}`;

const shape = z.strictObject(
  {
    rules: z.array(z.unknown(), 'a list of rules').optional(),
    without: z.array(z.enum(KNOWN, knownRule), knownRule).optional(),
    pulseMs: ms(10).optional(),
    answerMs: ms(1).optional(),
    coolMs: ms(0).optional(),
    actionsPerMinute: count(1, 'a whole number of commands, at least 1').optional(),
    restMs: ms(0).optional(),
    suspendedShare: share.optional(),
    kindShare: share.optional(),
  },
  fieldsOr('an object of rules and limits', 'rules', 'without', ...Object.keys(LIMITS)),
);

/** Checks what an owner wrote and fills in the rest. Throws a `PolicyError` that names the field. */
export function defineMetaAgent(spec: MetaAgentSpec = {}): MetaAgentPlan {
  check(shape, spec, 'metaAgent');
  const { rules: given = [], without = [], ...limits } = spec;
  const rules = defineRules(given, 'metaAgent.rules');
  const named = new Set(given.map(({ name }) => name));
  const kept = DEFAULT_RULES.filter(({ name }) => !named.has(name) && !without.includes(name));
  return { ...LIMITS, ...limits, rules: [...defineRules(kept), ...rules] };
}
