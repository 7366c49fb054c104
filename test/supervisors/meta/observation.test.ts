import { describe, expect, test } from 'vitest';
import { ObservationBuffer } from '../../../supervisors/meta-agent/observation.ts';
import type { Observation } from '../../../supervisors/meta-agent/observation.ts';

const at = (atMs: number): Observation => ({ type: 'worker.started', atMs, worker: 'w', kind: 'k' });
const times = (observations: readonly Observation[]): readonly number[] => observations.map(({ atMs }) => atMs);

describe('the buffer of observations', () => {
  test('it hands out everything once, oldest first', () => {
    const buffer = new ObservationBuffer(3);
    buffer.add(at(1));
    buffer.add(at(2));
    expect(buffer.drain()).toEqual({ type: 'observed', observations: [at(1), at(2)], dropped: 0 });
    expect(buffer.drain()).toEqual({ type: 'observed', observations: [], dropped: 0 });
  });

  test('full, it drops the oldest, counts them, and stays as large as it is', () => {
    const buffer = new ObservationBuffer(3);
    for (let ms = 1; ms <= 8; ms += 1) {
      buffer.add(at(ms));
      expect(buffer.size).toBeLessThanOrEqual(3);
    }
    const { observations, dropped } = buffer.drain();
    expect(times(observations)).toEqual([6, 7, 8]);
    expect(dropped).toBe(5);
  });

  test('what was dropped is counted once', () => {
    const buffer = new ObservationBuffer(1);
    buffer.add(at(1));
    buffer.add(at(2));
    expect(buffer.drain().dropped).toBe(1);
    buffer.add(at(3));
    expect(buffer.drain()).toMatchObject({ dropped: 0, observations: [at(3)] });
  });

  test('a buffer for nothing is refused', () => {
    expect(() => new ObservationBuffer(0)).toThrow('at least one');
  });
});
