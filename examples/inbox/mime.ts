/**
 * MIME: the bytes of a mail become the fields and the text a reader would see.
 *
 * Bytes travel as latin1 strings (one character per byte) until the charset of
 * their part is known. Nothing here throws: a broken mail is still a mail, and
 * the worst case is text with a few replacement characters.
 *
 * @see RFC 5322 (headers), RFC 2045 and 2046 (MIME), RFC 2047 (encoded words)
 */

/** One mail as it stands in its file, before anything is known about its label. */
export interface ParsedMail {
  /** The address of the sender, lower case; empty if the header has none. */
  readonly from: string;
  /** The display name of the sender; empty if the header has none. */
  readonly fromName: string;
  readonly subject: string;
  /** ISO 8601 in UTC, or null if the header cannot be read as a date. */
  readonly date: string | null;
  /** The readable text: `text/plain` where there is one, else the text of the HTML. */
  readonly text: string;
  /** Message ids without brackets: this mail's own, if it has one. */
  readonly messageId: string | null;
  /** Message ids this mail answers: In-Reply-To and References together. */
  readonly answers: readonly string[];
}

type Headers = ReadonlyMap<string, string>;

interface ContentType {
  readonly type: string;
  readonly charset: string | undefined;
  readonly boundary: string | undefined;
}

/** Multiparts nest; a hostile mail must not nest us out of stack. */
const MAX_DEPTH = 8;

/** Reads one mail. Never throws, whatever the bytes. */
export function parseMail(bytes: Buffer): ParsedMail {
  const [headers, body] = splitHeaders(unixLines(bytes.toString('latin1')));
  const { address, name } = parseAddress(headers.get('from') ?? '');
  return {
    from: address,
    fromName: name,
    subject: oneLine(decodeHeader(headers.get('subject') ?? '')),
    date: parseDate(headers.get('date') ?? ''),
    text: tidy(readEntity(headers, body, 0)),
    messageId: messageIds(headers.get('message-id') ?? '')[0] ?? null,
    answers: [...messageIds(headers.get('in-reply-to') ?? ''), ...messageIds(headers.get('references') ?? '')],
  };
}

// --- Headers -----------------------------------------------------------------

function splitHeaders(source: string): [Headers, string] {
  const end = source.startsWith('\n') ? 0 : source.indexOf('\n\n');
  const head = end === -1 ? source : source.slice(0, end);
  const body = end === -1 ? '' : source.slice(end).replace(/^\n{1,2}/, '');
  const headers = new Map<string, string>();
  // A folded line belongs to the one above it.
  for (const line of head.replace(/\n[ \t]+/g, ' ').split('\n')) {
    // The mbox separator ("From a@b Thu ...") and stray lines have no field name.
    const field = /^([!-9;-~]+)[ \t]*:(.*)$/s.exec(line);
    if (field === null) continue;
    const name = field[1]!.toLowerCase();
    // The first one counts: relays add theirs above, forgers add theirs below.
    if (!headers.has(name)) headers.set(name, field[2]!.trim());
  }
  return [headers, body];
}

/** Decodes the encoded words of a header value (RFC 2047), and raw 8-bit bytes beside them. */
export function decodeHeader(value: string): string {
  // White space between two encoded words is part of the encoding, not of the text.
  const joined = value.replace(/(=\?[^?\s]+\?[bq]\?[^?]*\?=)\s+(?==\?[^?\s]+\?[bq]\?)/gi, '$1');
  let text = '';
  let last = 0;
  for (const word of joined.matchAll(/=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bq])\?([^?]*)\?=/gi)) {
    const [whole, charset, encoding, encoded] = word as unknown as [string, string, string, string];
    const bytes = encoding.toLowerCase() === 'b' ? decodeBase64(encoded) : decodeQuoted(encoded.replaceAll('_', ' '));
    text += decodeCharset(joined.slice(last, word.index), undefined) + decodeCharset(bytes, charset);
    last = word.index + whole.length;
  }
  return text + decodeCharset(joined.slice(last), undefined);
}

