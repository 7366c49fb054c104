/** Lines to test with: newcomers that need only say what matters. */
import { headGone, headOf, joined } from '../../../actors/admission/wait-line.ts';
import type { Newcomer, Waiter, WaitLine } from '../../../actors/admission/wait-line.ts';

let lastTicket = 1_000_000_000;

/** `tokens` of input, of the one tenant '', of ordinary priority, unless said otherwise. */
export function join(
  line: WaitLine,
  flow: string,
  { tokens = 1, ...said }: Partial<Newcomer> & { readonly tokens?: number } = {},
): WaitLine {
  const ticket = said.ticket ?? (lastTicket += 1);
  return joined(line, {
    ticket,
    tenant: '',
    flow,
    priority: 0,
    input: tokens,
    output: 0,
    slots: 1,
    replyTo: ticket,
    sinceMs: 0,
    deadlineMs: Infinity,
    whenOpen: 'wait',
    ...said,
  });
}

/** Lets `count` go, each for a turn of `cost` or of its tokens. */
export function go(
  line: WaitLine,
  count: number,
  cost?: number,
): { readonly line: WaitLine; readonly gone: readonly Waiter[]; readonly flows: readonly string[] } {
  const gone: Waiter[] = [];
  let rest = line;
  for (let turn = 0; turn < count; turn += 1) {
    const head = headOf(rest)!;
    gone.push(head);
    rest = headGone(rest, cost ?? head.input + head.output);
  }
  return { line: rest, gone, flows: gone.map((waiter) => waiter.flow) };
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}
