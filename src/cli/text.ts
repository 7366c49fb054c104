/** Text: numbers and words as people read them in a terminal. Pure. */

/** One line without control codes: what comes from tasks and models must not steer a terminal. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control codes are what is looked for
  return text.replaceAll(/ *[\u0000-\u001F\u007F-\u009F\u2028\u2029]+ */g, ' ').trim();
}

/** `1,234` */
export function count(n: number): string {
  return Math.round(n).toLocaleString('en-US');
}

/** Three digits at most: `999`, `12.3k`, `1.2M`. */
export function short(n: number): string {
  for (const [unit, letter] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    // What would round up to a thousand of a unit is one of the next.
    if (n >= unit * 0.9995) return `${trimmed(n / unit)}${letter}`;
  }
  return String(Math.round(n));
}

/** `0:07`, `12:30`, `1:02:03`; above a hundred hours days. */
export function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  const hours = Math.floor(seconds / 3_600);
  if (hours >= 100) return `${Math.round(hours / 24)} days`;
  const minutes = Math.floor((seconds % 3_600) / 60);
  const two = (n: number): string => String(n).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** `12.4/s`, and by the minute what is slower than one in ten seconds. */
export function rate(perSecond: number): string {
  return perSecond >= 0.1 || perSecond === 0 ? `${short10(perSecond)}/s` : `${trimmed(perSecond * 60)}/min`;
}

/** `1 task`, `2 tasks`. */
export function plural(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
}

/** Cut to `width` columns, the last of them an ellipsis when something is missing. */
export function fit(text: string, width: number): string {
  if (text.length <= width) return text;
  return width <= 0 ? '' : `${text.slice(0, width - 1).toWellFormed()}…`;
}

/** A word as a POSIX shell takes it. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function short10(n: number): string {
  return n < 1_000 ? trimmed(n) : short(n);
}

function trimmed(n: number): string {
  return n >= 99.95 ? String(Math.round(n)) : String(Math.round(n * 10) / 10);
}
