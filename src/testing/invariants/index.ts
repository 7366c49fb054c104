/** Every invariant that a simulation checks, in the order of ARCHITECTURE.md. */
import { L4, S5, S8 } from './admission.ts';
import { B3, S11, S4 } from './effects.ts';
import { L2, L3, L7 } from './homecoming.ts';
import type { Invariant } from './invariant.ts';
import { L5, S6, S7 } from './limits.ts';
import { LEASE_TOKENS, LEASES } from './leases.ts';
import { LOCK_TOKENS, LOCK_TURNS, S10 } from './locks.ts';
import { B1, S13 } from './mailboxes.ts';
import { ORDER } from './order.ts';
import { ROWS } from './rows.ts';
import { RETENTION } from './retention.ts';
import { S9 } from './supervision.ts';
import { L1, S1, S14, S2, S3 } from './tasks.ts';
import { TURNS } from './turns.ts';
import { UNDO } from './undo.ts';
import { EVENTS, SLEEPS } from './waiting.ts';
import { VERSIONS } from './versions.ts';
import { WAITS } from './waits.ts';

export const INVARIANTS: readonly Invariant[] = [
  S1,
  S2,
  S3,
  LOCK_TOKENS,
  LEASE_TOKENS,
  S4,
  S5,
  S6,
  S7,
  S8,
  S9,
  S10,
  S11,
  LEASES,
  S13,
  ORDER,
  S14,
  L1,
  L2,
  L3,
  L4,
  L5,
  LOCK_TURNS,
  L7,
  B1,
  B3,
  WAITS,
  UNDO,
  EVENTS,
  SLEEPS,
  ROWS,
  TURNS,
  VERSIONS,
  RETENTION,
];
