/**
 * testing: how fast the testing kit searches and simulates. The control is the search that one writes
 * in an evening: a Map by JSON text, over the same nets.
 */
import { defineFleet, dependency } from 'drover';
import { checkSkeleton, checkTopology, compileSkeleton, explore, netSpace } from 'drover/testing';
import { inboxAgents } from '../examples/inbox/agents.ts';
import { anyOrder } from '../examples/philosophers/any-order.ts';
import { search } from '../src/testing/explore/search.ts';
import { simulateFleetHour } from '../test/simulation/fleet.ts';
import { naiveSearch } from './naive-search.ts';
import { atLeast, atMost, ratio, report, row } from './report.ts';
import type { Report } from './report.ts';

const ROUNDS = 5;
const HOURS = 3;
const nowMs = (): number => performance.now();

export async function testing(say: (text: string) => void): Promise<Report> {
  const rates = { polite: [] as number[], ordered: [] as number[], naive: [] as number[] };
  const five: number[] = [];
  const whole: number[] = [];
  const inbox: number[] = [];
  const hours: number[] = [];
  const model = dependency({ limits: { concurrency: 16 }, perform: async () => null });
  const topology = defineFleet({ name: 'inbox', agents: inboxAgents(model as never, 80) });
  const polite = netSpace(compileSkeleton(anyOrder(10, 'polite')));
  const ordered = netSpace(compileSkeleton(anyOrder(16, 'ordered')));
  for (let round = 0; round <= ROUNDS; round += 1) {
    say(`round ${round} of ${ROUNDS}${round === 0 ? ' (warm-up, not counted)' : ''}`);
    const measured = {
      polite: perSecond(search(polite, { nowMs })),
      ordered: perSecond(search(ordered, { nowMs })),
      naive: perSecond(naiveSearch(compileSkeleton(anyOrder(8, 'polite')), nowMs)),
      five: timed(() => explore(netSpace(compileSkeleton(anyOrder(5, 'greedy'))))),
      whole: timed(() => checkSkeleton(anyOrder(10, 'polite'))),
      inbox: timed(() => checkTopology(topology)),
    };
    if (round === 0) continue;
    rates.polite.push(measured.polite);
    rates.ordered.push(measured.ordered);
    rates.naive.push(measured.naive);
    five.push(measured.five);
    whole.push(measured.whole);
    inbox.push(measured.inbox);
  }
  for (let seed = 1; seed <= HOURS + 1; seed += 1) {
    say(`fleet-hour ${seed - 1} of ${HOURS}${seed === 1 ? ' (warm-up, not counted)' : ''}`);
    const beganMs = nowMs();
    const { virtualMs } = await simulateFleetHour(seed);
    if (seed > 1) hours.push(virtualMs / 3_600 / (nowMs() - beganMs));
  }
  return report(
    'testing',
    [
      row('search: 10 polite philosophers, any order', rates.polite, 'states/s'),
      row('search: 16 ordered philosophers', rates.ordered, 'states/s'),
      row('search, control: a Map by JSON text', rates.naive, 'states/s'),
      row('five philosophers, everything', five, 'ms'),
      row('10 polite philosophers, whole check', whole, 'ms'),
      row('the inbox example, every size of its ladder', inbox, 'ms'),
      row('simulation: 20 agents, calls of 3 s', hours, 'fleet-hours/s'),
    ],
    [
      atLeast('states a second, 10 polite philosophers', median(rates.polite), 300_000),
      atMost('five philosophers, ms', median(five), 1_000),
      atLeast('search / control', ratio(rates.polite, rates.naive), 3),
    ],
  );
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

function perSecond({ states, ms }: { readonly states: number; readonly ms: number }): number {
  return (states * 1_000) / ms;
}

function timed(act: () => unknown): number {
  const beganMs = nowMs();
  act();
  return nowMs() - beganMs;
}
