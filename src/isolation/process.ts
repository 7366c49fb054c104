/** Process: a child in a process of its own, which ends with its parent's. */
import { fork } from 'node:child_process';
import { ENTRY, FROM_SOURCE, LAST_WORDS_MS, SOURCE_CONDITION } from './channel.ts';
import type { Channel, ChannelOptions } from './channel.ts';
import type { FromChild } from './wire.ts';

/** Of this process alone: a port to be debugged at, a program given as text, a limit of memory. */
const OWN_FLAGS = /^(?:--inspect|--debug-port|--eval|--print|-[ep]$|--max-old-space-size|--watch|--test|--input-type)/;

/** What V8 writes before it gives up. */
const OUT_OF_MEMORY = /JavaScript heap out of memory|Array buffer allocation failed|process out of memory/;

/** Starts the process at once. It writes to this process's standard output and error, like any other code here. */
export function openProcess({ memoryMb, heard, wrote, ended, after }: ChannelOptions): Channel {
  let last = '';
  let over = false;
  let gone: { readonly exitCode: number | null; readonly signal: string | null } | undefined;
  let closed = false;
  const end = (error?: unknown): void => {
    if (over) return;
    over = true;
    const { exitCode, signal } = gone ?? { exitCode: null, signal: null };
    ended({ exitCode, signal, outOfMemory: OUT_OF_MEMORY.test(last), ...(error === undefined ? {} : { error }) });
  };
  const child = fork(ENTRY, [], {
    execArgv: [...flags(), `--max-old-space-size=${memoryMb}`],
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  child.stderr!.on('data', (bytes: Buffer) => {
    last = (last + bytes.toString()).slice(-16_384);
    wrote(bytes.toString());
    process.stderr.write(bytes);
  });
  child.on('message', (message) => {
    if (gone === undefined) heard(message as FromChild);
  });
  // It could not be started, or could not be told: the end of the process follows, or there never was one.
  child.on('error', (error) => {
    if (child.pid === undefined) end(error);
  });
  child.on('exit', (exitCode, signal) => {
    gone = { exitCode, signal };
    if (closed) return end();
    // Whatever it has started itself may keep the pipe open for ever.
    after(LAST_WORDS_MS, end);
  });
  child.on('close', () => {
    closed = true;
    if (gone !== undefined) end();
  });
  return {
    post(message) {
      // That it is gone is heard by `exit`.
      if (child.connected) child.send(message, () => {});
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

function flags(): string[] {
  const kept: string[] = [];
  for (let at = 0; at < process.execArgv.length; at += 1) {
    const flag = process.execArgv[at]!;
    if (!OWN_FLAGS.test(flag)) kept.push(flag);
    // Its value may stand by itself.
    else if (!flag.includes('=') && process.execArgv[at + 1]?.startsWith('-') === false) at += 1;
  }
  return FROM_SOURCE && !kept.includes(SOURCE_CONDITION) ? [...kept, SOURCE_CONDITION] : kept;
}
