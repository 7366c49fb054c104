/**
 * Conformance: every promise of the store port, as sentences that each adapter is held to.
 * A new adapter passes a way to make places, and nothing else.
 */
import { describe } from 'vitest';
import { budgeting } from './conformance/budgets.ts';
import { claiming } from './conformance/claiming.ts';
import { intending } from './conformance/intents.ts';
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
    const tasks = [submitting, claiming, running, settling, parking, sweeping, looking];
    for (const section of [...tasks, budgeting, intending, owning, texts]) section(makePlace);
  });
}
