/**
 * Agents as statecharts: two refunds, one small, one that a person has to approve.
 *
 *     npm exec -- node --conditions=drover-source examples/statechart/main.ts
 */
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { startFleet } from 'drover';
import { ledger, topology } from './refund.ts';

await using fleet = await startFleet(topology, { logger: pino({ level: 'warn' }) });
const small = await fleet.submit('refund', { order: 'A-17', reason: 'it came late' });
const large = await fleet.submit('refund', { order: 'B-2026-11', reason: 'it came broken' });
console.log('small:', await small.result());

// Nobody answers for a while: the task is parked, and is reminded.
await setTimeout(500);
while ((await fleet.task(large.id))?.status !== 'parked') await setTimeout(5);
console.log('large: parked');
await fleet.signal(large.id, 'approve', { by: 'eve' });
const { cents, by, reminders } = await large.result();
console.log('large:', cents, 'by', by, reminders > 0 ? 'after a reminder' : 'at once');
console.log('paid:', [...ledger.values()].join(' '));
