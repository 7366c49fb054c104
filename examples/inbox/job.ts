/**
 * The job: an inbox cut into sections, each of which becomes one digest task, which asks for one
 * triage task per mail. Ids follow from the mails and the seed alone, so that the same command on
 * the same store names the same tasks, and a mail is one task for ever.
 */
import type { Limits } from 'drover';
import type { Mail } from './mails.ts';

export const DEFAULT_MAILS = 600;
export const DEFAULT_SEED = 1;
export const DEFAULT_AGENTS = 80;

/** What the local provider allows, and what the fleet therefore keeps to. */
export const LOCAL_LIMITS = { requestsPerMinute: 1_500, tokensPerMinute: 600_000, concurrency: 16 } as const satisfies Limits;

/** How long the local provider takes for a call, more or less by `jitter`. */
export const LOCAL_LATENCY = { baseMs: 600, jitter: 0.2 } as const;

/** Names the split too: a provider that has learned from the mails of this run must not answer it. */
export const localModel = (mails: number, seed: number) => `local-mails${mails}-seed${seed}`;

/** Mails of one section. More than fit into one prompt: its digest asks for digests of its parts. */
const SECTION_MAILS = 50;

/** Mail programs of this corpus write dates from before there was mail, and from the future. */
const FIRST_YEAR = 1990;
const LAST_YEAR = 2010;

/** The input of one digest task. */
export interface Section {
  /** What is written over it: the days its mails are from. */
  readonly title: string;
  readonly mailIds: readonly string[];
}

/** The mails in order of their date, cut into sections. Undated ones come last. */
export function sectionsOf(mails: readonly Mail[]): { readonly id: string; readonly section: Section }[] {
  const inOrder = mails.toSorted((a, b) => orderOf(a).localeCompare(orderOf(b)) || a.id.localeCompare(b.id));
  const count = Math.ceil(inOrder.length / SECTION_MAILS);
  return Array.from({ length: count }, (_, at) => {
    // As even as can be: a last section of one mail would be a poor digest.
    const members = inOrder.slice(Math.floor((at * inOrder.length) / count), Math.floor(((at + 1) * inOrder.length) / count));
    return { id: `section-${String(at + 1).padStart(3, '0')}`, section: { title: titleOf(members), mailIds: members.map(({ id }) => id) } };
  });
}

/** The day of a mail, or null where its date cannot be believed. */
export function dayOf({ date }: Mail): string | null {
  const year = Number(date?.slice(0, 4));
  return year >= FIRST_YEAR && year <= LAST_YEAR ? date!.slice(0, 10) : null;
}

const orderOf = (mail: Mail) => (dayOf(mail) === null ? 'undated' : mail.date!);

const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });

function titleOf(mails: readonly Mail[]): string {
  const days = mails.map(dayOf).filter((day) => day !== null);
  if (days.length === 0) return 'Without a date';
  const [first, last] = [DAY.format(new Date(days[0]!)), DAY.format(new Date(days.at(-1)!))];
  const undated = days.length < mails.length ? ', and without a date' : '';
  return `${first === last ? first : `${first} to ${last}`}${undated}`;
}

/** How many workers of each kind a fleet of `agents` has: 6 : 3 : 1, and at least one of each. */
export function replicasOf(agents: number): { readonly triage: number; readonly extract: number; readonly digest: number } {
  const digest = Math.max(1, Math.round(agents * 0.1));
  const extract = Math.max(1, Math.round(agents * 0.3));
  return { triage: agents - extract - digest, extract, digest };
}
