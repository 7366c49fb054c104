/** Task source: where lines come from, a file or standard input. */
import { open } from 'node:fs/promises';
import { basename, relative, resolve, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { TasksFileError } from './errors.ts';
import type { LineOrigin } from './task-line.ts';

export interface TaskSource {
  /** For messages: the path as given, or `standard input`. */
  readonly name: string;
  readonly origin: LineOrigin;
  /** Size of a file, to guess how much is to come. */
  readonly bytes: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Lets go of the input; a reader that waits for more gets an end or an error. */
  close(): void;
}

const CHUNK_BYTES = 65_536;

/**
 * Opens what `--tasks` names: a file, `-`, or by default standard input when that is no terminal.
 * Undefined when there is nothing to read: then the run only finishes what the store holds.
 *
 * @throws TasksFileError
 */
export async function openTasks(
  given: string | undefined,
  {
    cwd,
    storeFolder,
    stdin,
  }: { readonly cwd: string; readonly storeFolder: string; readonly stdin: Readable & { readonly isTTY?: boolean } },
): Promise<TaskSource | undefined> {
  if (given === '-' || (given === undefined && stdin.isTTY !== true)) {
    return {
      name: 'standard input',
      origin: { label: 'stdin', identity: '-' },
      bytes: undefined,
      chunks: stdin,
      close: () => stdin.destroy(),
    };
  }
  return given === undefined ? undefined : openFile(given, cwd, storeFolder);
}

async function openFile(given: string, cwd: string, storeFolder: string): Promise<TaskSource> {
  const path = resolve(cwd, given);
  const file = await open(path).catch((cause: unknown) => {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new TasksFileError(given, missing ? 'there is no such file; expected JSON lines, or - for standard input' : 'cannot be read', {
      cause,
    });
  });
  const found = await file.stat();
  if (found.isDirectory()) {
    await file.close();
    throw new TasksFileError(given, 'expected a file of JSON lines, got a folder');
  }
  // A pipe such as bash's <(command) has another name each time: it counts as a stream.
  const origin = found.isFile()
    ? { label: basename(path), identity: relative(storeFolder, path).split(sep).join('/') }
    : { label: 'stdin', identity: '-' };
  const chunks = file.createReadStream({ highWaterMark: CHUNK_BYTES });
  return { name: given, origin, bytes: found.isFile() ? found.size : undefined, chunks, close: () => chunks.destroy() };
}
