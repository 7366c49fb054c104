/** Laps: a trace that goes round in circles, told once round. */

/** What is done so many times in a row is a lap. */
const LEAST_LAPS = 3;
/** Longer circles are told in full. */
const LONGEST_LAP = 64;

/** The lines with each lap told once, and how often it was gone round. Times and counts differ from lap to lap and do not matter. */
export function tellLaps(lines: readonly string[]): readonly string[] {
  const shapes = lines.map((line) => line.replace(/^\S+ /, '').replaceAll(/(?<=#| )-?\d+(?:\.\d+)?/g, ''));
  const told: string[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const { length, until } = lapAt(shapes, at);
    if (length === 0) {
      told.push(lines[at]!);
      continue;
    }
    told.push(...lines.slice(at, at + length));
    const what = length === 1 ? 'the last step' : `the last ${length} steps`;
    // What begins and does not end any more is the next lap, cut off by the end.
    told.push(until === lines.length ? `and so on: ${what} again and again` : `${what} ${Math.floor((until - at) / length)} times in all`);
    at = until === lines.length ? until : at + length * Math.floor((until - at) / length) - 1;
  }
  return told;
}

/** The shortest lap that begins here, and until where it is gone round; length 0 when there is none. */
function lapAt(shapes: readonly string[], start: number): { readonly length: number; readonly until: number } {
  const longest = Math.min(LONGEST_LAP, Math.floor((shapes.length - start) / LEAST_LAPS));
  for (let length = 1; length <= longest; length += 1) {
    let until = start + length;
    while (until < shapes.length && shapes[until] === shapes[until - length]) until += 1;
    if (until - start >= LEAST_LAPS * length) return { length, until };
  }
  return { length: 0, until: start };
}
