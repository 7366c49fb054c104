/** Mark: whether this thread or process executes runs for a fleet elsewhere. Known to every copy of the package in it. */

const MARK = Symbol.for('drover.isolated');

export function markIsolated(): void {
  Object.defineProperty(globalThis, MARK, { value: true });
}

/** True in the thread or process of an isolated worker: no fleet may be started here, or each child would have children. */
export function isIsolated(): boolean {
  return (globalThis as Record<symbol, unknown>)[MARK] === true;
}
