/** The watchdog's thread: see `watchdog.ts`. */
import { writeSync } from 'node:fs';
import { Session } from 'node:inspector';
import { parentPort, workerData } from 'node:worker_threads';
import { BEAT, BLOCKED_EXIT_CODE, bufferOf } from './watchdog-wire.ts';
import type { LoopHolder, LoopBlocked, WatchdogData } from './watchdog-wire.ts';

const { shared, blockedMs, onBlocked, fleet, inspects } = workerData as WatchdogData;
const { beats, text } = bufferOf(shared);
const port = parentPort!;

const LOOK_MS = Math.min(100, blockedMs / 10);
/** A look that comes so much too late finds that the whole process stood still. */
const ASLEEP_MS = Math.max(50, LOOK_MS);
/** A question may be overlooked by a loop that is compiled just then: it is asked again. */
const ASK_MS = 20;
const ASKED_AT_MOST = 10;
/** Told once more where nobody may ever hear of it. */
const STILL_BLOCKED = 5;
/** How long handlers of `exit` may take. */
const EXIT_MS = 1_000;
const QUESTION = "globalThis[Symbol.for('drover.holder')]?.()";

type Found = Pick<LoopBlocked, 'run' | 'known' | 'stack' | 'debugger'>;

/** Open while the loop is blocked only: with one open, the process would wait for it at its end. */
let session: Session | undefined;
let seen = -1;
let lookedMs = performance.now();
let beatMs = lookedMs;
let found: Found | undefined;
let asking = false;
let written = false;

setInterval(look, LOOK_MS);

port.on('message', () => {
  look();
  hangUp();
  process.exit(0);
});

function look(): void {
  const nowMs = performance.now();
  const lateMs = nowMs - lookedMs - LOOK_MS;
  lookedMs = nowMs;
  const beat = Atomics.load(beats, BEAT);
  if (beat !== seen) {
    if (found !== undefined) port.postMessage(reportOf(found, nowMs));
    if (!asking) hangUp();
    found = undefined;
    written = false;
    seen = beat;
    beatMs = nowMs;
    return;
  }
  if (lateMs > ASLEEP_MS) beatMs += lateMs;
  if (nowMs - beatMs < blockedMs || asking) return;
  if (found === undefined) ask(beat);
  else if (!written && nowMs - beatMs >= STILL_BLOCKED * blockedMs) write(found, nowMs);
}

/** Asks the blocked thread, several times. */
function ask(beat: number): void {
  asking = true;
  let asked = 0;
  if (inspects) {
    session = new Session();
    session.connectToMainThread();
  }
  const again = (): void => {
    if (!asking) return;
    if ((asked += 1) > ASKED_AT_MOST || session === undefined) return settle(beat, enteredLast());
    session.post('Runtime.evaluate', { expression: QUESTION, returnByValue: true }, (error, reply) => {
      const answer = error === null ? answerIn(reply.result.value) : undefined;
      if (asking && answer !== undefined) settle(beat, answer);
    });
    setTimeout(again, ASK_MS);
  };
  again();
}

function settle(beat: number, answer: Found): void {
  asking = false;
  // It turned while it was asked: a block that was just about over.
  if (Atomics.load(beats, BEAT) !== beat && answer.run === null) return hangUp();
  found = answer;
  if (onBlocked === 'report' || answer.debugger) return hangUp();
  write(answer, performance.now());
  session?.post('Runtime.evaluate', { expression: `process.exit(${BLOCKED_EXIT_CODE})` });
  // Native code is not interrupted.
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), session === undefined ? 0 : EXIT_MS);
}

function hangUp(): void {
  session?.disconnect();
  session = undefined;
}

function answerIn(value: unknown): Found | undefined {
  if (typeof value !== 'string') return undefined;
  return { ...(JSON.parse(value) as Omit<Found, 'known'>), known: 'on-stack' };
}

function enteredLast(): Found {
  const length = beats[1]!;
  let run: LoopHolder | null = null;
  try {
    if (length > 0) run = JSON.parse(new TextDecoder().decode(text.slice(0, length))) as LoopHolder;
  } catch {
    // Too long for its place.
  }
  return { run, known: 'entered-last', stack: [], debugger: false };
}

function reportOf(answer: Found, nowMs: number): LoopBlocked {
  return { blockedMs: Math.round(nowMs - beatMs), ...answer };
}

/** One line of JSON, past the stream of the blocked thread. */
function write(answer: Found, nowMs: number): void {
  written = true;
  const { run, ...facts } = reportOf(answer, nowMs);
  const line = { level: 50, time: Date.now(), pid: process.pid, name: 'drover', fleet, ...run, ...facts, msg: 'the event loop is blocked' };
  try {
    writeSync(2, `${JSON.stringify(line)}\n`);
  } catch {
    // Nobody reads it.
  }
}
