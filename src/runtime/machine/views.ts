/**
 * Views: the machines of running tasks in an inspector, each below its worker, under the id of its task.
 *
 * A machine is an XState root of its own that no host knows of. What its system tells an inspector is told
 * by the system of its worker as well: to whoever looks at that, it is a child of the worker.
 */
import type { AnyActorRef, InspectionEvent } from 'xstate';
import type { Cell, Host, HostObserver } from '../../../actors/host/host.ts';
import type { ActorId } from '../../../actors/kernel/effects.ts';
import type { RunEngine } from '../engine.ts';
import type { Run } from '../run.ts';

const views = new WeakMap<RunEngine, MachineViews>();

/** The views of a fleet that is inspected; undefined: nobody looks. */
export function viewsOf(engine: RunEngine): MachineViews | undefined {
  return views.get(engine);
}

/** How an XState system tells whoever inspects it. */
interface Told {
  readonly _sendInspectionEvent: (event: object) => void;
}

/** Make it before the first worker is spawned, and after whoever observes the tree. */
export class MachineViews implements HostObserver {
  readonly #workers = new Map<ActorId, Cell>();

  constructor(host: Host) {
    host.observe(this);
  }

  readonly spawned = (cell: Cell): void => {
    this.#workers.set(cell.id, cell);
  };

  readonly ended = ({ id }: Cell): void => {
    this.#workers.delete(id);
  };

  /** The runs of that engine are shown. */
  of(engine: RunEngine): void {
    views.set(engine, this);
  }

  /** Shows a machine until its run is over. */
  show({ worker, ended }: Run, root: AnyActorRef): void {
    const tell = (event: object): void => {
      const system = this.#workers.get(worker)?.actor.system as Partial<Told> | undefined;
      const { _sendInspectionEvent: send } = system ?? {};
      send?.(event);
    };
    root.system.inspect((event: InspectionEvent) => tell(event));
    ended.addEventListener('abort', () => {
      const snapshot = root.getSnapshot() as { readonly status: string };
      if (snapshot.status !== 'active') return;
      // Not by stopping it: that would execute what it does when its states are left. It goes on in another run.
      Object.assign(root, { _snapshot: { ...snapshot, status: 'stopped' } });
      tell({ type: '@xstate.snapshot', actorRef: root, event: { type: 'xstate.stop' }, snapshot: root.getSnapshot() as unknown });
    });
  }
}
