import { expect, test, vi } from 'vitest';
import { sqlite } from '../../src/stores/sqlite.ts';

vi.mock('node:module', async (original) => ({ ...(await original<object>()), isBuiltin: () => false }));

test('a Node that has no SQLite is named, with the one that is needed, and no thread is started', async () => {
  const opened = sqlite(':memory:').open({ nowMs: 0, maxUnfinished: 1 });
  await expect(opened).rejects.toMatchObject({
    code: 'DROVER_STORE_OPEN',
    retryable: false,
    message: `sqlite::memory:: cannot be opened: Node ${process.version} has no SQLite; Drover needs Node 24 or later`,
  });
});
