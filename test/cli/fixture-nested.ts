/** A kind that asks itself with one worker: it lives by parking. */
import { agent, contract, defineFleet } from 'drover';

const digger = agent({ asks: { digger: contract() }, run: async () => null });

export default defineFleet({ name: 'nested', agents: { digger } });
