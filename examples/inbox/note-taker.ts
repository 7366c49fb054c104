/**
 * Note taker: what a mail says, in its own words.
 *
 * 1. Take off what is not the sender's: quoted lines, signature, list footer.
 * 2. Read the rest paragraph by paragraph: sentences, parts of speech, entities.
 * 3. Weigh words by how often the mail has them and how rare they are elsewhere.
 * 4. Topics are the heaviest nouns, the summary is the heaviest sentences, asks
 *    are the sentences that want something.
 */
import type { ExtractAnswer, ShownMail } from './prompts.ts';
import type { Vocabulary } from './vocabulary.ts';
import { read, type ReadToken, type Reading, type Sentence } from './wink.ts';

const MAX_TOPICS = 5;
const MAX_ASKS = 5;
const MAX_PEOPLE = 8;
const MAX_DATES = 6;
const SUMMARY_CHARS = 320;
const SENTENCE_CHARS = 200;

/** Takes notes on one mail. Pure, given what is known of words. */
export function takeNotes(mail: ShownMail, vocabulary: Vocabulary): ExtractAnswer {
  const { own, signature, quotedPeople } = takeApart(mail.text);
  const paragraphs = paragraphsOf(own);
  const readings = paragraphs.map(read);
  const sentences = readings.flatMap((reading) => reading.sentences);
  const subject = read(bareSubject(mail.subject));
  const people = findPeople(mail, signature, quotedPeople, own, sentences, vocabulary);
  const names = new Set(people.flatMap((person) => person.toLowerCase().split(/[^\p{L}]+/u)));
  const weights = weighWords(sentences, subject, vocabulary);
  const asks = findAsks(own, sentences);
  const dates = readings
    .flatMap((reading, index) => datesIn(paragraphs[index]!, reading))
    .filter(isNew)
    .slice(0, MAX_DATES);
  return {
    summary: summarize(sentences, weights) || bareSubject(mail.subject) || clip(own) || 'The mail has no text.',
    people,
    topics: findTopics(sentences, subject, weights, names, vocabulary),
    dates,
    asks,
    urgency: urgencyOf(`${mail.subject}\n${own}`, asks),
  };
}

// --- The sender's own text ---------------------------------------------------

/** "On Thu, 5 Sep 2002, Justin MacCarthy <jm@example.com> wrote:", and its shorter kin. */
const ATTRIBUTION = new RegExp(
  [
    String.raw`^(?:[Oo]n\b.{5,90}?|.{0,40}?)`,
    String.raw`\b(\p{Lu}[\p{L}'.-]+(?: \p{Lu}[\p{L}'.-]*){0,2})["']?`,
    String.raw`\s*(?:[<(\[][^>)\]]*[>)\]])?`,
    String.raw`\s*(?:wrote|writes|said)\s*:?\s*$`,
  ].join(''),
  'u',
);

/** Quoted lines, what introduces them, and what mail programs leave behind. */
const NOT_OWN =
  /^\s*(?:[>|]|\w{0,3}>)|\b(?:wrote|writes|said|mused):$|^-----BEGIN PGP|^Hash: |^-+ ?original message|^(?:From|Sent|To|Cc|Subject): /i;

/** What ends the sender's own text: a signature, the footer of a list, a mail quoted whole. */
const END = /^(?:--|_{20,}|-{4,}.*Yahoo! Groups.*|-+ ?original message ?-*|-+ ?forwarded (?:message|by) .*)$/i;

/** So near to the end, any rule opens a footer; further up it parts sections. */
const FOOTER_LINES = 12;

function takeApart(text: string): { own: string; signature: string[]; quotedPeople: string[] } {
  const quotedPeople: string[] = [];
  const own: string[] = [];
  const lines = text.split('\n');
  const found = lines.findIndex(
    (line, index) => index > 0 && (END.test(line) || (index >= lines.length - FOOTER_LINES && /^[_=*~-]{20,}$/.test(line))),
  );
  const end = found === -1 ? lines.length : found;
  for (const line of lines.slice(0, end)) {
    const attribution = ATTRIBUTION.exec(line);
    if (attribution !== null) quotedPeople.push(attribution[1]!);
    else if (!NOT_OWN.test(line)) own.push(line);
  }
  const signature = lines[end] === '--' ? lines.slice(end + 1, end + 3) : [];
  const kept = own.join('\n').trim();
  // A mail that only quotes is read as a whole.
  return { own: kept === '' ? text.replace(/^\s*>+ ?/gm, '') : kept, signature, quotedPeople };
}

