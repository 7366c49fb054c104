/** Log: what agents and the runtime log, as notes for people. */
import { pino } from 'pino';
import type { Logger } from 'pino';

/** A line of pino's, parsed. */
interface Logged {
  readonly level: number;
  readonly msg?: string;
  readonly err?: { readonly message?: string; readonly code?: string };
  readonly task?: string;
  readonly kind?: string;
}

const SECRETS = ['apiKey', 'authorization', 'headers.authorization', 'password', 'token'];
/** Said with every line, or in other words. */
const LEFT_OUT = new Set(['level', 'time', 'pid', 'hostname', 'name', 'fleet', 'msg', 'err', 'task', 'kind', 'attempt', 'worker']);

/** A logger whose lines become notes. `DROVER_LOG` sets the level, default `warn`. */
export function noteLogger(level: string | undefined, note: (sort: string, text: string) => void): Logger {
  const redact = { paths: SECRETS.flatMap((secret) => [secret, `*.${secret}`]), censor: '[redacted]' };
  return pino(
    { name: 'drover', level: knownLevel(level), redact },
    {
      write(line: string) {
        const facts = JSON.parse(line) as Logged;
        // What ends the fleet is told in full where it ends.
        if (facts.level < pino.levels.values['fatal']!) note(facts.msg ?? 'logged', noteOf(facts));
      },
    },
  );
}

/** `warn: the mail has no text (triage mail-17) {"bytes":0}: why` */
export function noteOf(facts: Logged): string {
  const { level, msg, err, task, kind } = facts;
  const rest = Object.fromEntries(Object.entries(facts).filter(([name]) => !LEFT_OUT.has(name)));
  const said = [
    `${pino.levels.labels[level] ?? level}:`,
    ...(msg === undefined ? [] : [msg]),
    ...(task === undefined ? [] : [`(${kind} ${task})`]),
    ...(Object.keys(rest).length === 0 ? [] : [JSON.stringify(rest)]),
  ].join(' ');
  return err === undefined ? said : `${said}: ${err.code === undefined ? '' : `${err.code}: `}${err.message}`;
}

function knownLevel(level: string | undefined): string {
  return level !== undefined && (level === 'silent' || Object.hasOwn(pino.levels.values, level)) ? level : 'warn';
}
