/**
 * Model: OTP's rules for supervisors, one thing after the other, read from its documents and its
 * source and from nothing of ours. Each deed is done to its end before the next begins: every stop
 * waits for its deadline, and every restart is tried until it works or the supervisor gives up.
 *
 * Where a supervisor lets its children rest before a restart, what rests does so until time passes.
 *
 * @see Erlang/OTP, lib/stdlib/src/supervisor.erl: do_restart/3, restart/2, terminate_children/2, add_restart/1
 */
import type { Deed, Ending, Fate, LeafPlan, Life, Plan, Reason, TreePlan } from './plan.ts';
import {
  REASONS,
  deleteChild,
  drop,
  dropTemporary,
  find,
  groupOf,
  inWords,
  isRefused,
  isReported,
  isToShutDown,
  lifeOf,
  look,
  member,
  reasonWhenStopped,
  strategyOf,
  takesMs,
  templateOf,
} from './rules.ts';
import type { Member, Started } from './rules.ts';

export class Model {
  nowMs = 0;
  /** What must be seen, in order: `root/a#1 starts`, `root/a#1 ends: killed`, `root/a#2 fails`, `root/b#1 is ignored`. */
  readonly seen: string[] = [];
  /** Lives that were told to stop and ended in a way that is reported, as OTP's shutdown_error is. */
  readonly reported: Life[] = [];
  /** Restarts that were counted, over all supervisors. */
  restarts = 0;
  readonly root: Member;
  #births = 0;
  readonly #attempts = new Map<string, number>();
  /** Why those who are suspended are so, by address: that outlives their supervisor, for it is not its doing. */
  readonly #reasons = new Map<string, Set<string>>();

  constructor(plan: TreePlan) {
    this.root = member(plan, plan.id, undefined);
    this.#start(this.root);
  }

