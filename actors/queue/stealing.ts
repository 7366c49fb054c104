/**
 * Stealing: a worker that is idle and has nothing takes from a peer whose mailbox is deeper than the
 * threshold, and only from behind it: the older half of that excess, rounded up. Which peer is drawn, each of the deep
 * ones as likely as any other, so that nobody is robbed for ever. The lease, the fence and the id of a
 * stolen task stay as they are.
 *
 * When no mailbox is deep but a peer at the threshold has a box that holds something, that is what lies
 * behind its threshold: the thief claims half of it.
 *
 * @see Blumofe and Leiserson, "Scheduling multithreaded computations by work stealing", JACM 46(5), 1999
 */
import { claimBox, isFetched } from './claiming.ts';
import type { Mailboxes } from './messages.ts';
import { draw, expectedBy } from './state.ts';
import type { Slot, Turn } from './state.ts';

/** Every idle worker steals. @param startNext starts the first task of a mailbox. */
export function stealForIdle(turn: Turn, startNext: (turn: Turn, at: number) => boolean): void {
  const { slots, input } = turn.state;
  const isDeep = ({ mailbox }: Slot): boolean => mailbox.length > input.stealAbove;
  const deep: number[] = [];
  for (let at = 0; at < slots.length; at += 1) if (isDeep(slots[at]!)) deep.push(at);
  for (let thief = 0; thief < slots.length; thief += 1) {
    const { run, leaving, worker } = slots[thief]!;
    if (run !== null || leaving || expectedBy(turn.state, worker) > 0) continue;
    if (deep.length === 0) {
      if (!stealFromBox(turn, thief)) return;
      continue;
    }
    const drawn = deep.length === 1 ? 0 : draw(turn, deep.length);
    const victim = deep[drawn]!;
    steal(turn, thief, victim);
    if (!isDeep(slots[victim]!)) deep.splice(drawn, 1);
    startNext(turn, thief);
    // A thief of much may be robbed by the next one.
    if (isDeep(slots[thief]!)) deep.push(thief);
  }
}

function steal({ state, effects }: Turn, thief: number, at: number): void {
  const { stealAbove, capacity } = state.input;
  const victim = state.slots[at]!;
  const count = Math.min(Math.ceil((victim.mailbox.length - stealAbove) / 2), capacity + 1);
  state.slots[thief] = { ...state.slots[thief]!, mailbox: victim.mailbox.slice(stealAbove, stealAbove + count) };
  state.slots[at] = { ...victim, mailbox: victim.mailbox.toSpliced(stealAbove, count) };
  effects.push({ type: 'queue.stole', thief: state.slots[thief].worker, victim: victim.worker, count });
}

/** False when there is no such box, for this thief or the next. */
function stealFromBox(turn: Turn, thief: number): boolean {
  const { slots, input } = turn.state;
  const victims = slots.filter((slot) => excess(slot, input) > 0 && !isFetched(turn, slot));
  const victim = victims[victims.length < 2 ? 0 : draw(turn, victims.length)];
  if (victim === undefined) return false;
  claimBox(turn, victim, slots[thief]!.worker, Math.min(Math.ceil(excess(victim, input) / 2), input.capacity));
  return true;
}

/** How much of its box lies behind the threshold. Where that is deeper than a mailbox may be, it reaches into the box. */
function excess({ spilled, mailbox }: Slot, { stealAbove, capacity }: Mailboxes): number {
  if (mailbox.length < Math.min(stealAbove, capacity)) return 0;
  return spilled - Math.max(0, stealAbove - mailbox.length);
}
