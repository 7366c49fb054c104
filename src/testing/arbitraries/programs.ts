/**
 * Programs: what the runs of a drawn topology do. The input of a task is its program, so what a run does
 * follows from its input alone, and a workload is drawn by drawing programs.
 *
 * A sketch is a program that does not know its topology yet: it names dependencies and kinds by numbers,
 * each taken modulo what there is. So topology and work are drawn, and shrink, side by side.
 */
import * as fc from 'fast-check';
import type { Context } from '../../topology/context.ts';
import type { Topology } from '../../topology/fleet.ts';
import { record } from './record.ts';

export type Operation =
  | { readonly at: 'call'; readonly dependency: string; readonly request: number }
  | { readonly at: 'step'; readonly name: string }
  | { readonly at: 'ask' | 'send'; readonly kind: string; readonly program: Program }
  /** All at once. */
  | { readonly at: 'both'; readonly operations: readonly Operation[] };

export interface Program {
  readonly operations: readonly Operation[];
  /** Throws before its end in its first so many attempts. */
  readonly rejects?: number;
}

export type SketchedOperation =
  | { readonly at: 'call' | 'step'; readonly which: number }
  | { readonly at: 'ask' | 'send'; readonly which: number; readonly program: Sketch }
  | { readonly at: 'both'; readonly operations: readonly SketchedOperation[] };

export interface Sketch {
  readonly operations: readonly SketchedOperation[];
  readonly rejects: number;
}

export interface SketchOptions {
  /** Operations of a program. */
  readonly maxOperations: number;
  /** Asks inside asks. */
  readonly maxDepth: number;
  /** Attempts that are rejected. */
  readonly maxRejects: number;
}

const MOST_WHICH = 7;
const MOST_AT_ONCE = 3;

export function sketches({ maxOperations, maxDepth, maxRejects }: SketchOptions): fc.Arbitrary<Sketch> {
  const which = fc.nat({ max: MOST_WHICH });
  const rejects = fc.nat({ max: maxRejects });
  const simple: fc.Arbitrary<SketchedOperation> = record({ at: fc.constantFrom('call', 'step'), which });
  let sketch: fc.Arbitrary<Sketch> = record({ operations: fc.array(simple, { maxLength: maxOperations }), rejects });
  for (let depth = 0; depth < maxDepth; depth += 1) {
    const child: fc.Arbitrary<SketchedOperation> = record({ at: fc.constantFrom('ask', 'send'), which, program: sketch });
    const single = fc.oneof({ weight: 3, arbitrary: simple }, { weight: 2, arbitrary: child });
    const both: fc.Arbitrary<SketchedOperation> = record({
      at: fc.constant('both'),
      operations: fc.array(single, { maxLength: MOST_AT_ONCE }),
    });
    const operation = fc.oneof({ weight: 6, arbitrary: single }, { weight: 1, arbitrary: both });
    sketch = record({ operations: fc.array(operation, { maxLength: maxOperations }), rejects });
  }
  return sketch;
}

/** The program that a sketch is in a topology. What a kind has nobody for is left out. */
export function programOf(sketch: Sketch, topology: Topology, kind: string): Program {
  let steps = 0;
  const { uses, asks } = topology.kinds[kind]!;
  const dependencies = Object.keys(uses);
  const place = (operation: SketchedOperation): readonly Operation[] => {
    switch (operation.at) {
      case 'step':
        return [{ at: 'step', name: `s${(steps += 1)}` }];
      case 'call': {
        const dependency = pick(dependencies, operation.which);
        return dependency === undefined ? [] : [{ at: 'call', dependency, request: operation.which }];
      }
      case 'both':
        return [{ at: 'both', operations: operation.operations.flatMap((inner) => place(inner)) }];
      case 'ask':
      case 'send': {
        const child = pick(asks, operation.which);
        return child === undefined ? [] : [{ at: operation.at, kind: child, program: programOf(operation.program, topology, child) }];
      }
    }
  };
  const operations = sketch.operations.flatMap((operation) => place(operation));
  return sketch.rejects === 0 ? { operations } : { operations, rejects: sketch.rejects };
}

/** The `run` of every kind of a drawn topology. */
export async function execute(program: Program, ctx: Context): Promise<number> {
  let done = 0;
  for (const operation of program.operations) done += await perform(operation, ctx);
  if (ctx.task.attempt <= (program.rejects ?? 0)) throw new Error(`rejected at attempt ${ctx.task.attempt}`);
  return done;
}

/** How many operations it was. */
async function perform(operation: Operation, ctx: Context): Promise<number> {
  switch (operation.at) {
    case 'call':
      await ctx.call(operation.dependency, operation.request);
      return 1;
    case 'step':
      return ctx.step(operation.name, () => 1);
    case 'ask':
      return (1 + (await ctx.ask(operation.kind, operation.program))) as number;
    case 'send':
      ctx.send(operation.kind, operation.program);
      return 1;
    case 'both':
      return (await Promise.all(operation.operations.map((inner) => perform(inner, ctx)))).reduce((sum, count) => sum + count, 0);
  }
}

function pick(names: readonly string[], which: number): string | undefined {
  return names.length === 0 ? undefined : names[which % names.length];
}
