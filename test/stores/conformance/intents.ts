import { describe, expect, test } from 'vitest';
import type { Intent, IntentOutcome } from '../../../actors/ports/store.ts';
import { Bench } from './place.ts';
import type { MakePlace } from './place.ts';

const PROCEED: IntentOutcome = { at: 'proceed' };

function waiting(ahead: number): IntentOutcome {
  return { at: 'waiting', ahead };
}

export function intending(makePlace: MakePlace): void {
  describe('intents', () => {
    const bench = new Bench(makePlace);
    const intent = (holder: string, { gate = 'model', most = 2, forMs = 100 } = {}): Intent => ({
      gate,
      holder,
      most,
      untilMs: bench.nowMs + forMs,
    });
    const register = (...items: readonly Intent[]): Promise<readonly IntentOutcome[]> => bench.store.registerIntents(items, bench.nowMs);

    test('the first ones proceed, in order of registration, and the others learn how many are ahead', async () => {
      expect(await register(intent('a'), intent('b'), intent('c'))).toEqual([PROCEED, PROCEED, waiting(2)]);
      expect(await register(intent('d'), intent('other', { gate: 'crm' }))).toEqual([waiting(3), PROCEED]);
    });

    test('asking again renews a place and does not move it', async () => {
      await register(intent('a'), intent('b'), intent('c'), intent('d'));
      bench.nowMs += 60;
      expect(await register(intent('d'), intent('c'), intent('a'))).toEqual([waiting(3), waiting(2), PROCEED]);
      // b has not asked again, and its time is over.
      bench.nowMs += 60;
      expect(await register(intent('d'), intent('c'))).toEqual([waiting(2), PROCEED]);
    });

    test('whoever withdraws makes room, and comes last when it registers again', async () => {
      await register(intent('a'), intent('b'), intent('c'), intent('d'));
      await bench.store.withdrawIntents([
        { gate: 'model', holder: 'a' },
        { gate: 'model', holder: 'nobody' },
        { gate: 'crm', holder: 'b' },
      ]);
      expect(await register(intent('a'), intent('c'), intent('d'), intent('b'))).toEqual([waiting(3), PROCEED, waiting(2), PROCEED]);
    });

    test('the place of whom its time is over goes to the next, at that very instant', async () => {
      await register(intent('a', { forMs: 50 }), intent('b'), intent('c'));
      bench.nowMs += 49;
      expect(await register(intent('c'))).toEqual([waiting(2)]);
      bench.nowMs += 1;
      expect(await register(intent('c'))).toEqual([PROCEED]);
      expect(await register(intent('a'))).toEqual([waiting(2)]);
    });

    test("an intent that is over when it registers is in nobody's way", async () => {
      expect(await register(intent('a', { forMs: 0 }), intent('b', { forMs: -5 }), intent('c', { most: 1 }))).toEqual([
        PROCEED,
        PROCEED,
        PROCEED,
      ]);
    });

    test('how many may proceed is what each one says', async () => {
      await register(intent('a'), intent('b'), intent('c'));
      expect(await register(intent('b', { most: 1 }), intent('c', { most: 3 }))).toEqual([waiting(1), PROCEED]);
    });

    test('after a crash the intents of dead holders run out, and the living keep their places', async () => {
      await register(intent('dead', { most: 1 }), intent('alive', { most: 1, forMs: 1_000 }), intent('late', { most: 1, forMs: 1_000 }));
      await bench.crashAndOpen();
      expect(await register(intent('alive', { most: 1, forMs: 1_000 }))).toEqual([waiting(1)]);
      bench.nowMs += 100;
      expect(await register(intent('late', { most: 1 }), intent('alive', { most: 1 }))).toEqual([waiting(1), PROCEED]);
    });

    test('a clock that was set back over a restart keeps nobody at the gate for longer than he had said', async () => {
      await register(intent('dead', { most: 1 }), intent('gone', { most: 1, forMs: 40 }));
      bench.nowMs -= 3_600_000;
      await bench.crashAndOpen();
      expect(await register(intent('b', { most: 1, forMs: 500 }))).toEqual([waiting(2)]);
      bench.nowMs += 40;
      expect(await register(intent('b', { most: 1, forMs: 500 }))).toEqual([waiting(1)]);
      bench.nowMs += 60;
      expect(await register(intent('b', { most: 1, forMs: 500 }))).toEqual([PROCEED]);
    });

    test('a gate that lets nobody through, and a time that is none, are refused', async () => {
      for (const wrong of [{ most: 0 }, { most: 1.5 }, { untilMs: Number.NaN }, { gate: '\udfff' }, { holder: 'x'.repeat(513) }])
        await expect(register({ ...intent('a'), ...wrong })).rejects.toMatchObject({ code: 'DROVER_STORE_INPUT' });
      expect(await register(intent('b', { most: 1 }))).toEqual([PROCEED]);
    });
  });
}
