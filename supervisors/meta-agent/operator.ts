/**
 * Operator: the commands of a person, as effects. The meta-agent and the autoscaler have no other
 * power: whoever performs these may refuse, and says so with `operator.answered`.
 */
import type { ActorId, Message } from '../../actors/kernel/effects.ts';

/** What is to be done. */
export type OperatorOrder =
  /** Ends the present incarnation; its supervisor starts another. */
  | { readonly type: 'operator.restart'; readonly worker: ActorId }
  /** Adds a reason. Both are cleared by a passed health check, or by `operator.resume`. */
  | { readonly type: 'operator.suspend'; readonly worker: ActorId; readonly reason: SuspendReason }
  /** Takes that reason away again: it was not the worker. */
  | { readonly type: 'operator.resume'; readonly worker: ActorId; readonly reason: SuspendReason }
  | { readonly type: 'operator.open-breaker'; readonly dependency: string; readonly kind: string }
  /** Brings a kind to that many workers, suspended ones included. */
  | { readonly type: 'operator.scale'; readonly kind: string; readonly replicas: number }
  /** Calls the hook of the fleet's owner: only a person can help. */
  | { readonly type: 'operator.call-person'; readonly kind: string; readonly worker?: ActorId };

/** `quality`: what it makes is bad. `health`: anything else about how it works. */
export type SuspendReason = 'health' | 'quality';

/** An order with the number by which it is answered, and the reason in words. */
export type OperatorCommand = OperatorOrder & { readonly id: number; readonly why: string };

/**
 * Sent to whoever gave the command: it was done, or it was refused and nothing has changed.
 * On the control lane. An id that is not waited for any more is ignored.
 */
export type OperatorAnswered = Message & { readonly type: 'operator.answered'; readonly id: number } & (
    | { readonly done: true }
    | { readonly done: false; readonly why: string }
  );

/** What an order is about: two orders with the same target never overlap. */
export function targetOf(order: OperatorOrder): string {
  switch (order.type) {
    case 'operator.restart':
    case 'operator.suspend':
    case 'operator.resume':
      return `worker ${order.worker}`;
    case 'operator.open-breaker':
      return `dependency ${order.dependency}`;
    case 'operator.scale':
      return `kind ${order.kind}`;
    case 'operator.call-person':
      return `person for ${order.worker ?? order.kind}`;
  }
}
