import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { Accounts } from '../../examples/fencing/accounts.ts';

function run(...args: readonly string[]): string[] {
  const program = ['--conditions=drover-source', 'examples/fencing/main.ts', ...args];
  return execFileSync(process.execPath, program, { encoding: 'utf8' }).trim().split('\n');
}

test('a late write under an old token is refused by the database of the example', () => {
  expect(run()).toEqual([
    'the write of the second run: taken',
    'the late write of the first run: refused, account savings: token 1 is older than the last one that wrote it',
    'the task says 120, the account says 120',
  ]);
});

test('without the check the late write is taken, and what the second run has written is lost', () => {
  expect(run('--unfenced').at(-1)).toBe('the task says 120, the account says 110');
});

test('JEP-05: once a newer token has claimed a row an older one does not write it, though the newer one has not written yet', () => {
  const accounts = new Accounts();
  accounts.open('savings', 100);
  accounts.set('savings', 110, 33);
  accounts.claim('savings', 34);
  expect(() => accounts.set('savings', 120, 33)).toThrow(expect.objectContaining({ name: 'StaleTokenError', retryable: false }));
  expect(() => accounts.claim('savings', 33)).toThrow(/token 33 is older/);
  accounts.set('savings', 130, 34);
  accounts.set('savings', 140, 34);
  expect(accounts.cents('savings')).toBe(140);
});
