/** Erlang: what OTP's own supervisor takes to restart a child, measured where `erl` is installed. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Microseconds a restart among 1,000 children. */
export interface OtpRestarts {
  readonly release: string;
  /** 100 at once, and a pause until their period is over. */
  readonly burst: number;
  /** 20,000 at a stretch, all within few periods: OTP's list of restarts is read again for each. */
  readonly row: number;
}

/** Measured once on two virtual cores, for machines that have no Erlang. */
export const PUBLISHED: OtpRestarts = { release: '25', burst: 10, row: 151 };

// A child says nothing; its supervisor runs `start`, which counts. Intensity 10^9 in a second is never reached.
const PROGRAM = `
-module(restarts).
-export([init/1, start/0, main/0]).

init(Size) ->
  {ok, {{one_for_one, 1000000000, 1}, [{Id, {?MODULE, start, []}, permanent, brutal_kill, worker, []} || Id <- lists:seq(1, Size)]}}.

start() ->
  counter ! started,
  {ok, spawn_link(fun() -> receive crash -> exit(broken) end end)}.

crash(Supervisor, Count) ->
  Children = lists:sublist([Pid || {_, Pid, _, _} <- supervisor:which_children(Supervisor)], Count),
  {Us, _} = timer:tc(fun() -> [Pid ! crash || Pid <- Children], heard(Count) end),
  Us.

heard(0) -> ok;
heard(Count) -> receive started -> heard(Count - 1) end.

main() ->
  logger:set_primary_config(level, none),
  register(counter, self()),
  {ok, Supervisor} = supervisor:start_link(?MODULE, 1000),
  heard(1000),
  crash(Supervisor, 1000),
  Bursts = [begin timer:sleep(1100), crash(Supervisor, 100) end || _ <- lists:seq(1, 5)],
  Row = lists:sum([crash(Supervisor, 100) || _ <- lists:seq(1, 200)]),
  io:format("~s ~p ~p~n", [erlang:system_info(otp_release), lists:nth(3, lists:sort(Bursts)) / 100, Row / 20000]),
  halt().
`;

/** Undefined where Erlang is not installed, or does not get through. */
export function otpRestarts(): OtpRestarts | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'drover-erlang-'));
  try {
    writeFileSync(join(folder, 'restarts.erl'), PROGRAM);
    const run = '{ok, _} = compile:file("restarts"), restarts:main().';
    const { status, stdout } = spawnSync('erl', ['-noshell', '-eval', run], { cwd: folder, encoding: 'utf8', timeout: 120_000 });
    if (status !== 0) return undefined;
    const [release = '', burst, row] = stdout.trim().split(' ');
    return { release, burst: Number(burst), row: Number(row) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
