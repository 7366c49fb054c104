import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('the plain script asks everything, is refused nothing, says what it spent, and ends', async () => {
  const { OPENAI_BASE_URL: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=drover-source', 'examples/plain-script/main.ts'], { env });
  expect(stdout).toMatch(/^200 answers for \$0\.00\d+ of \$5\nrefused by the provider: 0\n$/);
});