/** Lines of a paragraph are joined, because mails are wrapped in the middle of sentences; short ones stand alone. */
function paragraphsOf(text: string): string[] {
  return text.split(/\n\s*\n/).flatMap((block) => {
    const paragraphs: string[] = [];
    let open = false;
    const lines = block
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => /[\p{L}\d]/u.test(line));
    const width = Math.max(...lines.map((line) => line.length));
    for (const line of lines) {
      if (open && !/^[-*•\d]+[.)]? /.test(line)) paragraphs[paragraphs.length - 1] += ` ${line}`;
      else paragraphs.push(line);
      open = line.length >= Math.max(30, width * 0.7);
    }
    return paragraphs;
  });
}

const bareSubject = (subject: string) => subject.replace(/^\s*(?:(?:re|fwd?|aw|sv)\s*(?:\[\d+\])?\s*:|\[[^\]]{1,40}\]|\s)+/gi, '').trim();

// --- Words -------------------------------------------------------------------

const isContent = (token: ReadToken) =>
  token.type === 'word' && !token.stop && /^\p{L}[\p{L}\d+-]{2,24}$/u.test(token.normal) && /^(?:NOUN|PROPN|ADJ|VERB)$/.test(token.pos);

/** A noun that can be a topic; days and months are dates. */
const isNoun = (token: ReadToken) => isContent(token) && /^(?:NOUN|PROPN)$/.test(token.pos) && !CALENDAR.test(token.normal);

const CALENDAR = new RegExp(
  '^(?:\\w{3,6}day|today|tomorrow|yesterday|january|february|march|april|june|july|august|september|october|november|december)$',
);

/** Term frequency, dampened, times rarity. The subject counts double. */
function weighWords(sentences: readonly Sentence[], subject: Reading, vocabulary: Vocabulary): Map<string, number> {
  const counts = new Map<string, number>();
  const count = (tokens: readonly ReadToken[], times: number) => {
    for (const { normal } of tokens.filter(isContent)) counts.set(normal, (counts.get(normal) ?? 0) + times);
  };
  for (const sentence of sentences) count(sentence.tokens, 1);
  for (const sentence of subject.sentences) count(sentence.tokens, 2);
  return new Map([...counts].map(([word, times]) => [word, (1 + Math.log(times)) * vocabulary.rarity(word)]));
}

function findTopics(
  sentences: readonly Sentence[],
  subject: Reading,
  weights: ReadonlyMap<string, number>,
  names: ReadonlySet<string>,
  vocabulary: Vocabulary,
): string[] {
  const scores = new Map<string, number>();
  const weigh = (tokens: readonly ReadToken[], inSubject: boolean) => {
    tokens.forEach((token, index) => {
      if (!isNoun(token) || names.has(token.normal)) return;
      const weight = weights.get(token.normal) ?? 0;
      // A word nobody else uses is more often a slip or an identifier than a topic.
      if (inSubject || vocabulary.mailsWith(token.normal) >= 3) scores.set(token.normal, weight);
      const before = tokens[index - 1];
      if (before === undefined || !isContent(before) || before.pos === 'VERB' || names.has(before.normal)) return;
      const phrase = `${before.normal} ${token.normal}`;
      const both = (weight + (weights.get(before.normal) ?? 0)) / 2;
      // A pair counts where it is repeated, or stands in the subject.
      scores.set(phrase, inSubject || scores.has(phrase) ? both * 1.3 : both * 0.6);
    });
  };
  for (const sentence of subject.sentences) weigh(sentence.tokens, true);
  for (const sentence of sentences) weigh(sentence.tokens, false);
  const topics: string[] = [];
  for (const [topic] of [...scores].toSorted((a, b) => b[1] - a[1])) {
    const words = topic.split(' ');
    if (topics.some((taken) => taken.split(' ').some((word) => words.includes(word)))) continue;
    topics.push(topic);
    if (topics.length === MAX_TOPICS) break;
  }
  return topics;
}

// --- Sentences ---------------------------------------------------------------

