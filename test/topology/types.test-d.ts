/**
 * Types: what the author of a topology is told while typing. `npm run check:types` is what runs this
 * file: each line below a `@ts-expect-error` has to be wrong, and each `expectTypeOf` has to hold.
 */
import { expectTypeOf } from 'vitest';
import { assign, setup } from 'xstate';
import { agent, contract, defineFleet, dependency, operation, operations, startFleet } from 'drover';
import type {
  Agent,
  Context,
  Contract,
  Dependency,
  Fleet,
  InputOf,
  OperationLogic,
  OutputOf,
  ReplyOf,
  RequestOf,
  Schema,
  TaskHandle,
} from 'drover';
import { z } from 'zod';

// ── Agents that stand in the topology itself ───────────────────────────────────────────────────

const inlineNote = contract({ input: z.object({ a: z.string() }), output: z.number() });
const inlineAsker = agent({ asks: { note: inlineNote }, run: async (_input: null, ctx) => ctx.ask('note', { a: 'x' }) });
export const inlineMisfit = () =>
  // @ts-expect-error the contract says that it takes something else
  defineFleet({ name: 'a', agents: { inlineAsker, note: agent({ run: async (x: number) => x }) } });
const inlineFleet = await startFleet(defineFleet({ name: 'a', agents: { inline: agent({ run: async ({ a }: { a: string }) => a }) } }));
void inlineFleet.submit('inline', { a: 'x' });
// @ts-expect-error the input of an agent that stands in the topology itself
void inlineFleet.submit('inline', { a: 1 });

// ── Dependencies ───────────────────────────────────────────────────────────────────────────────

const model = dependency({
  perform: async (request: { prompt: string; maxTokens?: number }) => ({ text: request.prompt, tokens: 5 }),
  estimate: (request) => {
    expectTypeOf(request).toEqualTypeOf<{ prompt: string; maxTokens?: number }>();
    return request.maxTokens ?? 0;
  },
  usage: (reply, request) => {
    expectTypeOf(reply).toEqualTypeOf<{ text: string; tokens: number }>();
    expectTypeOf(request.prompt).toBeString();
    return { inputTokens: reply.tokens, outputTokens: 0 };
  },
});
expectTypeOf(model).toEqualTypeOf<Dependency<{ prompt: string; maxTokens?: number }, { text: string; tokens: number }>>();
expectTypeOf<RequestOf<typeof model>>().toEqualTypeOf<{ prompt: string; maxTokens?: number }>();
expectTypeOf<ReplyOf<typeof model>>().toEqualTypeOf<{ text: string; tokens: number }>();

const crm = dependency({
  perform: async (id: number, { signal, idempotencyKey, attempt }) => {
    expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
    expectTypeOf(idempotencyKey).toBeString();
    expectTypeOf(attempt).toBeNumber();
    return { id, name: 'x' };
  },
});

// @ts-expect-error -- perform is needed
dependency({});
// @ts-expect-error -- limits have names
dependency({ perform: async (id: number) => id, limits: { rpm: 5 } });
// @ts-expect-error -- perform promises its reply
dependency({ perform: (id: number) => id });

// ── Without schemas ────────────────────────────────────────────────────────────────────────────

const plain = agent({ run: async (input: { a: number }) => ({ b: String(input.a) }) });
expectTypeOf(plain).toEqualTypeOf<Agent<{ a: number }, { b: string }>>();
expectTypeOf<InputOf<typeof plain>>().toEqualTypeOf<{ a: number }>();
expectTypeOf<OutputOf<typeof plain>>().toEqualTypeOf<{ b: string }>();

const silent = agent({ async run() {} });
expectTypeOf<InputOf<typeof silent>>().toBeUnknown();
expectTypeOf<OutputOf<typeof silent>>().toBeVoid();

// ── With zod ───────────────────────────────────────────────────────────────────────────────────

