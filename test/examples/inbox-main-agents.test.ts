import { expect, test } from 'vitest';
import { defineFleet, dependency, startFleet } from 'drover';
import type { ChatReply, ChatRequest } from 'drover/openai';
import { inboxAgents } from '../../examples/inbox/agents.ts';
import { loadCorpus } from '../../examples/inbox/mails.ts';

const TRIAGE = '{"label": "ham", "confidence": 0.9, "reason": "A person wrote it."}';
const EXTRACT = '{"summary": "News.", "people": [], "topics": [], "dates": [], "asks": [], "urgency": "low"}';
const DIGEST = '# Inbox\n\n- News.';
const corpus = loadCorpus().mails.map(({ id }) => id);
const three = corpus.slice(0, 3);

/** A section, by default of three mails, answered by `answer`; by job and how often that job was asked. */
async function digestOf(answer: (job: 'triage' | 'extract' | 'digest', time: number, request: ChatRequest) => string, mailIds = three) {
  const asked = { triage: 0, extract: 0, digest: 0 };
  const model = dependency<ChatRequest, ChatReply>({
    attempts: 1,
    async perform(request) {
      const system = request.messages[0]!.content as string;
      const job = system.includes('"label"') ? 'triage' : system.includes('"summary"') ? 'extract' : 'digest';
      const text = answer(job, (asked[job] += 1), request);
      return { text, toolCalls: [], finishReason: 'stop', usage: null, model: 'm', id: 'x' };
    },
  });
  await using fleet = await startFleet(defineFleet({ name: 'inbox', agents: inboxAgents(model, 3), staggerMs: 0 }));
  const handle = await fleet.submit('digest', { title: 'August', mailIds }, { id: 'section-001' });
  const result = await handle.result();
  const tasks = await fleet.tasks({ limit: 100 });
  return { asked, result, tasks };
}

const plain = { triage: TRIAGE, extract: EXTRACT, digest: DIGEST };

test('a section asks for each of its mails once, ham is read, and all of it is one digest', async () => {
  const { asked, result, tasks } = await digestOf((job) => plain[job]);
  expect(result).toEqual({ title: 'August', markdown: DIGEST, ham: 3, spam: 0, failed: 0 });
  expect(asked).toEqual({ triage: 3, extract: 3, digest: 1 });
  expect(tasks.map(({ id }) => id).toSorted()).toEqual([
    'section-001',
    ...[1, 2, 3].flatMap((at) => [`section-001/triage#${at}`, `section-001/triage#${at}/extract#1`]),
  ]);
});

test('a section of more mails than fit into one prompt is digested in halves, and each of its mails read once', async () => {
  const { asked, result, tasks } = await digestOf(
    (job, time) => (job === 'digest' ? `# Inbox\n\n- Part ${time}.` : plain[job]),
    corpus.slice(0, 31),
  );
  expect(asked).toEqual({ triage: 31, extract: 31, digest: 2 });
  expect(result).toMatchObject({ title: 'August', ham: 31, spam: 0, failed: 0 });
  expect(
    result.markdown
      .split('\n')
      .filter((line) => line.startsWith('- '))
      .toSorted(),
  ).toEqual(['- Part 1.', '- Part 2.']);
  const parts = tasks.filter(({ kind, parentId }) => kind === 'digest' && parentId === 'section-001');
  expect(parts.map(({ input }) => (input as { mailIds: string[] }).mailIds.length)).toEqual([16, 15]);
});

test('spam is not read further, and a section of nothing else needs no digest', async () => {
  const { asked, result } = await digestOf((job) => (job === 'triage' ? TRIAGE.replace('ham', 'spam') : plain[job]));
  expect(result).toEqual({ title: 'August', markdown: '', ham: 0, spam: 3, failed: 0 });
  expect(asked).toEqual({ triage: 3, extract: 0, digest: 0 });
});

test('an answer that cannot be read is asked for again', async () => {
  const { asked, result } = await digestOf((job, time) => (job === 'triage' && time === 1 ? '}{~#garbage' : plain[job]));
  expect(result).toMatchObject({ ham: 3, failed: 0 });
  expect(asked.triage).toBe(4);
});

test('a mail that can never be read fails alone, after three questions', async () => {
  const bad = loadCorpus().mails[1]!;
  const { asked, result, tasks } = await digestOf((job, _, { messages }) =>
    job === 'triage' && (messages[1]!.content as string).includes(`Subject: ${bad.subject.slice(0, 50)}`) ? 'no' : plain[job],
  );
  expect(result).toMatchObject({ ham: 2, spam: 0, failed: 1 });
  expect(asked.triage).toBe(5);
  const failed = tasks.filter(({ status }) => status === 'failed');
  expect(failed.map(({ id }) => id)).toEqual(['section-001/triage#2']);
  expect(failed[0]!.error).toMatchObject({ code: 'INBOX_NO_READABLE_ANSWER' });
});

test('an unknown mail fails alone too', async () => {
  const { result } = await digestOf((job) => plain[job], [...three, '000000000000']);
  expect(result).toMatchObject({ ham: 3, failed: 1 });
});
