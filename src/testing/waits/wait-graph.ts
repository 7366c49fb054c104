/**
 * Wait-for graph of a fleet that stands still: who waits for whom, and who of them can ever go on.
 *
 * A task can go on when
 *   - it runs and does anything but wait for children, or waits for its time to come;
 *   - it waits for children, in memory or parked, and one of them has ended or can go on;
 *   - it waits for a worker of its kind, and one is free, or will be given back: by a task that can go
 *     on, or by one that parks because all it does is wait;
 *   - it stands in a mailbox, and that worker is, or will be.
 * Those are all the waits that there are: a permit is held by a call alone, which waits for nobody in
 * the fleet. Who cannot go on by these rules waits, through others, for himself.
 */

/** A task that has not ended. */
export interface WaitingTask {
  readonly id: string;
  readonly kind: string;
  /**
   * `going`: it runs, and does something (`doing`, where that is known); or time alone brings it on. `children`: all it does is wait for
   * them. `worker`: it waits for any worker of its kind. `mailbox`: for this worker.
   */
  readonly wait:
    | { readonly at: 'going'; readonly doing?: string | undefined }
    | { readonly at: 'children'; readonly ids: readonly string[] }
    | { readonly at: 'worker' }
    | { readonly at: 'mailbox'; readonly worker: string };
  /** Which worker it holds, running or waiting in it. */
  readonly holds: string | undefined;
}

export interface WaitScene {
  /** A run that only waits for children gives its worker back. */
  readonly parking: boolean;
  readonly tasks: ReadonlyMap<string, WaitingTask>;
  /** Of each kind: its workers, and the task that each one runs. */
  readonly workers: ReadonlyMap<string, readonly { readonly worker: string; readonly task: string | undefined }[]>;
}

/** Tasks that can never go on, and a circle among them. */
export interface Stuck {
  readonly tasks: readonly string[];
  /** Each waits for the next, the last for the first. */
  readonly circle: readonly string[];
  /** The circle, one sentence a wait. */
  readonly says: readonly string[];
  /** As a mermaid flowchart. */
  readonly mermaid: string;
}

/** Whether anybody waits for himself; undefined when everybody can go on. */
export function findStuck(scene: WaitScene): Stuck | undefined {
  const alive = aliveOf(scene);
  const stuck = [...scene.tasks.keys()].filter((id) => !alive.has(id));
  if (stuck.length === 0) return undefined;
  const circle = circleFrom(scene, stuck[0]!);
  return { tasks: stuck, circle, says: circle.map((id) => sayWait(scene, id)), mermaid: draw(scene, circle) };
}

/** Every wait of the scene, one sentence each, in the order of the tasks. */
export function sayWaits(scene: WaitScene): readonly string[] {
  return [...scene.tasks.values()].filter(({ wait }) => wait.at !== 'going').map(({ id }) => sayWait(scene, id));
}

/** The least set that is closed under the rules above: whoever is not in it waits for ever. */
function aliveOf(scene: WaitScene): ReadonlySet<string> {
  const { tasks, workers, parking } = scene;
  const alive = new Set<string>();
  const holders = new Map([...workers.values()].flat().map(({ worker, task }) => [worker, task]));
  const isFree = (worker: string): boolean => {
    const holder = holders.get(worker);
    const task = holder === undefined ? undefined : tasks.get(holder);
    return task === undefined || alive.has(task.id) || (parking && task.wait.at === 'children');
  };
  const canGoOn = ({ kind, wait }: WaitingTask): boolean => {
    switch (wait.at) {
      case 'going':
        return true;
      case 'children':
        // One that is not among those that have not ended has ended.
        return wait.ids.some((id) => !tasks.has(id) || alive.has(id));
      case 'mailbox':
        return isFree(wait.worker);
      case 'worker': {
        const own = workers.get(kind) ?? [];
        // Without any, they are being started again.
        return own.length === 0 || own.some(({ worker }) => isFree(worker));
      }
    }
  };
  for (let grew = true; grew;) {
    grew = false;
    for (const task of tasks.values()) {
      if (alive.has(task.id) || !canGoOn(task)) continue;
      alive.add(task.id);
      grew = true;
    }
  }
  return alive;
}

/** Whom a stuck task waits for: all of them are stuck, so any will do. */
function next({ tasks, workers }: WaitScene, id: string): string {
  const { kind, wait } = tasks.get(id)!;
  switch (wait.at) {
    case 'children':
      return wait.ids[0]!;
    case 'mailbox':
      return (workers.get(kind) ?? []).find(({ worker }) => worker === wait.worker)!.task!;
    case 'worker':
      return workers.get(kind)![0]!.task!;
    case 'going':
      return id;
  }
}

function circleFrom(scene: WaitScene, start: string): readonly string[] {
  const path: string[] = [];
  for (let id = start; ; id = next(scene, id)) {
    const at = path.indexOf(id);
    if (at >= 0) return path.slice(at);
    path.push(id);
  }
}

/** The wait of one task, as a sentence. */
export function sayWait({ tasks, workers }: WaitScene, id: string): string {
  const { kind, wait, holds } = tasks.get(id)!;
  const who = `task ${id} (${kind})${holds === undefined ? '' : ` holds worker ${holds} and`}`;
  switch (wait.at) {
    case 'going':
      return wait.doing === undefined ? `${who} goes on` : `${who} is at ${wait.doing}`;
    case 'children':
      return `${who} waits for its ${wait.ids.length === 1 ? 'child' : 'children'} ${wait.ids.join(', ')}`;
    case 'mailbox':
      return `${who} waits in the mailbox of worker ${wait.worker}, which is held`;
    case 'worker': {
      const own = workers.get(kind) ?? [];
      const held = own.map(({ worker, task }) => `${worker} by ${task ?? 'nobody'}`).join(', ');
      return `${who} waits for a worker of ${kind}: held are ${held}`;
    }
  }
}

function draw(scene: WaitScene, circle: readonly string[]): string {
  const name = (id: string): string => `t${circle.indexOf(id)}`;
  const boxes = circle.map((id) => {
    const { kind, holds } = scene.tasks.get(id)!;
    return `  ${name(id)}["${id.replaceAll('"', "'")}<br/>${kind}${holds === undefined ? '' : `, holds ${holds}`}"]`;
  });
  const arrows = circle.map((id, at) => {
    const { wait } = scene.tasks.get(id)!;
    const label = wait.at === 'children' ? 'waits for child' : wait.at === 'mailbox' ? 'waits in mailbox' : 'waits for worker';
    return `  ${name(id)} -->|${label}| ${name(circle[(at + 1) % circle.length]!)}`;
  });
  return ['flowchart LR', ...boxes, ...arrows].join('\n');
}
