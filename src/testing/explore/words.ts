/** Words: a stuck state, the way there and the circle of waits, as sentences and as a picture. */
import { listNeeds } from './locals.ts';
import type { Net } from './net.ts';
import type { Wait } from './waits.ts';

/** Who is where, and how many of them: `philosopher 2 (hungry)`, `3 of worker (runs)`. */
export function tellProcess(net: Net, marking: Uint8Array, place: number): string {
  const { about } = net.places[place]!;
  if (about.at !== 'process') return net.places[place]!.name;
  const count = marking[place]!;
  return `${count > 1 ? `${count} of ` : ''}${about.process} (${about.state})`;
}

/** What everybody holds, one sentence a process; those that hold nothing are left out. */
export function tellHoldings(net: Net, marking: Uint8Array): readonly string[] {
  const holders = net.places.flatMap(({ about }, place) => {
    if (about.at !== 'process' || marking[place] === 0 || Object.keys(about.held).length === 0) return [];
    const who = tellProcess(net, marking, place);
    return [`${who} ${marking[place]! > 1 ? 'hold each' : 'holds'} ${listNeeds(about.held)}`];
  });
  const full = net.places.flatMap(({ about }, place) =>
    about.at === 'room' && marking[place]! < about.capacity
      ? [`${about.mailbox} holds ${about.capacity - marking[place]!} of at most ${about.capacity} messages`]
      : [],
  );
  return [...holders, ...full];
}

/** One sentence a wait: `philosopher 1 (hungry) waits for fork 2, held by philosopher 2 (hungry)`. */
export function tellWait(net: Net, marking: Uint8Array, { from, lacks, on, because }: Wait): string {
  const who = tellProcess(net, marking, from);
  const others = on.map((place) => tellProcess(net, marking, place));
  return `${who} ${marking[from]! > 1 ? 'wait' : 'waits'} for ${lacks}${tellOthers(others, because)}`;
}

function tellOthers(others: readonly string[], because: Wait['because']): string {
  if (others.length === 0) return because === 'holds' ? '' : ', which nobody brings';
  const list = others.length === 1 ? others[0]! : `${others.slice(0, -1).join(', ')} and ${others.at(-1)}`;
  switch (because) {
    case 'holds':
      return `, held by ${list}`;
    case 'brings':
      return `, which ${list} would have to bring`;
    case 'empties':
      return `, which ${list} would have to make`;
    case 'is there':
      return '';
  }
}

/** The circle, one sentence a link: `fork 1: held by philosopher 2 (hungry), who waits for fork 2`. */
export function tellCircle(net: Net, marking: Uint8Array, circle: readonly Wait[]): readonly string[] {
  const verbs = { holds: 'held by', brings: 'up to', empties: 'up to', 'is there': 'up to' } as const;
  return circle.map(({ lacks, because }, at) => {
    const next = circle[(at + 1) % circle.length]!;
    return `${lacks}: ${verbs[because]} ${tellProcess(net, marking, next.from)}, who ${marking[next.from]! > 1 ? 'wait' : 'waits'} for ${next.lacks}`;
  });
}

/** The wait-for graph as a mermaid flowchart; waits of the circle are thick. */
export function drawWaits(net: Net, marking: Uint8Array, waits: readonly Wait[], circle: readonly Wait[]): string {
  const shown = [...new Set(waits.flatMap(({ from, on }) => [from, ...on]))].toSorted((a, b) => a - b);
  const label = (text: string) => `"${text.replaceAll('"', '#quot;')}"`;
  const edges = waits.flatMap(({ from, lacks, on }) => {
    const arrow = (place: number) =>
      circle.some((wait) => wait.from === from && wait.lacks === lacks && circle.some((one) => one.from === place)) ? '==>' : '-->';
    return on.length === 0
      ? [`  p${from} -->|${label(lacks)}| nobody((nobody))`]
      : on.map((place) => `  p${from} ${arrow(place)}|${label(lacks)}| p${place}`);
  });
  return ['flowchart LR', ...shown.map((place) => `  p${place}[${label(tellProcess(net, marking, place))}]`), ...new Set(edges)].join('\n');
}