  /** Does it, and answers as the supervisor would. */
  do(deed: Deed): string {
    switch (deed.at) {
      case 'ends':
        this.#endsByItself(
          this.living().find((child) => lifeOf(child) === deed.life)!,
          deed.how,
        );
        return '';
      case 'startChild':
        return this.#call(deed.supervisor, (supervisor) => this.#startChild(supervisor, deed.plan));
      case 'terminateChild':
        return this.#call(deed.supervisor, (supervisor) => this.#terminateChild(supervisor, deed.child));
      case 'restartChild':
        return this.#call(deed.supervisor, (supervisor) => this.#restartChild(supervisor, deed.child));
      case 'deleteChild':
        return this.#call(deed.supervisor, (supervisor) => this.#deleteChild(supervisor, deed.child));
      case 'suspendChild':
        return this.#call(deed.supervisor, (supervisor) => this.#suspendChild(supervisor, deed.child, deed.reason));
      case 'resumeChild':
        return this.#call(deed.supervisor, (supervisor) => this.#resumeChild(supervisor, deed.child, deed.reason));
      case 'look':
        return this.#call(deed.supervisor, look);
      case 'pass':
        this.#pass(deed.ms);
        return '';
      case 'stop':
        this.#stop(this.root);
        return '';
    }
  }

  /** All who live, the root first, each before its children. */
  living(from: Member = this.root): readonly Member[] {
    return from.at === 'up' ? [from, ...from.children.flatMap((child) => this.living(child))] : [];
  }

  /** Supervisors that live. */
  supervisors(): readonly Member[] {
    return this.living().filter(({ plan }) => plan.at === 'tree');
  }

  #call(path: string, answer: (supervisor: Member) => string): string {
    const supervisor = this.supervisors().find((candidate) => candidate.path === path);
    return supervisor === undefined ? 'gone' : answer(supervisor);
  }

  #startChild(supervisor: Member, plan: Plan): string {
    if (strategyOf(supervisor) === 'dynamic') {
      const instance = member(templateOf(supervisor), `${supervisor.path}/*`, supervisor);
      const started = this.#start(instance);
      if (started === 'started') supervisor.children.push(instance);
      return inWords(started, instance);
    }
    if (isRefused(supervisor, plan)) return 'invalid';
    const present = find(supervisor, plan.id);
    if (present !== undefined) return present.at === 'up' ? `already started ${lifeOf(present)}` : 'already present';
    const child = member(plan, `${supervisor.path}/${plan.id}`, supervisor);
    const started = this.#start(child);
    if (started === 'started' || (started === 'ignored' && plan.restart !== 'temporary')) supervisor.children.push(child);
    return inWords(started, child);
  }

  #terminateChild(supervisor: Member, id: string): string {
    const dynamic = strategyOf(supervisor) === 'dynamic';
    const child = dynamic ? supervisor.children.find((candidate) => lifeOf(candidate) === id) : find(supervisor, id);
    // An instance that is dead already is gone as it was meant to be; whoever names one by an id has mistaken the kind of supervisor.
    if (child === undefined) return dynamic ? (id.includes('#') ? 'ok' : 'dynamic') : 'not_found';
    this.#stop(child);
    drop(child);
    this.#reasons.delete(child.path);
    return 'ok';
  }

  #restartChild(supervisor: Member, id: string): string {
    if (strategyOf(supervisor) === 'dynamic') return 'dynamic';
    const child = find(supervisor, id);
    if (child === undefined) return 'not_found';
    if (child.at === 'up') return 'running';
    if (child.at === 'restarting') return 'restarting';
    return inWords(this.#start(child), child);
  }

  /** A spec that is deleted takes with it why its child was suspended. */
  #deleteChild(supervisor: Member, name: string): string {
    const child = find(supervisor, name);
    const answer = deleteChild(supervisor, name);
    if (answer === 'ok' && child !== undefined) this.#reasons.delete(child.path);
    return answer;
  }

  /** Not in OTP. Whoever is suspended is stopped and stays so, whatever its siblings do, until its last reason is gone. */
  #suspendChild(supervisor: Member, id: string, reason: string): string {
    const child = find(supervisor, id);
    if (child === undefined) return 'not_found';
    if (child.at !== 'suspended') {
      this.#stop(child);
      drop(child);
      if (child.plan.restart === 'temporary') return 'ok';
      child.at = 'suspended';
      this.#reasons.set(child.path, new Set());
    }
    this.#reasons.get(child.path)!.add(reason);
    return 'ok';
  }

  /** A new life, which is not counted. When it does not come up, what follows is a restart like any other. */
  #resumeChild(supervisor: Member, id: string, reason: string): string {
    const child = find(supervisor, id);
    if (child === undefined) return 'not_found';
    if (child.at !== 'suspended') return 'ok';
    const reasons = this.#reasons.get(child.path)!;
    reasons.delete(reason);
    if (reasons.size === 0 && this.#start(child) === 'failed') this.#restart(supervisor, child);
    return 'ok';
  }

  #start(child: Member): Started {
    this.#reasons.delete(child.path);
    const life = (this.#attempts.get(child.path) ?? 0) + 1;
    this.#attempts.set(child.path, life);
    const fate: Fate = child.plan.starts[life - 1] ?? 'well';
    if (fate === 'ignore') {
      this.seen.push(`${child.path}#${life} is ignored`);
      child.at = 'none';
      return 'ignored';
    }
    if (fate !== 'well') {
      this.seen.push(`${child.path}#${life} fails`);
      child.at = 'none';
      return 'failed';
    }
    this.seen.push(`${child.path}#${life} starts`);
    child.at = 'up';
    child.life = life;
    child.born = this.#births += 1;
    return child.plan.at === 'tree' ? this.#startAll(child, child.plan) : 'started';
  }

  /** Starts a supervisor's children in order. When one fails, those before it are stopped, and it is the supervisor that failed. */
  #startAll(supervisor: Member, plan: TreePlan): Started {
    supervisor.restarts = [];
    supervisor.children =
      plan.strategy === 'dynamic' ? [] : plan.children.map((child) => member(child, `${supervisor.path}/${child.id}`, supervisor));
    for (const child of [...supervisor.children]) {
      if (this.#reasons.has(child.path)) child.at = 'suspended';
      const started = child.at === 'suspended' ? 'started' : this.#start(child);
      if (started === 'ignored') drop(child);
      if (started !== 'failed') continue;
      this.#stopAll(supervisor);
      this.#gone(supervisor, 'error');
      return 'failed';
    }
    return 'started';
  }

  /** Stops a child by hand or with its supervisor: nothing comes of it. */
  #stop(child: Member): void {
    if (child.at !== 'up') {
      child.at = 'none';
      return;
    }
    if (child.plan.at === 'tree') {
      this.#stopAll(child);
      return this.#gone(child, 'shutdown');
    }
    if (takesMs(child.plan) > 0) this.nowMs += takesMs(child.plan);
    this.#stopped(child, child.plan);
  }

  #stopAll(supervisor: Member): void {
    if (strategyOf(supervisor) !== 'dynamic') {
      for (const child of supervisor.children.toReversed()) this.#stop(child);
      return;
    }
    // All are told at once, and share one deadline.
    const told = supervisor.children.filter(({ at }) => at === 'up');
    const template = templateOf(supervisor);
    if (template.at === 'tree') for (const instance of told.toReversed()) this.#stop(instance);
    else {
      if (told.length > 0) this.nowMs += takesMs(template);
      for (const instance of told) this.#stopped(instance, template);
    }
    supervisor.children = [];
  }

  #stopped(child: Member, plan: LeafPlan): void {
    const reason = reasonWhenStopped(plan);
    if (isReported(plan, reason)) this.reported.push(lifeOf(child));
    this.#gone(child, reason);
  }

  #endsByItself(child: Member, how: Ending): void {
    if (how === 'kill') this.#killBelow(child);
    else if (child.plan.at === 'tree') this.#stopAll(child);
    this.#ended(child, REASONS[how]);
  }

  /** Nothing outlives a supervisor that is killed. Who began last goes first. */
  #killBelow(supervisor: Member): void {
    const living = supervisor.children.filter(({ at }) => at === 'up');
    for (const child of living.toSorted((a, b) => b.born - a.born)) {
      this.#killBelow(child);
      this.#gone(child, 'killed');
    }
  }

  #gone(child: Member, reason: Reason): void {
    this.seen.push(`${lifeOf(child)} ends: ${reason}`);
    child.at = 'none';
  }

  /** A child has ended and its supervisor did not ask for it. */
  #ended(child: Member, reason: Reason): void {
    this.#gone(child, reason);
    const { parent: supervisor, plan } = child;
    if (supervisor === undefined) return;
    const well = reason === 'normal' || reason === 'shutdown';
    if (plan.restart === 'permanent' || (plan.restart === 'transient' && !well)) return this.#restart(supervisor, child);
    drop(child);
    if (plan.significant && isToShutDown(supervisor)) this.#giveUp(supervisor);
  }

  #restart(supervisor: Member, child: Member): void {
    if (this.#isTooOften(supervisor)) {
      drop(child);
      return this.#giveUp(supervisor);
    }
    // OTP stops the group when it tries again, which is at once. Here a rest may lie between, and nobody lives on half a group.
    this.#stopGroup(supervisor, child);
    child.at = 'restarting';
    if ((supervisor.plan as TreePlan).restMs === 0) this.#attempt(supervisor, child);
  }

  #giveUp(supervisor: Member): void {
    this.#stopAll(supervisor);
    this.#ended(supervisor, 'shutdown');
  }

  #isTooOften(supervisor: Member): boolean {
    const { intensity, periodMs } = supervisor.plan as TreePlan;
    this.restarts += 1;
    supervisor.restarts = [...supervisor.restarts.filter((atMs) => atMs >= this.nowMs - periodMs), this.nowMs];
    return supervisor.restarts.length > intensity;
  }

  /** One attempt. A member of the group that fails is the one to be restarted next, and that is counted again. */
  #attempt(supervisor: Member, child: Member): void {
    this.#stopGroup(supervisor, child);
    for (const affected of groupOf(supervisor, child)) {
      const started = this.#start(affected);
      if (started === 'ignored') drop(affected);
      if (started === 'failed') return this.#restart(supervisor, affected);
    }
  }

  /** Stops those who are restarted together with a child, and forgets the temporary ones among them. */
  #stopGroup(supervisor: Member, child: Member): void {
    for (const affected of groupOf(supervisor, child).toReversed()) {
      this.#stop(affected);
      if (affected !== child) dropTemporary(affected);
    }
  }

  #pass(ms: number): void {
    for (let resting = this.#resting(); resting !== undefined; resting = this.#resting()) this.#attempt(resting.parent!, resting);
    this.nowMs += ms;
  }

  #resting(): Member | undefined {
    return this.living()
      .flatMap(({ children }) => children)
      .find(({ at }) => at === 'restarting');
  }

  /** Whether a child rests anywhere. */
  get isResting(): boolean {
    return this.#resting() !== undefined;
  }
}
