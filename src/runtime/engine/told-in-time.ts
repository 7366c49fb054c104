/** Told in time: when a task was told of an event, by the task's story. */
import { STORY_LENGTH } from '../../../actors/ports/store.ts';
import type { StoryEntry } from '../../../actors/ports/store.ts';

/** `total`: how many of that name are known. What the story has forgotten was long ago. */
export function toldAtMs(story: readonly StoryEntry[], { name, n }: { readonly name: string; readonly n: number }, total: number): number {
  const told = story.filter((entry) => entry.at === 'event' && entry.name === name);
  const entry = story.length < STORY_LENGTH ? told[n] : told[told.length - total + n];
  return entry?.atMs ?? -Infinity;
}
