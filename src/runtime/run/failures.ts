/**
 * Failures: what operations of a run have failed with, and which of that the next attempt tries anew.
 *
 *     given to the run ─┬─ the run begins something after it ──▶ gone past: kept, like what has been brought
 *                       ├─ the run ends, and has not ──────────▶ forgotten: nothing was done because of it
 *                       └─ the run ends with it ───────────────▶ forgotten: it is why there is a next attempt
 *
 * A run ends with a failure when it throws that, or something that holds it (`cause`, `errors`); where it throws neither,
 * when it throws what says the same words. What else it ends with says nothing against a failure that it has gone past:
 * what was done in place of that has been done, and must not be done twice. So an attempt may find all as it was and end
 * at once, again and again: rather that than to pay twice.
 *
 * Of branches side by side it is not known which has gone on because of what: whatever is begun goes past all.
 */

/** One that the run was given. */
export interface GivenFailure {
  /** As the store knows it. */
  readonly place: string;
  readonly error: unknown;
  /** Found in the memory of the task: an earlier run has been given it too. */
  readonly isFound: boolean;
}

interface Given extends GivenFailure {
  /** How many operations the run had begun by then. */
  readonly begun: number;
}

/** How the run has ended. */
export interface RunEnd {
  readonly thrown: unknown;
  /** How many operations it has begun. */
  readonly begun: number;
  /** It has come by all that earlier runs have brought. */
  readonly hasComeByAll: boolean;
}

/** Of one run. */
export class RunFailures {
  readonly #given: Given[] = [];
  /** What the run ended with, where that was said elsewhere. */
  #blamed: readonly unknown[] = [];

  given(failure: GivenFailure, begun: number): void {
    this.#given.push({ ...failure, begun });
  }

  /** It has ended with these, though what it throws does not show it: that has come from a thread or process. */
  blame(errors: readonly unknown[]): void {
    this.#blamed = errors;
  }

  /** The places of those that the next attempt tries anew. */
  endedBy(end: RunEnd): readonly string[] {
    const ended = new Set([...this.#behind(end.thrown), ...this.#given.filter((given) => isLast(given, end))]);
    return [...ended].map(({ place }) => place);
  }

  /** Of all that were given. */
  get places(): readonly string[] {
    return this.#given.map(({ place }) => place);
  }

  #behind(thrown: unknown): readonly Given[] {
    const held = new Set([thrown, ...this.#blamed].flatMap((error) => [...errorsIn(error)]));
    const same = this.#given.filter(({ error }) => error === thrown || held.has(error));
    if (same.length > 0) return same;
    // Whoever unpacks a failure throws its cause.
    const unpacked = this.#given.filter(({ error }) => [...errorsIn(error)].some((part) => held.has(part)));
    return unpacked.length > 0 ? unpacked : this.#given.filter(({ error }) => repeats(thrown, error));
  }
}

/** The run has gone no further since. */
function isLast({ begun, isFound }: Given, end: RunEnd): boolean {
  // What it has not come by, an earlier run has done after that.
  return begun === end.begun && (!isFound || end.hasComeByAll);
}

/** Beyond so many an error holds no more. */
const MOST_PARTS = 10_000;

/** The error with all that it holds: causes, what was gathered, what was suppressed. Never throws. */
export function errorsIn(thrown: unknown): ReadonlySet<unknown> {
  const found = new Set<unknown>();
  const left = [thrown];
  for (const error of left) {
    if (typeof error !== 'object' || error === null || found.has(error)) continue;
    if (found.size === MOST_PARTS) break;
    found.add(error);
    left.push(...partsOf(error));
  }
  return found;
}

function partsOf(error: object): readonly unknown[] {
  try {
    const { cause, errors, error: inner, suppressed } = error as Readonly<Record<string, unknown>>;
    return [cause, inner, suppressed, ...(Array.isArray(errors) ? (errors as readonly unknown[]) : [])];
  } catch {
    // A getter or a proxy that throws when it is looked at.
    return [];
  }
}

/** What was thrown in place of an error says its words, and all of them: `throw new Error(error.message)`. */
function repeats(thrown: unknown, error: unknown): boolean {
  const words = messageOf(error);
  const text = messageOf(thrown);
  if (words === '') return false;
  for (let at = text.indexOf(words); at >= 0; at = text.indexOf(words, at + 1)) {
    if (!isInWord(text, at) && !isInWord(text, at + words.length)) return true;
  }
  return false;
}

/** Between two letters or digits. */
function isInWord(text: string, at: number): boolean {
  return at > 0 && at < text.length && /^[\p{L}\p{N}]{2}$/u.test(text.slice(at - 1, at + 1));
}

function messageOf(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  try {
    const { message } = thrown as { readonly message?: unknown };
    return typeof message === 'string' ? message : '';
  } catch {
    return '';
  }
}