const parsing = agent({
  input: z.object({ text: z.string(), times: z.coerce.number().default(2), when: z.iso.date().transform((text) => new Date(text)) }),
  output: z.object({ label: z.enum(['spam', 'ham']) }).transform(({ label }) => ({ label, isSpam: label === 'spam' })),
  async run(input, ctx) {
    // What the run gets has been parsed.
    expectTypeOf(input).toEqualTypeOf<{ text: string; times: number; when: Date }>();
    expectTypeOf(ctx.task).toEqualTypeOf<{
      readonly id: string;
      readonly kind: string;
      readonly attempt: number;
      readonly fence: number;
      readonly lockFence: number;
    }>();
    // A literal stays a literal.
    return { label: 'spam' };
  },
});
expectTypeOf<InputOf<typeof parsing>['text']>().toBeString();
expectTypeOf<InputOf<typeof parsing>['when']>().toBeString();
expectTypeOf<OutputOf<typeof parsing>>().toEqualTypeOf<{ label: 'spam' | 'ham'; isSpam: boolean }>();

// @ts-expect-error -- a number is no text
agent({ output: z.string(), run: async () => 5 });
// @ts-expect-error -- a field is missing
agent({ output: z.object({ a: z.number(), b: z.number() }), run: async () => ({ a: 1 }) });
agent({
  output: z.object({ a: z.number(), b: z.array(z.object({ c: z.string() })) }),
  // @ts-expect-error -- a field deep inside is wrong
  run: async (input: string, ctx) => ({ a: ctx.task.attempt, b: [{ c: input.length }] }),
});
// @ts-expect-error -- nothing is no text
agent({ output: z.string(), async run() {} });
// Not told while typing, only when it runs: a schema of two labels also fits a run that returns any text.
agent({ output: z.object({ label: z.enum(['spam', 'ham']) }), run: async () => ({ label: 'eggs' }) });
// Everything that a schema may take can be returned as one writes it.
agent({
  output: z.object({
    tags: z.array(z.string()),
    pair: z.tuple([z.string(), z.number()]),
    when: z.date(),
    one: z.discriminatedUnion('k', [z.object({ k: z.literal('a'), x: z.number() }), z.object({ k: z.literal('b'), y: z.string() })]),
    maybe: z.string().optional(),
    none: z.null(),
    sum: z.record(z.string(), z.number()),
    any: z.any(),
    unknown: z.unknown(),
    json: z.json(),
  }),
  run: async (input: string) => ({
    tags: [input],
    pair: [input, 1] as [string, number],
    when: new Date(0),
    one: { k: 'a' as const, x: 1 },
    none: null,
    sum: { a: 1 },
    any: input,
    unknown: input,
    json: { a: [1, { b: null }] },
  }),
});
agent({ output: z.union([z.string(), z.object({ ok: z.literal(true) })]), run: async (input: number) => (input > 1 ? 'x' : { ok: true }) });
agent({ output: z.string().nullable().optional(), run: async (input: number) => (input > 1 ? null : undefined) });
agent({ output: z.void(), async run() {} });
agent({
  input: z.string(),
  // @ts-expect-error -- a text has no toFixed
  run: async (input) => input.toFixed(),
});
// @ts-expect-error -- run takes what the schema makes
agent({ input: z.string(), run: async (input: number) => input });
// @ts-expect-error -- run is needed
agent({ input: z.string() });
// @ts-expect-error -- no such field
agent({ run: async () => 1, replica: 2 });
// @ts-expect-error -- run promises its result
agent({ run: () => 1 });

// ── Other Standard Schemas ─────────────────────────────────────────────────────────────────────

declare const standard: Schema<{ from: string }, { parsed: number }>;
const standardized = agent({
  input: standard,
  output: standard,
  async run(input) {
    expectTypeOf(input).toEqualTypeOf<{ parsed: number }>();
    return { from: 'here' };
  },
});
expectTypeOf(standardized).toEqualTypeOf<Agent<{ from: string }, { parsed: number }>>();

// ── Contracts ──────────────────────────────────────────────────────────────────────────────────

const summary = contract({ input: z.object({ mailId: z.string() }), output: z.string().transform((text) => text.length) });
expectTypeOf(summary).toEqualTypeOf<Contract<{ mailId: string }, number>>();
const free = contract<number, number, string, string>();
expectTypeOf(free).toEqualTypeOf<Contract<number, string>>();

// ── What a run may do ──────────────────────────────────────────────────────────────────────────

