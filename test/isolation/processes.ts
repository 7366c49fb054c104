import { readFileSync } from 'node:fs';

/** Whether that process still does anything: one that is dead and has not been buried does not. Linux. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
