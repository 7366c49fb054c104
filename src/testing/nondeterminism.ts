/**
 * Nondeterminism: notices what a user's own code does that a replay could not repeat, and where.
 *
 * While a simulation runs, clocks and chance are wrapped, and asynchronous resources of the platform
 * (timers, sockets, files, processes) are seen as they are made. Only what happens inside of a scope is
 * looked at, and only when a frame of the user's, or of a library that he called, did it: Drover and
 * the packages that it runs on are not meant. The real thing is done all the same.
 *
 * Not seen: synchronous file access but `readFileSync` and `writeFileSync`, `process.hrtime`, state
 * that is shared between runs, the order of an object's keys.
 */
import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import type { AsyncHook } from 'node:async_hooks';
import { syncBuiltinESMExports } from 'node:module';
import { culpritOf } from './place.ts';

/** Who is told, and on whose behalf the code runs. */
export interface Scope {
  readonly task: { readonly id: string; readonly kind: string } | undefined;
  noticed(api: string, place: string | undefined, task: Scope['task']): void;
}

const scopes = new AsyncLocalStorage<Scope>();

/** Types of asynchronous resources, and what a user knows them as. */
const RESOURCES: Readonly<Record<string, string>> = {
  Timeout: 'setTimeout or setInterval',
  Immediate: 'setImmediate',
  TCPWRAP: 'a TCP socket',
  TCPCONNECTWRAP: 'a TCP connection',
  TCPSERVERWRAP: 'a TCP server',
  UDPWRAP: 'a UDP socket',
  PIPEWRAP: 'a pipe',
  TLSWRAP: 'a TLS socket',
  GETADDRINFOREQWRAP: 'a look-up of a host name',
  GETNAMEINFOREQWRAP: 'a look-up of an address',
  QUERYWRAP: 'a DNS query',
  HTTPCLIENTREQUEST: 'an HTTP request',
  HTTPINCOMINGMESSAGE: 'an HTTP server',
  FSREQCALLBACK: 'file I/O',
  FSREQPROMISE: 'file I/O',
  FSEVENTWRAP: 'a file watcher',
  PROCESSWRAP: 'a child process',
  WORKER: 'a worker thread',
  RANDOMBYTESREQUEST: 'crypto.randomBytes',
};

/** Runs `act` inside of a scope; everything that it sets off belongs to it. */
export function inScope<T>(scope: Scope, act: () => T): T {
  return scopes.run(scope, act);
}

let watchers = 0;
let undo: (() => void) | undefined;

/** Begins to watch, until the returned function is called. Watchers may overlap. */
export function watch(): () => void {
  watchers += 1;
  if (watchers === 1) undo = install();
  let stopped = false;
  return () => {
    if (stopped) return;
    stopped = true;
    watchers -= 1;
    if (watchers === 0) undo?.();
  };
}

const DEEPEST = 40;

/** Whether it is noted right now: looking at a stack may itself read a clock. */
let noting = false;

function notice(api: string): void {
  const scope = scopes.getStore();
  if (scope === undefined || noting) return;
  noting = true;
  const { stackTraceLimit } = Error;
  // The platform's own frames come first, and may be many.
  Error.stackTraceLimit = DEEPEST;
  try {
    const { isUser, place } = culpritOf(new Error(api).stack);
    if (isUser) scope.noticed(api, place, scope.task);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    noting = false;
  }
}

function install(): () => void {
  const undone: (() => void)[] = [];
  const guard = (holder: object, name: string, api: string): void => {
    const own = Object.getOwnPropertyDescriptor(holder, name);
    const real = (holder as Record<string, unknown>)[name];
    if (typeof real !== 'function') return;
    const value = function guarded(this: unknown, ...args: unknown[]): unknown {
      notice(api);
      return Reflect.apply(real, this, args);
    };
    Object.defineProperty(holder, name, { value, configurable: true, writable: true, enumerable: own?.enumerable ?? false });
    undone.push(() => {
      if (own === undefined) Reflect.deleteProperty(holder, name);
      else Object.defineProperty(holder, name, own);
    });
  };
  guard(Date, 'now', 'Date.now');
  guard(Math, 'random', 'Math.random');
  guard(performance, 'now', 'performance.now');
  guard(globalThis, 'fetch', 'fetch');
  guard(globalThis.crypto, 'randomUUID', 'crypto.randomUUID');
  guard(globalThis.crypto, 'getRandomValues', 'crypto.getRandomValues');
  const nodeCrypto = process.getBuiltinModule('node:crypto');
  for (const name of ['randomUUID', 'randomBytes', 'randomInt']) guard(nodeCrypto, name, `crypto.${name}`);
  const fs = process.getBuiltinModule('node:fs');
  for (const name of ['readFileSync', 'writeFileSync']) guard(fs, name, `fs.${name}`);
  syncBuiltinESMExports();
  undone.push(guardDate(), hookResources());
  return () => {
    for (const put of undone.toReversed()) put();
    syncBuiltinESMExports();
  };
}

/** A date without arguments reads the clock; `new Date(0)` does not. */
function guardDate(): () => void {
  const real = globalThis.Date;
  globalThis.Date = new Proxy(real, {
    construct(target, args, newTarget) {
      if (args.length === 0) notice('new Date');
      return Reflect.construct(target, args, newTarget) as object;
    },
    apply(target, self, args) {
      notice('Date');
      return Reflect.apply(target, self, args) as string;
    },
  });
  return () => {
    globalThis.Date = real;
  };
}

function hookResources(): () => void {
  const init = (_id: number, type: string): void => {
    const api = RESOURCES[type];
    if (api !== undefined) notice(api);
  };
  // Promises are far too many to be told of each, and no nondeterminism by themselves.
  const hook: AsyncHook = createHook({ init, trackPromises: false });
  hook.enable();
  return () => void hook.disable();
}
