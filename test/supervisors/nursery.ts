/** Nursery: supervisors over children that do what a test tells them, on a simulated host. */
import { fifoTransport } from '../../actors/host/transport.ts';
import { childStarted } from '../../actors/kernel/child-spec.ts';
import type { Birth, ChildPolicy } from '../../actors/kernel/child-spec.ts';
import { fromDecider, NOTHING } from '../../actors/kernel/decider.ts';
import { exit, setTimer } from '../../actors/kernel/effects.ts';
import type { ActorId, Exited, ExitReason, Message, OwnEffect } from '../../actors/kernel/effects.ts';
import type { ChildSpec, SupervisorSpec } from '../../supervisors/spec.ts';
import type { SupervisorFact } from '../../supervisors/state.ts';
import { Tree } from '../../supervisors/tree.ts';
import type { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { scripted, SimulatedHost } from '../host/simulated-host.ts';

export interface Conduct extends Partial<ChildPolicy> {
  /** How long it takes to obey a stop. Default 0; Infinity is deaf. */
  readonly stopsInMs?: number;
  /** How long a `signalled` child takes to say that it is ready. Default 0. */
  readonly readyInMs?: number;
  /** Whether this life fails to start, and how. Default never. */
  readonly fails?: (life: number) => false | 'in start' | 'in spawn' | 'in its first turn';
  /** What this life does in its first turn. */
  readonly first?: (life: number) => readonly OwnEffect[];
}

export const ROOT = 'root';

export class Nursery extends SimulatedHost {
  /** What happened, as sentences such as `a#1 starts`. */
  readonly log: string[] = [];
  readonly facts: (SupervisorFact & { readonly supervisor: ActorId })[] = [];
  /** The ends that an independent monitor was told. */
  readonly ends: (Exited & { readonly atMs: number })[] = [];

  readonly #tree: Tree;

  constructor(seed?: number | string, onFact?: (supervisor: ActorId, fact: SupervisorFact) => void) {
    super(seed ?? 1, seed === undefined ? { transport: fifoTransport() } : {});
    const { clock, ends } = this;
    this.#tree = new Tree({ host: this.host, onFact: onFact ?? ((supervisor, fact) => void this.facts.push({ ...fact, supervisor })) });
    this.host.spawn({
      id: 'observer',
      logic: scripted((message) => [message], clock),
      perform: (message) => ends.push({ ...(message as Exited), atMs: clock.nowMs() }),
    });
  }

  child(id: string, conduct: Conduct = {}): ChildSpec {
    const { stopsInMs = 0, readyInMs = 0, fails, first, ...policy } = conduct;
    return {
      ...policy,
      id,
      start: (birth) => {
        const name = `${birth.supervisor}/${id}`.slice(ROOT.length + 1);
        const life = `${name}#${birth.life}`;
        const failure = fails?.(birth.life) ?? false;
        if (failure === 'in start') throw new Error(`${life} cannot start`);
        if (failure === 'in spawn') return { logic: undefined as never };
        this.log.push(`${life} starts`);
        const ready = policy.ready === 'signalled' ? [setTimer('ready', this.clock.nowMs() + readyInMs, { type: 'ready' })] : [];
        const logic =
          failure === 'in its first turn'
            ? failing(life, this.clock)
            : scripted((message) => this.#conduct(life, birth, stopsInMs, message), this.clock, [
                ...ready,
                ...(first?.(birth.life) ?? NOTHING),
              ]);
        return { graceful: true, monitors: ['observer'], logic };
      },
    };
  }

  /** A supervisor below another one. */
  nested(id: string, spec: SupervisorSpec, policy: Partial<ChildPolicy> = {}): ChildSpec {
    const ready = { ready: 'signalled', startMs: Infinity, shutdownMs: Infinity, type: 'supervisor' } as const;
    return {
      ...ready,
      ...policy,
      id,
      start: (birth) => ({ ...this.#tree.supervisor(`${birth.supervisor}/${id}`, spec, birth), monitors: ['observer'] }),
    };
  }

  /** Starts the root. */
  root(spec: SupervisorSpec, birth?: Birth): void {
    this.host.spawn({ ...this.#tree.supervisor(ROOT, spec, birth), id: ROOT, monitors: ['observer'] });
    this.run(0);
  }

  /** Makes a child end: `crash` throws, `end` is normal, `shut` is a shutdown nobody asked for. */
  tell(name: string, type: 'crash' | 'end' | 'shut'): void {
    this.host.send(`${ROOT}/${name}`, { type });
    this.run(0);
  }

  stop(): void {
    this.host.stop(ROOT, Infinity);
    this.run(0);
  }

  /** Addresses below the root that are alive, with their lives. */
  get alive(): string[] {
    const prefix = `${ROOT}/`;
    return [...this.host.ids()]
      .filter((id) => id.startsWith(prefix))
      .map((id) => `${id.slice(prefix.length)}#${this.host.incarnationOf(id)}`);
  }

  get rootEnd(): ExitReason | undefined {
    return this.ends.find(({ id }) => id === ROOT)?.reason;
  }

  /** Restarts that the supervisors say they have decided on. */
  get restarts(): number {
    return this.facts.filter(({ at }) => at === 'restarting').length;
  }

  #conduct(life: string, birth: Birth, stopsInMs: number, message: Message): readonly OwnEffect[] {
    switch (message.type) {
      case 'crash':
        throw new Error(`${life} crashed`);
      case 'end':
        return [exit({ at: 'normal' })];
      case 'shut':
        return [exit({ at: 'shutdown' })];
      case 'ready':
        this.log.push(`${life} is ready`);
        return [childStarted(birth)];
      case 'stop.requested':
        this.log.push(`${life} is told to stop`);
        if (stopsInMs === Infinity) return NOTHING;
        return stopsInMs === 0 ? [exit({ at: 'shutdown' })] : [setTimer('stop', this.clock.nowMs() + stopsInMs, { type: 'shut' })];
      default:
        return NOTHING;
    }
  }
}

function failing(life: string, clock: VirtualClock) {
  const initial = (): never => {
    throw new Error(`${life} failed in its first turn`);
  };
  return fromDecider<null, Message, undefined, OwnEffect>({ initial, decide: (state) => [state, NOTHING] }, clock);
}
