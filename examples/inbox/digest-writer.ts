/** Digest writer: notes on some mails become short Markdown, what needs an answer first. */
import type { DigestItem } from './prompts.ts';

const MAX_BULLETS = 12;
/** So many bullets ask for an answer at most; the rest stays for the news. */
const MAX_ANSWERS = 7;

const RANK = { high: 0, normal: 1, low: 2 } as const;

/** Pure: the same notes in the same order give the same digest. */
export function writeDigest(items: readonly DigestItem[]): string {
  const open = items.filter((item) => item.notes.asks.length > 0).toSorted((a, b) => RANK[a.notes.urgency] - RANK[b.notes.urgency]);
  const answers = open.slice(0, MAX_ANSWERS);
  const rest = items.filter((item) => !answers.includes(item));
  const groups = groupByTopic(rest);
  const room = MAX_BULLETS - answers.length;
  // Where not all groups fit, the last bullet counts what is left out.
  const shown = groups.length <= room ? groups : groups.slice(0, room - 1);
  const hidden = groups.slice(shown.length).flatMap(([, members]) => members);
  const bullets = [...answers.map(askOf), ...shown.map(([topic, members]) => storyOf(topic, members))];
  if (hidden.length > 0) {
    const subjects = hidden
      .slice(0, 4)
      .map((item) => item.subject)
      .join('; ');
    bullets.push(`And ${plural(hidden.length, 'more mail')}: ${subjects}`);
  }
  const urgent = open.filter((item) => item.notes.urgency === 'high').length;
  const heading = `# Inbox: ${plural(items.length, 'mail')}, ${open.length} to answer${urgent === 0 ? '' : `, ${urgent} urgent`}`;
  return [heading, '', ...(bullets.length === 0 ? ['Nothing new.'] : bullets).map((bullet) => `- ${oneLine(bullet)}`)].join('\n');
}

/** Each mail goes to the topic it shares with the most others; the largest groups come first. */
function groupByTopic(items: readonly DigestItem[]): [topic: string, members: DigestItem[]][] {
  const mailsOn = new Map<string, number>();
  for (const { notes } of items) {
    for (const topic of new Set(notes.topics)) mailsOn.set(topic, (mailsOn.get(topic) ?? 0) + 1);
  }
  const mainTopic = ({ notes }: DigestItem, index: number) => {
    const alone = `mail ${index}`;
    return notes.topics.reduce((best, topic) => (mailsOn.get(topic)! > (mailsOn.get(best) ?? 1) ? topic : best), alone);
  };
  return [...Map.groupBy(items, mainTopic)].toSorted((a, b) => b[1].length - a[1].length);
}

const askOf = (item: DigestItem) =>
  `${item.notes.urgency === 'high' ? '**Urgent**' : '**To answer**'} ${titleOf(item)}: ${item.notes.asks[0]}`;

function storyOf(topic: string, members: readonly DigestItem[]): string {
  const [first] = members as [DigestItem];
  if (members.length === 1) return `${titleOf(first)}: ${first.notes.summary}`;
  const senders = [...new Set(members.map((item) => item.from))];
  const named = senders.slice(0, 3).join(', ') + (senders.length > 3 ? ' and others' : '');
  return `**${topic}** (${plural(members.length, 'mail')}, ${named}): ${first.notes.summary}`;
}

const titleOf = (item: DigestItem) => `${item.from} on "${item.subject}"`;

const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();
