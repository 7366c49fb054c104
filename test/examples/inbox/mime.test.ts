import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { decodeHeader, htmlToText, parseMail } from '../../../examples/inbox/mime.ts';

const mail = (...lines: string[]) => parseMail(Buffer.from(lines.join('\n'), 'latin1'));

describe('headers', () => {
  test('a folded header is one value, and the mbox line above is none', () => {
    const read = mail('From a@b  Thu Aug 22 12:36:23 2002', 'Subject: one', '\ttwo', '  three', 'From: Ann <ANN@Example.com>', '', 'Hi');
    expect(read).toMatchObject({ subject: 'one two three', from: 'ann@example.com', fromName: 'Ann', text: 'Hi' });
  });

  test.each([
    ['=?ISO-8859-1?Q?Caf=E9_au_lait?=', 'Café au lait'],
    ['=?utf-8?B?w6TDtsO8?= and more', 'äöü and more'],
    ['=?iso-8859-1?q?two?= \n =?iso-8859-1?q?_words?=', 'two words'],
    ['=?big5?B?p0u2Tw==?=', '免費'],
    ['=?default_charset?Q?still_read?=', 'still read'],
    ['=?broken?Q?', '=?broken?Q?'],
  ])('the encoded word %s reads %s', (encoded, decoded) => expect(decodeHeader(encoded)).toBe(decoded));

  test.each([
    ['"Doe, Jane" <jane@x.org>', 'jane@x.org', 'Doe, Jane'],
    ['jane@x.org (Jane Doe)', 'jane@x.org', 'Jane Doe'],
    ['jane@x.org', 'jane@x.org', ''],
    ['=?iso-8859-1?Q?J=F8rgen?= <j@x.org>', 'j@x.org', 'Jørgen'],
    ['undisclosed', '', 'undisclosed'],
  ])('the sender %s has the address "%s" and the name "%s"', (header, from, fromName) =>
    expect(mail(`From: ${header}`, '', '')).toMatchObject({ from, fromName }),
  );

  test('a date is read in UTC, without a zone too, and an unreadable one is null', () => {
    expect(mail('Date: Thu, 22 Aug 2002 18:26:25 +0700', '', '').date).toBe('2002-08-22T11:26:25.000Z');
    expect(mail('Date: Thu, 22 Aug 2002 18:26:25', '', '').date).toBe('2002-08-22T18:26:25.000Z');
    expect(mail('Date: some day', '', '').date).toBeNull();
  });

  test('message ids come without brackets, from both headers that answer', () => {
    const read = mail('Message-Id: <c@x>', 'In-Reply-To: Your message of Monday <b@x>', 'References: <a@x>', ' <b@x>', '', '');
    expect(read).toMatchObject({ messageId: 'c@x', answers: ['b@x', 'a@x', 'b@x'] });
  });
});

describe('bodies', () => {
  const alternative = (inner: string[]) => mail('Content-Type: multipart/alternative;', ' boundary="--b"', '', 'preamble', ...inner);

  test('quoted-printable joins soft line breaks and decodes its charset', () => {
    const read = mail(
      'Content-Type: text/plain; charset=iso-8859-15',
      'Content-Transfer-Encoding: Quoted-Printable',
      '',
      '5 =A4 is=',
      ' cheap=3D',
    );
    expect(read.text).toBe('5 € is cheap=');
  });

  test('base64 is decoded, and text that a list appends to it is not', () => {
    const encoded = Buffer.from('Grüße').toString('base64');
    expect(mail('Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: base64', '', encoded).text).toBe('Grüße');
    expect(mail('Content-Transfer-Encoding: base64', '', 'SGVsbG8=', '___', 'list footer').text).toBe('Hello');
  });

  test('raw 8-bit bytes without a charset are read as UTF-8 if they are, else as windows-1252', () => {
    expect(mail('', 'caf\xe9 \x93so\x94').text).toBe('café “so”');
    expect(mail('', 'caf\xc3\xa9').text).toBe('café');
  });

  test('of alternatives the plain text is read, the HTML only where the text is empty', () => {
    const html = ['----b', 'Content-Type: text/html', '', '<p>rich</p>'];
    expect(alternative([...html, '----b', 'Content-Type: text/plain', '', 'plain', '----b--']).text).toBe('plain');
    expect(alternative(['----b', 'Content-Type: text/plain', '', ' ', ...html, '----b--', 'epilogue']).text).toBe('rich');
  });

  test('an inner boundary that begins with the outer one does not end the outer part', () => {
    const read = mail(
      'Content-Type: multipart/mixed; boundary=B',
      '',
      '--B',
      'Content-Type: multipart/alternative; boundary=BB',
      '',
      '--BB',
      '',
      'inner',
      '--BB--',
      '--B',
      'Content-Disposition: attachment; filename=a.txt',
      '',
      'attached',
      '--B',
      '',
      'second',
      '--B--',
    );
    expect(read.text).toBe('inner\n\nsecond');
  });

  test.each([
    ['a boundary that never comes', ['Content-Type: multipart/mixed; boundary=x', '', 'still here']],
    ['a multipart without a boundary', ['Content-Type: multipart/mixed', '', 'still here']],
    ['a multipart that is never closed', ['Content-Type: multipart/mixed; boundary=x', '', '--x', '', 'still here']],
    ['a charset nobody knows', ['Content-Type: text/plain; charset="no such"', '', 'still here']],
    ['HTML that calls itself plain', ['Content-Type: text/plain', '', '<html><b>still</b> here']],
    ['no headers at all', ['', 'still here']],
  ])('%s leaves the text readable', (_, lines) => expect(mail(...lines).text).toBe('still here'));

  property.prop([fc.uint8Array({ maxLength: 300 })])('no bytes at all make it throw', (bytes) => {
    const start = 'Content-Type: multipart/mixed; boundary="b"\nSubject: =?utf-8?b?';
    expect(() => parseMail(Buffer.concat([Buffer.from(start), bytes]))).not.toThrow();
  });

  test('multiparts nested without end do not exhaust the stack', () => {
    const nested = 'Content-Type: multipart/mixed; boundary=b\n\n--b\n'.repeat(5_000);
    expect(() => parseMail(Buffer.from(nested))).not.toThrow();
  });
});

describe('HTML', () => {
  test.each([
    ['<head><title>t</title></head><body>a<br>b<script>x()</script></body>', 'a\nb'],
    ['1 < 2 &amp; 3 &gt; 2 &#8364; &#x41; &#147;q&#148; &unknown;', '1 < 2 & 3 > 2 € A “q” &unknown;'],
    ['a<!-- <b>hidden</b> -->b', 'ab'],
    ['a<!--#forgot>b', 'ab'],
    ['a<script>never closed', 'anever closed'],
    ['cut <a href="x', 'cut '],
  ])('%s reads %j', (html, text) => expect(htmlToText(html).trim()).toBe(text.trim()));

  test('a mail that is only pictures is read as its links', () => {
    expect(mail('Content-Type: text/html', '', '<a href="http://shop.example/x"><img src=y></a>').text).toBe('http://shop.example/x');
  });
});
