/**
 * Answer: what a child has brought, as the run that asked gets it when that is not in the same breath. Meanwhile the
 * child's kind may have another `output`, and what was brought under the old one must not pass for what the new one says.
 *
 * What is stored is what a schema has made of the result, and not every schema takes what it makes (`z.string().transform(...)`).
 * So one that refuses is believed only where it says itself that it takes what it gives, by its JSON schemas of both.
 *
 * Whoever asks by a contract may rely on that: its `output` is looked at as well, whatever the kind's own says.
 */
import type { AnyContract, Schema } from '../../topology/contract.ts';
import type { KindPlan } from '../../topology/fleet.ts';
import { PayloadInvalidError } from '../errors.ts';
import { decode, parse } from '../payload.ts';

/** The answer of a child of that kind, as it was stored. @throws PayloadInvalidError where it does not fit the kind's `output` any more */
export function answerOf({ agent, names }: KindPlan, result: string | null): unknown {
  const answer = decode(result);
  checkAnswer(agent.output, answer, `${names.output}, which was brought before its schema was changed`);
  return answer;
}

/** @throws PayloadInvalidError where it does not fit what the asker's contract says of that kind */
export function checkContract({ agent, names }: KindPlan, declared: AnyContract | undefined, answer: unknown): void {
  if (declared?.output !== agent.output) checkAnswer(declared?.output, answer, `${names.output}, by the contract of who asked`);
}

function checkAnswer(schema: Schema | undefined, answer: unknown, what: string): void {
  if (schema === undefined) return;
  try {
    parse(schema, answer, what);
  } catch (error) {
    if (error instanceof PayloadInvalidError && takesWhatItGives(schema)) throw error;
  }
}

/** By the Standard JSON Schema of what it takes, and of what it gives; one that has none does not say. */
function takesWhatItGives(schema: Schema): boolean {
  const { jsonSchema } = schema['~standard'] as Schema['~standard'] & { readonly jsonSchema?: Converter };
  if (jsonSchema === undefined) return false;
  try {
    return shapeOf(jsonSchema.input(OPTIONS)) === shapeOf(jsonSchema.output(OPTIONS));
  } catch {
    // Something in it has no JSON schema, a transformation for one.
    return false;
  }
}

interface Converter {
  readonly input: (options: typeof OPTIONS) => object;
  readonly output: (options: typeof OPTIONS) => object;
}

const OPTIONS = { target: 'draft-2020-12' } as const;

/** Without what defaults and unknown fields make different. */
function shapeOf(schema: object): string {
  return JSON.stringify(schema, (name, value: unknown) => (name === 'required' || name === 'additionalProperties' ? undefined : value));
}
