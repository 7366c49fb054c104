/** Words: moves as each seat would say them, and traces on one line. */

/** What philosopher 0 does, done by another one. */
export function atSeat(says: string, seat: number, seats: number): string {
  return says
    .replaceAll(/fork (\d+)/g, (_, fork: string) => `fork ${(Number(fork) + seat) % seats}`)
    .replaceAll(/philosopher (\d+)/g, (_, other: string) => `philosopher ${(Number(other) + seat) % seats}`);
}

/** `0 takes left, 1 takes left, ... (50 alike)`: neighbours who do the same one after the other are told once. */
export function inShort(trace: readonly string[], seats: number): string {
  const groups: { readonly does: string; readonly first: number; count: number }[] = [];
  for (const says of trace) {
    const seat = Number(/^philosopher (\d+)/.exec(says)?.[1]);
    const does = relative(says, seat, seats);
    const last = groups.at(-1);
    if (last?.does === does && last.first + last.count === seat) last.count += 1;
    else groups.push({ does, first: seat, count: 1 });
  }
  return groups
    .map(({ does, first, count }) => {
      if (count === 1) return `${first} ${does}`;
      const second = `${first + 1} ${does}`;
      return count === 2 ? `${first} ${does}, ${second}` : `${first} ${does}, ${second}, ... (${count} alike)`;
    })
    .join('; ');
}

function relative(says: string, seat: number, seats: number): string {
  return says.replace(/^philosopher \d+ /, '').replaceAll(/fork (\d+)/g, (whole, fork: string) => {
    if (Number(fork) === seat) return 'left';
    return Number(fork) === (seat + 1) % seats ? 'right' : whole;
  });
}

/** `12l 37-`: a table of many philosophers, those alike counted. */
export function tableInShort(letters: string): string {
  if (letters.length <= 10) return letters;
  return Array.from(letters.matchAll(/(.)\1*/g), ([run, letter]) => (run.length > 2 ? `${run.length}${letter}` : run)).join(' ');
}
