import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Accounts } from '../../examples/fencing/accounts.ts';

function run(...args: readonly string[]): string[] {
  const program = ['--conditions=drover-source', 'examples/fencing/main.ts', ...args];
  return execFileSync(process.execPath, program, { encoding: 'utf8' }).trim().split('\n');
}

test('a late write under an old token is refused by the database of the example', () => {
  expect(run()).toEqual([
    'the second task says 105',
    'the late write of the first run: refused, account savings: token 1 is older than the last one that wrote it',
    'the first task is dead, and put back',
    'the first task says 115, the account says 115',
  ]);
});

test('without the check the late write is taken, and what the second task has written is lost', () => {
  expect(run('--unfenced').at(-1)).toBe('the first task says 110, the account says 110');
});

test('a process that is killed right after its write does not write again in its next life', () => {
  const folder = mkdtempSync(join(tmpdir(), 'drover-fencing-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const live = (...args: readonly string[]): { readonly signal: string | null; readonly stdout: string } =>
    spawnSync(process.execPath, ['--conditions=drover-source', 'examples/fencing/killed.ts', folder, ...args], { encoding: 'utf8' });
  expect(live('--kill')).toMatchObject({ signal: 'SIGKILL', stdout: '' });
  expect(new Accounts(join(folder, 'accounts.db')).cents('savings')).toBe(110);
  expect(live()).toMatchObject({ signal: null, stdout: 'the task says 110, the account says 110\n' });
});

test('JEP-05: once a newer token has claimed a row an older one does not write it, though the newer one has not written yet', () => {
  const accounts = new Accounts();
  accounts.open('savings', 100);
  accounts.set('savings', 110, 33, 'a');
  accounts.claim('savings', 34);
  expect(() => accounts.set('savings', 120, 33, 'b')).toThrow(expect.objectContaining({ name: 'StaleTokenError', retryable: false }));
  expect(() => accounts.claim('savings', 33)).toThrow(/token 33 is older/);
  accounts.set('savings', 130, 34, 'c');
  accounts.set('savings', 140, 34, 'd');
  expect(accounts.cents('savings')).toBe(140);
});

test('what a key has written is given back, and not written again, whatever the account has become since', () => {
  const accounts = new Accounts();
  accounts.open('savings', 100);
  accounts.set('savings', 110, 1, 'a');
  accounts.set('savings', 115, 2, 'b');
  expect(accounts.set('savings', 125, 3, 'a')).toBe(110);
  expect(accounts.cents('savings')).toBe(115);
});

test('a write that was refused has not used up its key', () => {
  const accounts = new Accounts();
  accounts.open('savings', 100);
  accounts.claim('savings', 2);
  expect(() => accounts.set('savings', 110, 1, 'a')).toThrow('token 1 is older');
  expect(accounts.set('savings', 110, 2, 'a')).toBe(110);
});

test('an account that is not there is no stale token, and one that is opened later can be written', () => {
  const accounts = new Accounts();
  for (const write of [() => accounts.claim('savings', 1), () => accounts.set('savings', 1, 1, 'a'), () => accounts.cents('savings')])
    expect(write).toThrow(expect.objectContaining({ name: 'NoAccountError' }));
  accounts.open('savings', 100);
  accounts.claim('savings', 1);
  expect(accounts.set('savings', 110, 1, 'a')).toBe(110);
});
