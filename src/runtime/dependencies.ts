/**
 * Dependencies: one `Calls` for each dependency of a fleet, the limiter it asks, and what observers,
 * statistics and the meta-agent hear of its calls.
 */
import type { EventEmitter } from 'eventemitter3';
import type { Logger } from 'pino';
import type { LimiterLook } from '../../actors/admission/limiter.ts';
import type { Host } from '../../actors/host/host.ts';
import type { Message } from '../../actors/kernel/effects.ts';
import { toErrorRecord } from '../../actors/kernel/errors.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { Observation } from '../../supervisors/meta-agent/observation.ts';
import type { ChildSpec } from '../../supervisors/spec.ts';
import type { BreakerControl } from '../admission/breaker-control.ts';
import type { Budgets } from '../admission/budgets.ts';
import { Calls } from '../admission/calls.ts';
import type { CallObserver, CallSubject } from '../admission/caller.ts';
import { limiterChild } from '../admission/limiter-child.ts';
import { scoreOf } from '../admission/score.ts';
import type { AnyDependency } from '../topology/dependency.ts';
import type { Topology } from '../topology/fleet.ts';
import { UnknownDependencyError } from './errors.ts';
import { announce } from './events.ts';
import type { FleetEvents, FleetStats } from './events.ts';
import type { Parts } from './internals.ts';
import { limiterOf } from './tree.ts';

export interface DependenciesOptions {
  readonly topology: Topology;
  readonly host: Host;
  readonly random: Random;
  readonly log: Logger;
  readonly events: EventEmitter<FleetEvents>;
  readonly stats: () => { -readonly [K in keyof FleetStats]: FleetStats[K] };
  readonly limiter: Parts['limiter'];
  readonly budgets: Budgets;
  /** Told before each try: whoever may not act any more is cancelled by then. */
  readonly beforeTry: (nowMs: number) => void;
  /** Who watches workers, if anybody does. */
  readonly observe: ((observation: Observation) => void) | undefined;
}

/** A dependency as a person sees it. */
export type DependencyLook = LimiterLook & { readonly dependency: string };

export class Dependencies {
  readonly #options: DependenciesOptions;
  readonly #calls: ReadonlyMap<string, Calls>;

  constructor(options: DependenciesOptions) {
    this.#options = options;
    this.#calls = new Map(Object.entries(options.topology.dependencies).map(([name, dependency]) => [name, this.#make(name, dependency)]));
  }

  callsOf(name: string): Calls {
    const calls = this.#calls.get(name);
    if (calls === undefined) throw new UnknownDependencyError(name, [...this.#calls.keys()]);
    return calls;
  }

  /** A limiter for each, for the tree. */
  children(): readonly ChildSpec[] {
    return Object.entries(this.#options.topology.dependencies).map(([name, { spec }]) =>
      limiterChild(name, spec, this.#calls.get(name)!, this.#options),
    );
  }

  /** The breaker of a dependency, by hand. */
  breakerOf(name: string): BreakerControl {
    return this.callsOf(name).breakerControl;
  }

  async look(name: string): Promise<DependencyLook> {
    const { host } = this.#options;
    const { limiter } = this.callsOf(name);
    return { dependency: name, ...(await host.ask<LimiterLook>(limiter, (replyTo) => ({ type: 'limiter.look', replyTo }) as Message)) };
  }

  #make(name: string, { spec }: AnyDependency): Calls {
    const { topology, host, random, budgets, beforeTry, log } = this.#options;
    const observer = this.#observer();
    return new Calls(name, spec, {
      host,
      limiter: limiterOf(topology, name),
      random: random.fork(`calls/${name}`),
      budgets,
      beforeTry,
      observer,
      score: scoreOf(spec, (error) => log.error({ err: error, dependency: name }, 'a scorer of a dependency threw or made no sense')),
    });
  }

  #observer(): CallObserver {
    const { host, log, stats } = this.#options;
    const atMs = (): number => host.clock.nowMs();
    return {
      completed: (dependency, usage, ms, usd, { subject }) => {
        const sums = stats();
        sums.calls += 1;
        sums.inputTokens += usage.inputTokens;
        sums.outputTokens += usage.outputTokens;
        sums.usd += usd;
        const { inputTokens, outputTokens } = usage;
        this.#called(subject, dependency, ms, false, usd, inputTokens + outputTokens);
        this.#emit('call.completed', () => ({ atMs: atMs(), dependency, inputTokens, outputTokens, usd, ms }));
      },
      failed: (dependency, failure, error, again, ms, { subject }) => {
        const sums = stats();
        sums.calls += 1;
        if (failure.at === 'rate-limited') sums.rateLimited += 1;
        if (again) sums.callRetries += 1;
        this.#called(subject, dependency, ms, true, 0, 0);
        this.#emit('call.failed', () => ({ atMs: atMs(), dependency, failure: failure.at, error: toErrorRecord(error), again }));
      },
      misread: (dependency, field, error) => log.error({ err: error, dependency }, `${field} of a dependency threw or made no sense`),
      breakerMoved: (dependency, breaker) => {
        log.warn({ dependency, ...breaker }, `the breaker is ${breaker.at}`);
        this.#emit('breaker.moved', () => ({ atMs: atMs(), dependency, ...breaker }));
      },
    };
  }

  #called(subject: CallSubject | undefined, dependency: string, ms: number, failed: boolean, usd: number, tokens: number): void {
    const { observe, host } = this.#options;
    if (observe === undefined || subject === undefined) return;
    const { request, ...of } = subject;
    const hashed = request === undefined ? {} : { request };
    observe({ type: 'call.ended', atMs: host.clock.nowMs(), ...of, dependency, ms, failed, usd, tokens, ...hashed });
  }

  #emit<N extends keyof FleetEvents>(name: N, event: () => Parameters<FleetEvents[N]>[0]): void {
    announce(this.#options.events, this.#options.log, name, event);
  }
}