/** The best sentence, and the next best if both are short enough, in the order of the mail. */
function summarize(sentences: readonly Sentence[], weights: ReadonlyMap<string, number>): string {
  const scored = sentences.map((sentence, index) => {
    const words = new Set(sentence.tokens.filter(isContent).map((token) => token.normal));
    const length = sentence.tokens.filter((token) => token.type === 'word').length;
    // Tables and listings have tokens, but few of them are words.
    const isProse = length >= 4 && length > 0.6 * sentence.tokens.length;
    const weight = [...words].reduce((sum, word) => sum + (weights.get(word) ?? 0), 0);
    // Length is paid for, and mails say first what they are about.
    const score = !isProse ? 0 : (weight / (length + 6)) * (1 + 0.6 / (1 + index));
    return { index, score, text: clip(sentence.text) };
  });
  const [best, ...others] = scored.filter(({ score }) => score > 0).toSorted((a, b) => b.score - a.score);
  if (best === undefined) return '';
  const next = others.find(({ text }) => text !== best.text);
  if (next === undefined || best.text.length + next.text.length > SUMMARY_CHARS) return best.text;
  return [best, next]
    .toSorted((a, b) => a.index - b.index)
    .map(({ text }) => text)
    .join(' ');
}

const WANTS = anyOf(
  'please',
  'pls',
  '(?:could|can|would|will) you',
  'do you (?:know|have|want)',
  'let (?:me|us) know',
  'help me',
  'make sure',
  "don't forget",
  'remember to',
  'you (?:should|must|need to|have to)',
  'get back to me',
  'reply by',
  '(?:i|we) (?:would )?need (?:you|your|someone|somebody|some|help|to know)',
  'anyone (?:know|have|help)',
  'any (?:ideas|suggestions|help)',
  '(?:is|are) (?:requested|required)',
  'requires? (?:your |an )?(?:approval|answer|action)',
);

