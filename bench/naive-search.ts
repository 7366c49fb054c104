/** The search that one writes in an evening: states are JSON texts in a Map. The control of `bench/testing.ts`. */
import type { Net, Transition } from 'drover/testing';

export function naiveSearch(net: Net, nowMs: () => number): { readonly states: number; readonly ms: number } {
  const beganMs = nowMs();
  const start = JSON.stringify(net.places.map(({ initial }) => initial));
  const seen = new Map<string, readonly string[]>([[start, []]]);
  const open = [start];
  for (const state of open) {
    const marking = JSON.parse(state) as readonly number[];
    const next: string[] = [];
    for (const transition of net.transitions) {
      if (!isEnabled(transition, marking)) continue;
      const after = [...marking];
      for (const { place, count } of transition.takes) after[place]! -= count;
      for (const { place, count } of transition.gives) after[place]! += count;
      const to = JSON.stringify(after);
      next.push(to);
      if (seen.has(to)) continue;
      seen.set(to, []);
      open.push(to);
    }
    seen.set(state, next);
  }
  return { states: seen.size, ms: nowMs() - beganMs };
}

function isEnabled({ takes, reads = [], unless = [] }: Transition, marking: readonly number[]): boolean {
  return (
    [...takes, ...reads].every(({ place, count }) => marking[place]! >= count) &&
    unless.every(({ place, count }) => marking[place]! < count)
  );
}