function parseAddress(value: string): { address: string; name: string } {
  // Three shapes: "Name" <a@b>, a@b (Name), a@b. Cut before decoding: a decoded name may hold brackets.
  const angle = /^(.*?)<([^<>]*)>/.exec(value);
  const comment = /^([^\s()]+)\s*\((.*)\)/.exec(value);
  const bare = /[^\s<>"(),;]+@[^\s<>"(),;]+/.exec(value);
  const address = angle?.[2] ?? comment?.[1] ?? bare?.[0] ?? '';
  const name = angle?.[1] ?? comment?.[2] ?? (bare === null ? value : '');
  const unquoted = oneLine(name)
    .replace(/^(["'])(.*)\1$/, '$2')
    .replaceAll('\\"', '"');
  return { address: address.trim().toLowerCase(), name: oneLine(decodeHeader(unquoted)) };
}

function parseDate(value: string): string | null {
  // Date.parse finds a year in nearly anything; a mail has the time of day as well.
  if (!/\d:\d\d/.test(value)) return null;
  // Without a zone, Date.parse would answer in the zone of this machine.
  const zoned = /[+-]\d{4}|\b(?:UTC?|GMT|[ECMP][SD]T)\b/.test(value) ? value : `${value} +0000`;
  const ms = Date.parse(zoned.replace(/\([^()]*\)/g, ''));
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

function messageIds(value: string): string[] {
  return [...value.matchAll(/<([^<>\s]+@[^<>\s]+)>/g)].map((match) => match[1]!);
}

function parseContentType(value: string): ContentType {
  const parameter = (name: string) => {
    const found = new RegExp(`;\\s*${name}\\s*=\\s*(?:"([^"]*)"|([^\\s;]+))`, 'i').exec(value);
    return (found?.[1] ?? found?.[2])?.trim();
  };
  const type = /^\s*([^\s;]+)/.exec(value)?.[1]?.toLowerCase() ?? 'text/plain';
  return { type, charset: parameter('charset'), boundary: parameter('boundary') };
}

// --- Bodies ------------------------------------------------------------------

function readEntity(headers: Headers, body: string, depth: number): string {
  const content = parseContentType(headers.get('content-type') ?? '');
  if (/^\s*attachment/i.test(headers.get('content-disposition') ?? '')) return '';
  if (content.type.startsWith('multipart/') && content.boundary !== undefined && depth < MAX_DEPTH) {
    return readMultipart(content.type, splitParts(body, content.boundary), depth + 1);
  }
  if (content.type === 'message/rfc822' && depth < MAX_DEPTH) {
    return readEntity(...splitHeaders(body), depth + 1);
  }
  // A multipart without a boundary is read as the text it looks like.
  if (!/^(?:text|multipart)\//.test(content.type) && content.type.includes('/')) return '';
  const bytes = decodeTransfer(body, headers.get('content-transfer-encoding') ?? '');
  const text = decodeCharset(bytes, content.charset);
  if (content.type !== 'text/html' && !looksLikeHtml(text)) return text;
  const visible = htmlToText(text);
  return visible.trim() === '' ? linksOf(text) : visible;
}

function readMultipart(type: string, parts: readonly string[], depth: number): string {
  const read = parts.map((part) => {
    const [headers, body] = splitHeaders(part);
    return { type: parseContentType(headers.get('content-type') ?? '').type, text: readEntity(headers, body, depth) };
  });
  const full = read.filter((part) => part.text.trim() !== '');
  if (type === 'multipart/alternative') {
    return (full.find((part) => part.type === 'text/plain') ?? full[0])?.text ?? '';
  }
  return full.map((part) => part.text).join('\n\n');
}

/** The parts between the boundary lines; a missing closing line ends the last part with the mail. */
function splitParts(body: string, boundary: string): string[] {
  const parts: string[][] = [];
  for (const line of body.split('\n')) {
    // The whole line must match: the boundary of an inner multipart often starts with the outer one.
    const mark = line.trimEnd();
    if (mark === `--${boundary}--`) break;
    if (mark === `--${boundary}`) parts.push([]);
    else parts.at(-1)?.push(line);
  }
  // No boundary found at all: better the whole body, as one part without headers, than nothing.
  return parts.length === 0 ? [`\n${body}`] : parts.map((lines) => lines.join('\n'));
}

function decodeTransfer(body: string, encoding: string): string {
  switch (encoding.trim().toLowerCase()) {
    case 'quoted-printable':
      return decodeQuoted(body.replace(/=[ \t]*\n/g, ''));
    case 'base64':
      return decodeBase64(body);
    default:
      return body;
  }
}

function decodeQuoted(text: string): string {
  return text.replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function decodeBase64(text: string): string {
  // Buffer skips what is not base64 and stops at the first "=", so text a list
  // server appends after the padding is cut off, as it should be.
  return Buffer.from(text, 'base64').toString('latin1');
}

function decodeCharset(bytes: string, charset: string | undefined): string {
  // Plain ASCII reads the same in every charset here, except those that switch with ESC.
  // oxlint-disable-next-line no-control-regex -- ESC is what is looked for
  if (!/[\x80-\xff\x1b]/.test(bytes)) return bytes;
  const raw = Buffer.from(bytes, 'latin1');
  if (charset !== undefined && !/^us-ascii$/i.test(charset)) {
    try {
      return new TextDecoder(charset.trim()).decode(raw);
    } catch {
      // An invented charset ("default_charset"): guess, as for none.
    }
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(raw);
  } catch {
    return new TextDecoder('windows-1252').decode(raw);
  }
}

// --- HTML --------------------------------------------------------------------

const looksLikeHtml = (text: string) => /<(?:!doctype html|html|body|table|font)\b/i.test(text.slice(0, 4_000));

const BLOCK = /^\/?(?:p|div|br|hr|tr|table|ul|ol|li|h[1-6]|blockquote|center|pre|title|form|option)$/;

/** Content a reader does not see. */
const HIDDEN = /^(?:script|style|head)$/;

/** The visible text of an HTML document, block elements on lines of their own. One pass, any input. */
export function htmlToText(html: string): string {
  let text = '';
  let at = 0;
  while (at < html.length) {
    const open = html.indexOf('<', at);
    if (open === -1) return decodeEntities(text + flat(html.slice(at)));
    text += flat(html.slice(at, open));
    if (html.startsWith('<!--', open) && html.includes('-->', open + 4)) {
      at = after(html, '-->', open + 4);
      continue;
    }
    const name = /^<(\/?[a-z][a-z0-9]*)/i.exec(html.slice(open, open + 24))?.[1]?.toLowerCase();
    if (name === undefined && html[open + 1] !== '!' && html[open + 1] !== '?' && html[open + 1] !== '/') {
      // "1 < 2": a bracket that opens no tag is text.
      text += '<';
      at = open + 1;
      continue;
    }
    at = after(html, '>', open + 1);
    if (name === undefined) continue;
    if (HIDDEN.test(name)) at = afterClosing(html, name, at);
    else if (BLOCK.test(name)) text += '\n';
    else if (name === 'td' || name === 'th') text += ' ';
  }
  return decodeEntities(text);
}

/** What a mail that is only pictures has to say: where it points. */
function linksOf(html: string): string {
  const links = html.match(/https?:\/\/[^\s"'<>]{4,200}/gi) ?? [];
  return [...new Set(links)].slice(0, 5).join('\n');
}

/** A line break in HTML source is a space; only elements break lines. */
const flat = (source: string) => source.replace(/\s+/g, ' ');

function after(source: string, mark: string, from: number): number {
  const found = source.indexOf(mark, from);
  return found === -1 ? source.length : found + mark.length;
}

function afterClosing(html: string, name: string, from: number): number {
  const closing = new RegExp(`</${name}\\s*>`, 'gi');
  closing.lastIndex = from;
  // An element that is never closed hides nothing: real mails forget `</head>`.
  return closing.exec(html) === null ? from : closing.lastIndex;
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  copy: '©',
  reg: '®',
  trade: '™',
  bull: '•',
  middot: '·',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  laquo: '«',
  raquo: '»',
  euro: '€',
  pound: '£',
  yen: '¥',
  cent: '¢',
  deg: '°',
  frac12: '½',
  times: '×',
  auml: 'ä',
  ouml: 'ö',
  uuml: 'ü',
  Auml: 'Ä',
  Ouml: 'Ö',
  Uuml: 'Ü',
  szlig: 'ß',
  eacute: 'é',
  egrave: 'è',
  agrave: 'à',
  aacute: 'á',
  ccedil: 'ç',
  ntilde: 'ñ',
  oacute: 'ó',
  iacute: 'í',
  uacute: 'ú',
  ecirc: 'ê',
  acirc: 'â',
  ocirc: 'ô',
};

function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z][a-z0-9]{1,7}));?/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name as string] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex as string, 16) : Number(decimal);
    // 128 to 159 are windows-1252 in practice, whatever the standard says.
    if (code >= 128 && code < 160) return decodeCharset(String.fromCharCode(code), 'windows-1252');
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : ' ';
  });
}

// --- Text --------------------------------------------------------------------

const unixLines = (text: string) => text.replaceAll('\r\n', '\n').replaceAll('\r', '\n');

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();

/** Control characters, trailing blanks and towers of empty lines carry no meaning. */
function tidy(text: string): string {
  return (
    unixLines(text)
      // oxlint-disable-next-line no-control-regex -- control characters are what is removed
      .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\ufeff]/g, '')
      .replace(/[ \t\u00a0]+/g, ' ')
      .replace(/ ?\n ?/g, '\n')
      .replace(/\n{3,}/g, '\n\n')
      .trim()
  );
}
