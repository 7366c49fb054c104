/**
 * Conformance: every promise of the store port, as sentences that each adapter is held to.
 * A new adapter passes a way to make places, and nothing else.
 */
import { describe } from 'vitest';
import { claiming } from './conformance/claiming.ts';
import { looking, owning, sweeping } from './conformance/owning.ts';
import { parking } from './conformance/parking.ts';
import type { MakePlace } from './conformance/place.ts';
import { running } from './conformance/running.ts';
import { settling } from './conformance/settling.ts';
import { submitting } from './conformance/submitting.ts';
import { texts } from './conformance/texts.ts';

export type { MakePlace, Place } from './conformance/place.ts';

/** Declares the suite for the store called `name`. Each test gets a place of its own. */
export function storeConformance(name: string, makePlace: MakePlace): void {
  describe(`${name} keeps the promises of the port`, () => {
    for (const section of [submitting, claiming, running, settling, parking, sweeping, looking, owning, texts]) section(makePlace);
  });
}
