import { describe, expect, test } from 'vitest';
import { replicasOf, sectionsOf } from '../../examples/inbox/job.ts';
import type { Mail } from '../../examples/inbox/mails.ts';
import { HELP, readOptions, UsageError } from '../../examples/inbox/options.ts';

describe('the command line', () => {
  test('without options is the job of the README', () => {
    expect(readOptions([], {})).toEqual({
      agents: 80,
      mails: 600,
      seed: 1,
      store: undefined,
      provider: 'local',
      providerUrl: undefined,
      uncontrolled: false,
      json: false,
      out: 'out/inbox-digest.md',
      help: false,
    });
  });

  test('takes each option that the help names, and no other', () => {
    const names = [...HELP.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, name]) => name!);
    const wants: Record<string, string> = {
      agents: '10',
      mails: '50',
      seed: '7',
      store: 'a.db',
      out: 'b.md',
      provider: 'local',
      'provider-url': 'http://127.0.0.1:4010/v1',
    };
    const args = names.flatMap((name) => [`--${name}`, ...(name in wants ? [wants[name]!] : [])]);
    expect(readOptions(args, {})).toEqual({
      agents: 10,
      mails: 50,
      seed: 7,
      store: 'a.db',
      provider: 'local',
      providerUrl: 'http://127.0.0.1:4010',
      uncontrolled: true,
      json: true,
      out: 'b.md',
      help: true,
    });
  });

  test.each([
    ['an unknown option', ['--foo'], /--foo/],
    ['a stray word', ['foo'], /foo/],
    ['no number', ['--agents', 'many'], /--agents: expected a whole number from 3 to 10000, got "many"/],
    ['too few agents', ['--agents', '2'], /--agents: expected/],
    ['a half mail', ['--mails', '2.5'], /--mails: expected/],
    ['too many mails', ['--mails', '5000'], /--mails: expected a whole number from 2 to 2800/],
    ['a negative seed', ['--seed=-1'], /--seed: expected/],
    ['an empty path', ['--store', ''], /--store: expected a path/],
    ['another provider', ['--provider', 'acme'], /--provider: expected local or openai, got "acme"/],
    ['an address that is none', ['--provider-url', 'here'], /--provider-url: expected an address like/],
    ['OpenAI without a key', ['--provider', 'openai'], /OPENAI_API_KEY/],
    ['two providers', ['--provider', 'openai', '--provider-url', 'http://127.0.0.1:1'], /leave one of them out/],
    ['no limiter before a real provider', ['--provider', 'openai', '--uncontrolled'], /--uncontrolled/],
  ])('%s is refused with what was expected', (_, args, message) => {
    expect(() => readOptions(args, {})).toThrow(UsageError);
    expect(() => readOptions(args, {})).toThrow(message);
  });

  test('OpenAI with a key is taken', () => {
    expect(readOptions(['--provider', 'openai'], { OPENAI_API_KEY: 'sk' })).toMatchObject({ provider: 'openai' });
  });
});

describe('the job', () => {
  const mail = (id: string, date: string | null): Mail => ({ id, date, from: 'a@b.c', fromName: '', subject: '', text: '', label: 'ham' });
  const mails = Array.from({ length: 60 }, (_, at) => mail(`m${at}`, new Date(Date.UTC(2002, 7, 1 + ((at * 7) % 60))).toISOString()));

  test('has every mail in one section, in order of date, in sections of one size', () => {
    const sections = sectionsOf(mails);
    expect(sections.map(({ id, section }) => [id, section.mailIds.length])).toEqual([
      ['section-001', 30],
      ['section-002', 30],
    ]);
    expect(new Set(sections.flatMap(({ section }) => section.mailIds)).size).toBe(60);
    expect(sections[0]!.section.title).toBe('1 August 2002 to 30 August 2002');
  });

  test('does not depend on the order in which the mails come', () => {
    expect(sectionsOf(mails.toReversed())).toEqual(sectionsOf(mails));
  });

  test('puts mails without a date that can be believed at the end', () => {
    const { section } = sectionsOf([
      mail('none', null),
      mail('odd', '0102-02-02T00:00:00.000Z'),
      mail('real', '2002-08-01T00:00:00.000Z'),
    ])[0]!;
    expect(section).toEqual({ title: '1 August 2002, and without a date', mailIds: ['real', 'none', 'odd'] });
    expect(sectionsOf([mail('none', null)])[0]!.section.title).toBe('Without a date');
  });

  test.each([
    [80, { triage: 48, extract: 24, digest: 8 }],
    [10, { triage: 6, extract: 3, digest: 1 }],
    [3, { triage: 1, extract: 1, digest: 1 }],
    [4, { triage: 2, extract: 1, digest: 1 }],
  ])('shares %i agents out', (agents, replicas) => {
    expect(replicasOf(agents)).toEqual(replicas);
  });
});
