/** Supervised: what a process tells the parent that starts it again. */

/** Set for the process that runs the fleet: its parent listens. */
export const SUPERVISED = 'DROVER_SUPERVISED';

/** `started`: its fleet runs. `concluded`: it is about to end as a command ends. */
export interface Told {
  readonly drover: 'started' | 'concluded';
}

/** Tells the parent, where there is one that supervises. Resolves when that has left this process. */
export async function tellParent(drover: Told['drover']): Promise<void> {
  if (process.env[SUPERVISED] === undefined || !process.connected) return;
  await new Promise<void>((resolve) => {
    process.send!({ drover } satisfies Told, undefined, undefined, () => resolve());
  });
}

/** Calls `orphaned` when that parent is gone, however it went. */
export function onOrphaned(orphaned: () => void): () => void {
  if (process.env[SUPERVISED] === undefined) return () => {};
  process.on('disconnect', orphaned);
  return () => process.off('disconnect', orphaned);
}