const QUESTION = /[\p{L}\d"')]\?+["')]*$/u;

/** Footers ask too, on behalf of nobody. */
const BOILERPLATE = /unsubscri|subscription|mailing list|click here|http:\/\/\S+mailman|remove (?:me|yourself)|terms of service/i;

/** Openings of a sentence that ask for an act, where the tagger calls them verbs. */
const IMPERATIVES: ReadonlySet<string> = new Set([
  'add',
  'ask',
  'bring',
  'call',
  'change',
  'check',
  'choose',
  'contact',
  'delete',
  'download',
  'email',
  'ensure',
  'fix',
  'forward',
  'install',
  'join',
  'keep',
  'mail',
  'open',
  'post',
  'read',
  'register',
  'remove',
  'reply',
  'report',
  'review',
  'run',
  'send',
  'sign',
  'submit',
  'tell',
  'try',
  'update',
  'vote',
]);

/** What a publisher sends to everybody asks nobody: an article from a feed, a newsletter full of links. */
const isPublished = (text: string) =>
  /^(?:url|link): *https?:/i.test(text) || (/unsubscri/i.test(text) && (text.match(/https?:\/\//g) ?? []).length >= 4);

/** Requests before mere questions, each in the order of the mail. */
function findAsks(text: string, sentences: readonly Sentence[]): string[] {
  if (isPublished(text)) return [];
  const asking = sentences.filter(({ text: said, tokens }) => {
    const words = tokens.filter((token) => token.type === 'word').length;
    return words >= 4 && words <= 60 && !BOILERPLATE.test(said);
  });
  const requests = asking.filter(isRequest);
  const questions = asking.filter((sentence) => !requests.includes(sentence) && QUESTION.test(sentence.text.trim()));
  return [...requests, ...questions]
    .map((sentence) => clip(sentence.text))
    .filter(isNew)
    .slice(0, MAX_ASKS);
}

function isRequest({ text, tokens }: Sentence): boolean {
  const [first] = tokens;
  return WANTS.test(text) || (first?.pos === 'VERB' && IMPERATIVES.has(first.normal));
}

// --- People, dates, urgency --------------------------------------------------

const NAME = /^\p{Lu}[\p{L}'-]+(?: (?:\p{Lu}\.?|\p{Lu}[\p{L}'-]+)){0,2}$/u;

function findPeople(
  mail: ShownMail,
  signature: readonly string[],
  quoted: readonly string[],
  own: string,
  sentences: readonly Sentence[],
  vocabulary: Vocabulary,
): string[] {
  const isKnown = (name: string) => vocabulary.isGivenName(name.split(' ')[0]!.toLowerCase());
  const lines = own.split('\n').filter((line) => line !== '');
  const greeting = /^(?:hi|hello|hey|dear)[ ,]+(\p{Lu}[\p{L}'-]+(?: \p{Lu}[\p{L}'-]+)?)\s*[,:!.-]*$/iu.exec(lines[0] ?? '')?.[1];
  const closing = lines.at(-1)?.replace(/^(?:thanks|regards|cheers|best)[,.! ]+/i, '') ?? '';
  const found = [
    mail.fromName.replace(/\s*(?:\(.*\)|via .*)$/, '').replace(/^([^,]+), ([^,]+)$/, '$2 $1'),
    ...quoted.filter((name) => name.includes(' ') || isKnown(name)),
    ...[greeting ?? '', closing, ...signature].filter(isKnown),
    ...sentences.flatMap(({ tokens }) => namesIn(tokens)).filter(isKnown),
  ]
    .map((name) => name.trim())
    .filter((name) => NAME.test(name) && name.length <= 40);
  // "Robert" is the Robert of "Robert Elz".
  const full = [...new Set(found)];
  return full.filter((name) => !full.some((other) => other !== name && other.split(' ').includes(name))).slice(0, MAX_PEOPLE);
}

/** Runs of one to three proper nouns with capitals. */
function namesIn(tokens: readonly ReadToken[]): string[] {
  const names: string[] = [];
  let run: string[] = [];
  for (const token of [...tokens, undefined]) {
    if (token?.pos === 'PROPN' && /^\p{Lu}\p{Ll}[\p{L}'-]*$/u.test(token.value)) run.push(token.value);
    else {
      if (run.length > 0 && run.length <= 3) names.push(run.join(' '));
      run = [];
    }
  }
  return names;
}

const MONTHS = [
  'jan(?:uary)?',
  'feb(?:ruary)?',
  'mar(?:ch)?',
  'apr(?:il)?',
  'may',
  'june?',
  'july?',
  'aug(?:ust)?',
  'sept?(?:ember)?',
  'oct(?:ober)?',
  'nov(?:ember)?',
  'dec(?:ember)?',
];
const MONTH = `(?:${MONTHS.join('|')})`;
const DAY = String.raw`\d{1,2}(?:st|nd|rd|th)?`;

/** Dates in full, which the entity recognition takes apart: "Thursday, September 05, 2002". */
const FULL_DATE = new RegExp(
  [
    String.raw`\b(?:(?:mon|tue|wed|thu|fri|sat|sun)\w*,? )?`,
    String.raw`(?:${MONTH}\.? ${DAY}|${DAY} ${MONTH}\b)`,
    String.raw`(?:,? \d{4}\b)?`,
  ].join(''),
  'gi',
);

function datesIn(paragraph: string, { entities }: Reading): string[] {
  const full = paragraph.match(FULL_DATE) ?? [];
  const others = entities.filter(({ type }) => type === 'DATE' || type === 'TIME').map(({ value }) => oneLine(value));
  // A bare year says nothing without its sentence, and "may" is mostly a verb.
  const news = others.filter((date) => !full.some((each) => each.includes(date)) && !/^(?:\d{4}|may)$/i.test(date));
  return [...full, ...news];
}

const PRESSING = anyOf(
  'urgent(?:ly)?',
  'asap',
  'as soon as possible',
  'immediate(?:ly)?',
  'emergency',
  'right away',
  'critical',
  'deadline',
  'time is short',
  'security (?:advisory|alert|hole|update)',
  'vulnerabilit(?:y|ies)',
);

const SOON = anyOf(
  'today',
  'tonight',
  'tomorrow',
  '(?:by|before|until|till) (?:noon|midnight|the end of|(?:next )?(?:mon|tues|wednes|thurs|fri|satur|sun)day)',
);

function urgencyOf(text: string, asks: readonly string[]): ExtractAnswer['urgency'] {
  if (PRESSING.test(text) || asks.some((ask) => SOON.test(ask))) return 'high';
  return asks.length > 0 ? 'normal' : 'low';
}

// --- Text --------------------------------------------------------------------

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();

/** At most `SENTENCE_CHARS` characters, cut between words where there is a blank. */
function clip(text: string): string {
  const line = oneLine(text);
  if (line.length <= SENTENCE_CHARS) return line;
  const blank = line.lastIndexOf(' ', SENTENCE_CHARS - 1);
  return `${line.slice(0, blank > 0 ? blank : SENTENCE_CHARS - 1).toWellFormed()}…`;
}

/** Whole words or phrases, upper or lower case. A declaration, because constants above use it. */
function anyOf(...phrases: string[]): RegExp {
  return new RegExp(`\\b(?:${phrases.join('|')})\\b`, 'i');
}

const isNew = (item: string, index: number, items: readonly string[]) => items.indexOf(item) === index;
