/** Place: where in a user's code something was done, read from a stack. */
import { fileURLToPath } from 'node:url';

/** Where Drover's own code lies: `src/testing` is two levels below. */
const HOME = fileURLToPath(new URL('../../', import.meta.url)).replaceAll('\\', '/');
const ROOMS = ['src/', 'actors/', 'supervisors/'].map((room) => HOME + room);
/** Packages that Drover runs on. What they do for it is its own affair. */
const PARTS = /\/node_modules\/(?:xstate|pino|sonic-boom|thread-stream|on-exit-leak-free|zod|eventemitter3|nanoid)\//;
const FRAME = /\(?((?:file:\/\/)?[^\s()]+):(\d+):(\d+)\)?$/;

/** What notices lies between the platform and whoever used it. */
const WATCHER = `${HOME}src/testing/nondeterminism.`;
/** Whose code a line of a stack belongs to. `inner`: of the platform, or of what watches it. */
type Owner = 'inner' | 'drover' | 'library' | 'user';

interface Frame {
  readonly owner: Owner;
  /** `file:line:column`. */
  readonly place: string;
}

/** Who did it: the innermost frame that is not the platform's. */
export interface Culprit {
  /** False when it was Drover, or one of its own parts. */
  readonly isUser: boolean;
  /** `file:line:column` of the user's own frame, or of the library that it called; undefined where there is none. */
  readonly place: string | undefined;
}

/** Reads the stack of an error. */
export function culpritOf(stack: string | undefined): Culprit {
  const frames = framesOf(stack);
  const first = frames.find(({ owner }) => owner !== 'inner');
  if (first === undefined || first.owner === 'drover') return { isUser: false, place: undefined };
  const own = frames.find(({ owner }) => owner === 'user');
  return { isUser: true, place: (own ?? first).place };
}

/** The innermost frame of a user's own code: `file:line:column`. */
export function placeOf(error: unknown): string | undefined {
  return framesOf((error as { readonly stack?: string } | null | undefined)?.stack).find(({ owner }) => owner === 'user')?.place;
}

function framesOf(stack: string | undefined): Frame[] {
  if (typeof stack !== 'string') return [];
  return stack.split('\n').flatMap((line): Frame[] => {
    if (!/^\s+at /.test(line)) return [];
    const found = FRAME.exec(line.trim());
    if (found === null) return [];
    const file = pathOf(found[1]!);
    return [{ owner: ownerOf(file), place: `${file}:${found[2]}:${found[3]}` }];
  });
}

function pathOf(file: string): string {
  try {
    return (file.startsWith('file://') ? fileURLToPath(file) : file).replaceAll('\\', '/');
  } catch {
    return file;
  }
}

function ownerOf(file: string): Owner {
  if (file.startsWith('node:') || !file.includes('/') || file.startsWith(WATCHER)) return 'inner';
  if (PARTS.test(file) || ROOMS.some((room) => file.startsWith(room))) return 'drover';
  return file.includes('/node_modules/') ? 'library' : 'user';
}
