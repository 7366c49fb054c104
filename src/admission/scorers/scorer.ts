/** Says how good a reply to a request is, from 0 to 1; undefined: no opinion. Quick, and without a promise: it runs for every reply. */
export type Scorer<Rep = unknown, Req = unknown> = (reply: Rep, request: Req) => number | undefined;
