/**
 * Never admitted: a request for more than there can ever be for the one who makes it. A process that
 * rests where it makes such a request waits for nothing, so no search for stuck states finds it; and
 * where it could do something else instead, its data may not let it.
 */
import type { Net, Transition } from './net.ts';
import type { Finding } from './recurring.ts';
import { traceTo } from './search.ts';
import type { StateGraph } from './search.ts';
import type { Wait } from './waits.ts';

export interface NeverAdmitted {
  readonly victim: string;
  readonly finding: Finding;
  readonly wait: Wait;
}

/** The nearest state in which somebody may make such a request. */
export function neverAdmitted(net: Net, graph: StateGraph): NeverAdmitted | undefined {
  const { bytes, stride } = graph.store;
  let nearest: NeverAdmitted | undefined;
  for (const transition of net.transitions) {
    const { mover, actor } = transition;
    const lacks = tooMuch(net, transition);
    if (lacks === undefined || mover === undefined) continue;
    for (let state = 0; state < (nearest?.finding.state ?? graph.states); state += 1) {
      if (bytes[state * stride + mover] === 0) continue;
      const finding = { state, states: 1, trace: traceTo(graph, state), cycle: [] };
      nearest = { victim: actor, finding, wait: { from: mover, lacks, on: [], because: 'holds' } };
    }
  }
  return nearest;
}

/** What it asks for, in words, when that and what it holds are more than there is. */
function tooMuch({ places }: Net, { takes, reads = [], mover, class: moveClass }: Transition): string | undefined {
  if (moveClass === 'fault' || mover === undefined) return undefined;
  const { about: who } = places[mover]!;
  for (const { place, count } of [...takes, ...reads]) {
    const { about, name } = places[place]!;
    if (about.at !== 'resource' || who.at !== 'process') continue;
    const holds = who.held[about.resource] ?? 0;
    if (count + holds <= about.capacity) continue;
    const more = holds === 0 ? `${count} of ${name}` : `${count} more of ${name}`;
    return `${more}, of which there are ${about.capacity}`;
  }
  return undefined;
}
