/** Invariant of order keys: tasks of one key run one after the other, in order of arrival. */
import type { NewTask } from '../../../actors/ports/store.ts';
import type { Invariant } from './invariant.ts';

/** Who is parked for one of these lets the next one by: it may be what it waits for. */
const LETS_BY: readonly string[] = ['child', 'event', 'approval'];

/** One task in the line of its key. */
interface Standing {
  /** `let-by`: it has let the next one by, and may have been woken meanwhile. */
  at: 'waits' | 'held' | 'let-by';
}

export const ORDER: Invariant = {
  name: 'S13',
  promise: 'of the tasks with one order key only the oldest is held, but for those that wait for a child or for the outside',
  check(_topology, broken) {
    /** By key: unfinished tasks in order of arrival. */
    const lines = new Map<string, Map<string, Standing>>();
    const keys = new Map<string, string>();
    /** Parent and own key of unfinished tasks, for those that run on behalf of somebody with their key. */
    const family = new Map<string, { readonly parent: string | undefined; readonly key: string | undefined }>();
    const isExempt = ({ parent, orderKey }: NewTask): boolean => {
      for (let at = parent?.id; at !== undefined; at = family.get(at)?.parent) if (family.get(at)?.key === orderKey) return true;
      return false;
    };
    const standing = (id: string): Standing | undefined => lines.get(keys.get(id) ?? '')?.get(id);
    const leave = (id: string): void => {
      const key = keys.get(id);
      family.delete(id);
      if (key === undefined) return;
      keys.delete(id);
      const line = lines.get(key)!;
      line.delete(id);
      if (line.size === 0) lines.delete(key);
    };
    return {
      'store.accepted': ({ task }) => {
        const { id, orderKey, parent } = task;
        family.set(id, { parent: parent?.id, key: orderKey });
        if (orderKey === undefined || isExempt(task)) return;
        keys.set(id, orderKey);
        const line = lines.get(orderKey);
        if (line === undefined) lines.set(orderKey, new Map([[id, { at: 'waits' }]]));
        else line.set(id, { at: 'waits' });
      },
      'store.claimed': ({ task: { id } }) => {
        const key = keys.get(id);
        if (key === undefined) return;
        let isOlder = true;
        for (const [other, { at }] of lines.get(key)!) {
          if (other === id) isOlder = false;
          else if (at === 'held') broken(`${id} was claimed while ${other} of the same order key ${key} is held`);
          else if (isOlder && at === 'waits') broken(`${id} was claimed before ${other}, which came first under order key ${key}`);
        }
        standing(id)!.at = 'held';
      },
      'store.blocked': ({ held: { id } }) => {
        const its = standing(id);
        if (its !== undefined) its.at = 'waits';
      },
      'store.settled': ({ settlement: { id, outcome: asked }, outcome: { status } }) => {
        if (status === 'completed' || status === 'cancelled' || status === 'failed' || status === 'dead') return leave(id);
        const its = standing(id);
        if (its !== undefined) its.at = asked.at === 'parked' && LETS_BY.includes(asked.reason) ? 'let-by' : 'waits';
      },
      'store.expired': ({ held: { id, status } }) => {
        if (status === 'dead' || status === 'failed' || status === 'cancelled') return leave(id);
        const its = standing(id);
        if (its !== undefined) its.at = 'waits';
      },
      'store.ended': ({ id }) => leave(id),
      'store.steered': ({ steering: { id, action }, outcome }) => {
        const its = standing(id);
        // A paused one blocks its key, whatever it waited for; one that goes on goes ahead of those that are let by.
        if (its !== undefined && outcome.at === 'done') its.at = action === 'pause' ? 'waits' : 'let-by';
      },
      'store.opened': () => {
        for (const line of lines.values()) for (const its of line.values()) if (its.at === 'held') its.at = 'waits';
      },
    };
  },
};
