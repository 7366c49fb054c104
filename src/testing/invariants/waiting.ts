/** Invariants of waiting: an event is taken once, and no sleep ends early. */
import type { Checker, Invariant } from './invariant.ts';
import { markIn } from './marks.ts';

/**
 * `wait:paid#2` waits for `paid`, `approval:refund` for the decision of that name,
 * `approval@2:refund` for that of `refund@2`; `wait:paid#1/order#2` is of an operation of a statechart.
 */
const EVENT_OF = /^(?:wait(?:@[^:]*)?:(?<event>.*?)(?:#\d+|\[.*?\])(?:\/.*)?|(?<approval>approval(?:@[^:]*)?:.*))$/s;

/** Forgets what is known of a task when the store does: what has ended otherwise is kept until its retention is over, and may be put back. */
function onForgotten(forget: (id: string) => void): Checker {
  return {
    'store.settled': ({ settlement: { id, outcome: asked }, outcome: { status } }) => {
      if (status === 'completed' || asked.at === 'undone') forget(id);
    },
    'store.forgot': ({ id }) => forget(id),
  };
}

export const EVENTS: Invariant = {
  name: 'events',
  promise: 'an event that a task was told of is taken by one wait at most, and a wait takes nothing else',
  check(_topology, broken) {
    /** By task and event: what it was told, in order, and which of it was taken where. */
    const tasks = new Map<string, Map<string, { readonly told: string[]; readonly taken: Map<string, string> }>>();
    const of = (id: string, event: string) => {
      let events = tasks.get(id);
      if (events === undefined) tasks.set(id, (events = new Map()));
      let its = events.get(event);
      if (its === undefined) events.set(event, (its = { told: [], taken: new Map() }));
      return its;
    };
    return {
      ...onForgotten((id) => void tasks.delete(id)),
      'store.told': ({ signal: { id, name, value } }) => void of(id, name).told.push(value),
      'store.remembered': ({ item: { id, place, value, failed } }) => {
        const groups = EVENT_OF.exec(place)?.groups;
        if (groups === undefined || failed === true || !value.startsWith('{')) return;
        const its = of(id, groups['event'] ?? groups['approval']!.replace(/^approval(@[^:]*):(.*)$/s, 'approval:$2$1'));
        const { n, value: took } = JSON.parse(value) as { readonly n: number; readonly value: string };
        // A version that begins anew takes them anew.
        const event = `${n} ${markIn(place)}`;
        const before = its.taken.get(event);
        if (before !== undefined && before !== place) broken(`${id} took event ${n} at ${place}, which ${before} had taken`);
        its.taken.set(event, place);
        if (its.told[n] !== took) broken(`${id} took ${took} at ${place}, and event ${n} says ${its.told[n] ?? 'nothing'}`);
      },
    };
  },
};

/** `over:sleep#1`: that sleep was seen to be over, beside another operation. */
const OVER_OF = /^over(?:@[^:]*)?:(sleep(?:#\d+|\[.*?\])(?:\/.*)?)$/s;

export const SLEEPS: Invariant = {
  name: 'sleeps',
  promise: 'a sleep does not end before the time at which it was to end when the task first came there, and has ended for good',
  check(_topology, broken) {
    /** By task and sleep: when it is to end; `-Infinity` once it is remembered to be over. */
    const tasks = new Map<string, Map<string, number>>();
    const ends = (task: string, key: string, atMs: number): void => {
      const untilMs = tasks.get(task)?.get(key);
      if (untilMs !== undefined && atMs < untilMs) broken(`${key} ends ${untilMs - atMs} ms early`);
    };
    return {
      ...onForgotten((id) => void tasks.delete(id)),
      'sleep.began': ({ task, key, untilMs }) => {
        let sleeps = tasks.get(task);
        if (sleeps === undefined) tasks.set(task, (sleeps = new Map()));
        // The clock of another process may be behind: what nobody remembered begins anew by that.
        sleeps.set(key, Math.min(untilMs, sleeps.get(key) ?? Infinity));
      },
      'store.remembered': ({ item: { id, place } }, atMs) => {
        const sleep = OVER_OF.exec(place)?.[1];
        if (sleep === undefined) return;
        ends(id, `${id}/${sleep}`, atMs);
        // By the clock of the process that remembers it: one that comes after it, and is behind, does not sleep again.
        tasks.get(id)?.set(`${id}/${sleep}`, -Infinity);
      },
      'sleep.ended': ({ task, key }, atMs) => ends(task, key, atMs),
    };
  },
};
