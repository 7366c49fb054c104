/** Check report: a verdict in words. Pure. */
import type { DeadlockVerdict, SampledSummary } from '../testing/check-deadlock-free.ts';
import type { Bounds, TopologyVerdict } from '../testing/explore/index.ts';
import { testExitCode } from './exit-codes.ts';
import type { TestExit } from './exit-codes.ts';
import { count, plural, printable, short } from './text.ts';

type Violated = Extract<DeadlockVerdict, { readonly at: 'violated' }>;

/** A search that hit a bound says nothing by itself: the runs have to say something. */
export function checkExit({ at, sampled }: DeadlockVerdict): TestExit {
  switch (at) {
    case 'proved':
      return 'clean';
    case 'violated':
      return 'violated';
    case 'no-counterexample':
      return (sampled?.runs ?? 0) > 0 ? 'clean' : 'inconclusive';
  }
}

/** The verdict as one object, with how the command ends. */
export function checkJson(fleet: string, verdict: DeadlockVerdict, exit: TestExit, replay: string): object {
  const { lint, ...rest } = verdict;
  return { fleet, lint, verdict: rest, ...(verdict.at === 'violated' ? { replay } : {}), exit, exitCode: testExitCode(exit) };
}

/** The verdict as people read it. */
export function checkText(fleet: string, verdict: DeadlockVerdict, replay: string): string {
  const { search, sampled } = verdict;
  const lint = verdict.lint.map(({ severity, says }) => `  ${severity}: ${says}`);
  const lines = [
    `${fleet}: ${headline(verdict)}`,
    ...section('lint', lint),
    ...section('searched', [...tellBounds(search.bounds), `  ${tellEffort(search)}`]),
    ...section('sampled', sampled === undefined ? [] : [`  ${tellSampled(sampled)}`]),
    ...(verdict.at === 'violated' ? tellViolation(verdict, replay) : []),
  ];
  return `${lines.join('\n')}\n`;
}

function headline(verdict: DeadlockVerdict): string {
  switch (verdict.at) {
    case 'proved':
      return `proved: no order of what the agents declare gets it stuck, within these bounds${rankedWords(verdict.search)}`;
    case 'violated':
      return `violated: ${kindWords(verdict)}`;
    case 'no-counterexample': {
      const { search } = verdict;
      const why = search.at === 'not-finished' ? search.why : 'states';
      const hit = `the bound on ${why} was hit before every state was searched; raise ${why === 'states' ? '--max-states' : '--time-ms'}`;
      return `${checkExit(verdict) === 'clean' ? 'no counterexample' : 'nothing can be concluded'}: ${hit}`;
    }
  }
}

function tellSampled({ runs, deliveries, virtualMs, missedAtMost }: SampledSummary): string {
  const hours = (virtualMs / 3_600_000).toFixed(2);
  const missed =
    missedAtMost >= 0.995 ? '' : `; a fault of two orderings is missed with a chance of at most ${missedAtMost.toPrecision(2)}`;
  return `${plural(runs, 'run')} of the real machines, ${count(deliveries)} deliveries, ${hours} fleet-hours${missed}`;
}

function rankedWords({ ranked }: TopologyVerdict): string {
  return ranked.at === 'circular'
    ? ''
    : '; what is held while something else is waited for has an order, so more workers and tasks change nothing';
}

function kindWords({ kind, search }: Violated): string {
  const victim = search.at === 'violated' ? search.victim : undefined;
  const who = victim === undefined ? '' : ` (${victim})`;
  switch (kind) {
    case 'lint':
      return 'something that is declared can never come about';
    case 'invariant':
      return 'the real machines broke a promise of the runtime';
    case 'deadlock':
      return 'deadlock, nobody can move any more';
    case 'doomed':
      return `doomed, it moves and can never come to rest again${who}`;
    case 'livelock':
      return 'livelock, everybody moves and nobody gets anywhere';
    case 'starvation':
      return `starvation${who}: others go on for ever, and this one never does`;
  }
}

function tellBounds(bounds: Bounds): readonly string[] {
  const width = Math.max(...Object.keys(bounds).map((name) => name.length));
  return Object.entries(bounds).map(([name, { searched, declared }]) => {
    const all = declared === searched ? '' : ` (declared: ${declared === 'unbounded' ? 'unbounded' : count(declared)})`;
    return `  ${name.padEnd(width)}  ${count(searched)}${all}`;
  });
}

function tellEffort({ states, transitions, ms, finished }: TopologyVerdict): string {
  const speed = ms > 0 ? `, ${short((states * 1_000) / ms)} states a second` : '';
  const before = finished.length > 1 ? `, the last of ${finished.length} searches` : '';
  return `${plural(states, 'state')}, ${plural(transitions, 'move')}${speed}${before}`;
}

function tellViolation({ kind, cycle, holdings, trace, mermaid, search }: Violated, replay: string): readonly string[] {
  const { waits, repeats, noReturnAfter, shrunk } =
    search.at === 'violated' ? search : { waits: [], repeats: [], noReturnAfter: undefined, shrunk: [] };
  const bulleted = (texts: readonly string[]): readonly string[] => texts.map((text) => `  ${printable(text)}`);
  const steps = trace.map((says, at) => {
    const lost = at + 1 === noReturnAfter && at + 1 < trace.length ? '   <- from here on there is no way back' : '';
    return `  ${String(at + 1).padStart(2)}. ${printable(says)}${lost}`;
  });
  return [
    ...section(kind === 'lint' ? 'what is wrong' : 'who waits in a circle', bulleted(cycle)),
    ...section('who waits', cycle.length > 0 ? [] : bulleted(waits)),
    ...section('who holds what', bulleted(holdings)),
    ...section('the shortest way there', steps),
    ...section('and then, again and again', bulleted(repeats)),
    ...section('made smaller', bulleted(shrunk)),
    ...section('picture (mermaid)', mermaid === undefined ? [] : mermaid.split('\n').map((line) => `  ${line}`)),
    ...section('replay', [`  ${replay}`]),
  ];
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', `${title}:`, ...lines];
}
