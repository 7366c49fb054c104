import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { InspectorServer } from './inspector-server.ts';

const block = [...readFileSync('README.md', 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)]
  .map(([, code]) => code!)
  .find((code) => code.includes('@statelyai/inspect'))!;

test('the fleet that the README shows to an inspector is shown as it stands, with the address of a server', async () => {
  await using server = await InspectorServer.start();
  const code = block.replace('ws://localhost:8080', server.url);
  expect(code).not.toBe(block);
  const flags = ['--conditions=drover-source', '--input-type=module-typescript', '--eval', code];
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    let printed = '';
    child.stdout.on('data', (data: Buffer) => (printed += data.toString()));
    const shown = async (): Promise<void> => {
      const { sessionId } = await server.until(({ type, name }) => type === '@xstate.actor' && name === 'demo');
      await server.until(({ type, name }) => type === '@xstate.actor' && name === 'demo/agents/echo/2');
      // The fleet closes when the module ends: the root is told of last.
      await server.until((frame) => frame.sessionId === sessionId && frame.event?.type === 'xstate.stop');
    };
    // The inspector's connection keeps it alive until it is killed.
    const ended = once(child, 'exit').then(([status]) => expect.fail(`it ended with ${status}`));
    await Promise.race([shown(), ended]);
    expect(printed).toBe('hello\n');
  } finally {
    child.kill();
  }
});
