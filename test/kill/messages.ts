/** Messages: what whoever runs the kill test and a process of the fleet say to each other. */
import type { ScheduleSpec } from 'drover';
import type { ShopKind } from './shop.ts';

/** What a client asks of the fleet. Each may be asked again: nobody knows what became of one whose answer a kill took. */
export type Command =
  | { readonly do: 'submit'; readonly kind: ShopKind; readonly id: string; readonly input: object; readonly notBeforeMs?: number }
  | { readonly do: 'cancel' | 'pause' | 'unpause'; readonly id: string }
  | { readonly do: 'signal'; readonly id: string; readonly name: 'go'; readonly payload: unknown; readonly key: string }
  | { readonly do: 'decide'; readonly id: string; readonly name: string; readonly approved: boolean; readonly by: string }
  | { readonly do: 'schedule'; readonly name: string; readonly spec: ScheduleSpec & { readonly kind: ShopKind } }
  | { readonly do: 'unschedule'; readonly name: string }
  | { readonly do: 'approvals' | 'unfinished' | 'close' };

/** `refused`: the code of the error. */
export type Outcome = { readonly at: 'done'; readonly value: unknown } | { readonly at: 'refused'; readonly code: string };

/** `go`: take the store and run. */
export type ToFleet = { readonly at: 'go' } | { readonly at: 'asked'; readonly ticket: number; readonly command: Command };

/** What a process of the fleet says. */
export type FromFleet =
  /** Its modules are loaded. */
  | { readonly at: 'loaded' }
  /** It owns the store, and runs. */
  | { readonly at: 'open' }
  | { readonly at: 'answered'; readonly ticket: number; readonly outcome: Outcome }
  | { readonly at: 'ended'; readonly id: string }
  /** It has given up a lease. */
  | { readonly at: 'lease-lost'; readonly id: string; readonly atMs: number }
  /** It cannot go on. */
  | { readonly at: 'failed'; readonly error: string };
