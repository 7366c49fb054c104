import { expect, test } from 'vitest';
import { Client } from './client.ts';
import type { ToFleet } from './messages.ts';

test('what was not answered is asked again of the next process, in the order in which it was asked', async () => {
  const client = new Client();
  const [first, second]: ToFleet[][] = [[], []];
  const asked = [client.ask({ do: 'cancel', id: 'a' })];
  client.connect((message) => first!.push(message));
  asked.push(client.ask({ do: 'cancel', id: 'b' }), client.ask({ do: 'cancel', id: 'c' }));
  client.answered(2, { at: 'done', value: 'done' });
  client.disconnect();
  client.connect((message) => second!.push(message));
  const tickets = (messages: readonly ToFleet[] | undefined) => messages?.map((message) => (message.at === 'asked' ? message.ticket : 0));
  expect([tickets(first), tickets(second)]).toEqual([
    [1, 2, 3],
    [1, 3],
  ]);
  expect(await asked[1]).toEqual({ at: 'done', value: 'done' });
});