const working = agent({
  uses: { model, crm },
  asks: { parsing, plain, summary, free },
  async run(input: { mailId: string }, ctx) {
    expectTypeOf(ctx.call('model', { prompt: 'x' })).toEqualTypeOf<Promise<{ text: string; tokens: number }>>();
    expectTypeOf(ctx.call('crm', 5, { remember: false })).toEqualTypeOf<Promise<{ id: number; name: string }>>();
    // @ts-expect-error -- nobody is called that
    void ctx.call('modle', { prompt: 'x' });
    // @ts-expect-error -- that is the request of another dependency
    void ctx.call('model', 5);
    // @ts-expect-error -- a request is needed
    void ctx.call('model');
    // @ts-expect-error -- a field of the request is wrong
    void ctx.call('model', { prompt: 5 });
    // @ts-expect-error -- no such field of the request
    void ctx.call('model', { prompt: 'x', temperature: 1 });
    // @ts-expect-error -- an agent is asked, not called
    void ctx.call('plain', { a: 1 });

    expectTypeOf(ctx.ask('parsing', { text: 'x', when: '2026-01-01' })).toEqualTypeOf<
      Promise<{ label: 'spam' | 'ham'; isSpam: boolean }>
    >();
    expectTypeOf(ctx.ask('plain', { a: 1 })).toEqualTypeOf<Promise<{ b: string }>>();
    expectTypeOf(ctx.ask('summary', { mailId: '1' }, { priority: 1 })).toEqualTypeOf<Promise<number>>();
    expectTypeOf(ctx.ask('free', 1)).toEqualTypeOf<Promise<string>>();
    // @ts-expect-error -- nobody is called that
    void ctx.ask('working', input);
    // @ts-expect-error -- a wrong payload
    void ctx.ask('plain', { a: 'one' });
    // @ts-expect-error -- what the run gets is not what one gives
    void ctx.ask('parsing', { text: 'x', when: new Date() });
    // @ts-expect-error -- a dependency is called, not asked
    void ctx.ask('model', { prompt: 'x' });

    expectTypeOf(ctx.send('plain', { a: 1 })).toBeVoid();
    // @ts-expect-error -- a wrong payload
    ctx.send('plain', { a: 'one' });
    // @ts-expect-error -- nobody is called that
    ctx.send('nobody', 1);

    expectTypeOf(ctx.step('s', () => 5)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(ctx.step('s', async ({ idempotencyKey, signal }) => ({ idempotencyKey, signal: signal.aborted }))).toEqualTypeOf<
      Promise<{ idempotencyKey: string; signal: boolean }>
    >();
    // @ts-expect-error -- a step has a name
    void ctx.step(() => 5);
    // @ts-expect-error -- how far is a number
    ctx.progress('half');

    const [reply, child] = await Promise.all([ctx.call('model', { prompt: 'x' }), ctx.ask('plain', { a: 1 })]);
    return `${reply.text}${child.b}`;
  },
});
type Asked = {
  readonly parsing: typeof parsing;
  readonly plain: typeof plain;
  readonly summary: typeof summary;
  readonly free: typeof free;
};
expectTypeOf(working).toEqualTypeOf<Agent<{ mailId: string }, string, Asked>>();

agent({
  async run(_input: number, ctx) {
    expectTypeOf(ctx).toEqualTypeOf<Context<{}, {}, {}>>();
    // @ts-expect-error -- nothing is declared, so nothing can be called
    await ctx.call('model', 1);
    // @ts-expect-error -- nor asked
    await ctx.ask('plain', 1);
  },
});
// @ts-expect-error -- an agent is no dependency
agent({ uses: { plain }, run: async () => 1 });
// @ts-expect-error -- a dependency is no agent
agent({ asks: { model }, run: async () => 1 });

// ── Fleets ─────────────────────────────────────────────────────────────────────────────────────

const topology = defineFleet({ name: 'test', agents: { parsing, plain, silent, working } });
expectTypeOf<keyof typeof topology.agents>().toEqualTypeOf<'parsing' | 'plain' | 'silent' | 'working'>();
// @ts-expect-error -- agents are needed
defineFleet({ name: 'test' });
// @ts-expect-error -- a dependency is no agent
defineFleet({ name: 'test', agents: { model } });
// @ts-expect-error -- a contract does nothing by itself
defineFleet({ name: 'test', agents: { summary } });
// @ts-expect-error -- workers are no instances of a template
defineFleet({ name: 'test', agents: { plain }, supervision: { strategy: 'dynamic' } });

const noteIn = z.object({ text: z.string() });
const noteOut = z.object({ kind: z.enum(['ask', 'fact']), words: z.number() });
const asking = agent({ asks: { note: contract({ input: noteIn, output: noteOut }) }, run: async () => 1 });
defineFleet({
  name: 'test',
  agents: { asking, note: agent({ input: noteIn, output: noteOut, run: async () => ({ kind: 'ask', words: 1 }) }) },
});
// Without a schema of its own an agent gives any text where the contract has two; what does not fit is refused when it runs.
defineFleet({ name: 'test', agents: { asking, note: agent({ input: noteIn, run: async () => ({ kind: 'ask', words: 1 }) }) } });
// More than is asked for is no harm, and neither is what has no type.
defineFleet({ name: 'test', agents: { asking, note: agent({ run: async () => ({ kind: 'ask', words: 1, more: true }) }) } });
defineFleet({ name: 'test', agents: { asking: agent({ asks: { note: contract() }, run: async () => 1 }), note: plain } });
defineFleet({
  name: 'test',
  agents: {
    // @ts-expect-error -- the note needs an author, of which the contract knows nothing
    asking,
    note: agent({ input: noteIn.extend({ author: z.string() }), output: noteOut, run: async () => ({ kind: 'ask', words: 1 }) }),
  },
});
const wordless = agent({ input: noteIn, run: async () => ({ kind: 'ask' }) });
defineFleet({
  name: 'test',
  agents: {
    // @ts-expect-error -- the note has no words
    asking,
    note: wordless,
  },
});

// Also where it is defined in its place.
defineFleet({
  name: 'test',
  agents: {
    // @ts-expect-error -- the note has no words
    asking,
    note: agent({ input: noteIn, run: async () => ({ kind: 'ask' }) }),
  },
});

const nightly = { everyMs: 60_000 };
defineFleet({
  name: 'test',
  agents: { plain, silent },
  schedules: { a: { ...nightly, kind: 'plain', input: { a: 1 } }, b: { ...nightly, kind: 'silent' } },
});
// @ts-expect-error -- nobody is called that
defineFleet({ name: 'test', agents: { plain }, schedules: { a: { ...nightly, kind: 'silent' } } });
// @ts-expect-error -- a wrong payload
defineFleet({ name: 'test', agents: { plain, silent }, schedules: { a: { ...nightly, kind: 'plain', input: { a: 'one' } } } });

/** Never called: only its types count. */
export async function signals(): Promise<void> {
  const paid = z.object({ cents: z.coerce.number<string>() });
  const waiting = agent({ events: { paid }, run: async (_input: null, ctx) => (await ctx.waitFor('paid')).cents });
  const fleet = await startFleet(defineFleet({ name: 'test', agents: { waiting, plain } }));
  const handle = await fleet.submit('waiting', null);
  await handle.signal('paid', { cents: '5' }, { key: 'x' });
  // @ts-expect-error -- what is told, not what the run gets
  await handle.signal('paid', { cents: 5 });
  // @ts-expect-error -- it waits for no such event
  await handle.signal('payed', { cents: '5' });
  // @ts-expect-error -- it waits for nothing
  await (await fleet.submit('plain', { a: 1 })).signal('paid');
  // Where the kind is not known, any event is.
  await (handle as TaskHandle).signal('paid', 5);
  await fleet.schedule('b', { kind: 'plain', input: { a: 1 }, everyMs: 60_000 });
  // @ts-expect-error -- a wrong payload
  await fleet.schedule('b', { kind: 'plain', input: { a: 'one' }, everyMs: 60_000 });
  // @ts-expect-error -- nobody is called that
  await fleet.schedule('b', { kind: 'nobody', everyMs: 60_000 });
}

/** Never called: only its types count. */
export async function submits(): Promise<void> {
  const fleet = await startFleet(topology);
  expectTypeOf(fleet).toEqualTypeOf<Fleet<typeof topology.agents>>();
  const handle = await fleet.submit('parsing', { text: 'x', when: '2026-01-01' }, { id: 'x', priority: 1 });
  expectTypeOf(handle).toEqualTypeOf<TaskHandle<{ label: 'spam' | 'ham'; isSpam: boolean }, {}>>();
  expectTypeOf(handle.result()).toEqualTypeOf<Promise<{ label: 'spam' | 'ham'; isSpam: boolean }>>();
  expectTypeOf((await fleet.submit('plain', { a: 1 })).result()).toEqualTypeOf<Promise<{ b: string }>>();
  expectTypeOf((await fleet.submit('working', { mailId: '1' })).result()).toEqualTypeOf<Promise<string>>();
  const many = await fleet.submitMany('parsing', [{ input: { text: 'x', when: '2026-01-01' }, id: 'x' }]);
  expectTypeOf(many).toEqualTypeOf<TaskHandle<{ label: 'spam' | 'ham'; isSpam: boolean }, {}>[]>();
  // @ts-expect-error -- one of them has a wrong payload
  await fleet.submitMany('plain', [{ input: { a: 1 } }, { input: { a: 'one' } }]);
  // @ts-expect-error -- nobody is called that
  await fleet.submit('nobody', 1);
  // @ts-expect-error -- a wrong payload
  await fleet.submit('plain', { a: 'one' });
  // @ts-expect-error -- a field is missing
  await fleet.submit('parsing', { text: 'x' });
  // @ts-expect-error -- no such field
  await fleet.submit('plain', { a: 1, c: 2 });
  // @ts-expect-error -- a payload is needed
  await fleet.submit('plain');
  // @ts-expect-error -- an id is a text
  await fleet.submit('plain', { a: 1 }, { id: 7 });
  // @ts-expect-error -- no such option
  await fleet.submit('plain', { a: 1 }, { prio: 7 });
  fleet.events.on('task.failed', (event) => {
    expectTypeOf(event.status).toEqualTypeOf<'failed' | 'dead'>();
  });
  // @ts-expect-error -- no such event
  fleet.events.on('task.exploded', () => {});
}

// ── Statecharts ────────────────────────────────────────────────────────────────────────────────

const charted = { uses: { model, crm }, asks: { plain }, events: { paid: z.object({ cents: z.number() }) } };
const summarise = operations(charted)(async (input: { text: string }, ctx) => {
  const { text } = await ctx.call('model', { prompt: input.text });
  expectTypeOf(await ctx.ask('plain', { a: 1 })).toEqualTypeOf<{ b: string }>();
  expectTypeOf(await ctx.waitFor('paid')).toEqualTypeOf<{ cents: number }>();
  // @ts-expect-error -- another request
  void ctx.call('model', { id: 1 });
  // @ts-expect-error -- not declared
  void ctx.call('other', 1);
  return text;
});
expectTypeOf(summarise).toEqualTypeOf<OperationLogic<{ text: string }, string>>();
// Without a declaration any name will do.
expectTypeOf(operation(async (input: number, ctx) => [input, (await ctx.call('anything', 1)) as string])).toEqualTypeOf<
  OperationLogic<number, (string | number)[]>
>();

const chart = setup({
  types: { input: {} as { mailId: string }, context: {} as { text: string }, output: {} as { label: string } },
  actors: { summarise },
}).createMachine({
  context: ({ input }) => ({ text: input.mailId }),
  initial: 'on',
  states: {
    on: {
      invoke: {
        src: 'summarise',
        input: ({ context }) => ({ text: context.text }),
        onDone: {
          target: 'off',
          actions: assign(({ event }) => {
            expectTypeOf(event.output).toBeString();
            return { text: event.output };
          }),
        },
      },
    },
    off: { type: 'final' },
  },
  output: ({ context }) => ({ label: context.text }),
});
expectTypeOf(agent({ ...charted, machine: chart })).toEqualTypeOf<
  Agent<{ mailId: string }, { label: string }, (typeof charted)['asks'], (typeof charted)['events']>
>();
// With schemas the task's input is what the schema takes, and the machine gets what it makes of it.
const schemed = agent({
  input: z.object({ mailId: z.coerce.string() }),
  output: z.object({ label: z.string() }).transform(({ label }) => label.length),
  tenant: ({ mailId }) => mailId,
  machine: chart,
});
expectTypeOf<OutputOf<typeof schemed>>().toBeNumber();
// @ts-expect-error -- one of the two
agent({ machine: chart, run: async () => 1 });
// @ts-expect-error -- the machine takes a mailId
agent({ input: z.object({ other: z.string() }), machine: chart });
// @ts-expect-error -- the machine brings a label
agent({ output: z.object({ other: z.string() }), machine: chart });
// @ts-expect-error -- a machine runs on the fleet's own event loop
agent({ machine: chart, isolation: 'thread' });
// @ts-expect-error -- what the operation is given
setup({ actors: { summarise } }).createMachine({ invoke: { src: 'summarise', input: { text: 5 } } });
