/**
 * Threads and duplicates: which mails must not be parted by a split.
 *
 * A classifier that has seen the question recognises the answer that quotes it,
 * and one that has seen a campaign recognises its next copy. So mails are linked
 * into one thread if
 *
 *   1. one names the other in In-Reply-To or References, or both name a third;
 *   2. their subjects are the same after "Re:", "[list]" and digits are taken off;
 *   3. their bodies open with the same letters, as the copies of a campaign do.
 *
 * The second and third rule join mails that have nothing to do with each other
 * now and then. That costs a little training data; the opposite mistake would
 * cost the honesty of the score.
 */

/** What the rules look at. */
export interface Linkable {
  readonly id: string;
  readonly subject: string;
  readonly text: string;
  readonly messageId: string | null;
  readonly answers: readonly string[];
}

/** So many letters at the start of two bodies make them copies of one campaign. */
const OPENING_LETTERS = 120;

/** Shorter bodies ("thanks!") say too little alone; the subject joins the comparison. */
const MIN_BODY_LETTERS = 40;

/** Id of the mail to id of its thread. The id of a thread is that of its first mail. */
export function groupThreads(mails: readonly Linkable[]): Map<string, string> {
  const parent = new Map<string, string>();
  const find = (key: string): string => {
    let root = key;
    for (let up = parent.get(root); up !== undefined && up !== root; up = parent.get(root)) root = up;
    // Path compression: the next walk from here is one step.
    for (let at = key; at !== root;) {
      const up = parent.get(at)!;
      parent.set(at, root);
      at = up;
    }
    return root;
  };
  for (const mail of mails) {
    for (const key of linksOf(mail)) {
      if (!parent.has(key)) parent.set(key, key);
      const [own, other] = [find(`mail:${mail.id}`), find(key)];
      if (own !== other) parent.set(other, own);
    }
  }
  const firstOf = new Map<string, string>();
  return new Map(
    mails.map((mail) => {
      const root = find(`mail:${mail.id}`);
      if (!firstOf.has(root)) firstOf.set(root, mail.id);
      return [mail.id, firstOf.get(root)!];
    }),
  );
}

/** Everything that links a mail to others; equal keys mean one thread. */
function linksOf(mail: Linkable): string[] {
  const keys = [`mail:${mail.id}`, ...[mail.messageId, ...mail.answers].filter((id) => id !== null).map((id) => `id:${id}`)];
  const subject = normalSubject(mail.subject);
  if (subject !== '') keys.push(`subject:${subject}`);
  const opening = lettersOf(mail.text).slice(0, OPENING_LETTERS);
  if (opening.length === OPENING_LETTERS) keys.push(`opening:${opening}`);
  return keys;
}

/** The subject without reply marks, list tags, digits and punctuation. */
export function normalSubject(subject: string): string {
  let bare = subject.toLowerCase();
  for (let before = ''; before !== bare;) {
    before = bare;
    bare = bare.replace(/^\s*(?:(?:re|fwd?|aw|sv|antwort)\s*(?:\[\d+\]|\(\d+\))?\s*:|\[[^\]]{1,40}\])\s*/, '');
  }
  return bare.replace(/[^\p{L}]+/gu, ' ').trim();
}

/** Equal for two mails whose bodies differ in nothing but digits, spacing, punctuation, addresses and links. */
export function bodyKey(mail: Pick<Linkable, 'subject' | 'text'>): string {
  const body = lettersOf(mail.text);
  return body.length >= MIN_BODY_LETTERS ? body : `${normalSubject(mail.subject)}|${body}`;
}

function lettersOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/(?:https?:\/\/|www\.)\S+|\S+@\S+/g, '')
    .replace(/[^\p{L}]+/gu, '');
}
