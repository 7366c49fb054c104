/** Words: a fact of a simulation as one sentence. */
import type { SettledOutcome } from '../../../actors/ports/store.ts';
import type { ShownFact } from './recorder.ts';

export function tellFact(fact: ShownFact): string {
  switch (fact.at) {
    case 'store.accepted': {
      const { id, kind, parent } = fact.task;
      return `committed: task ${id} (${kind}) is accepted${parent === undefined ? '' : `, asked for by ${parent.id}`}`;
    }
    case 'store.claimed':
      return `committed: task ${fact.task.id} (${fact.task.kind}) is claimed with fence ${fact.task.fence}`;
    case 'store.started':
      return `committed: task ${fact.held.id} is started`;
    case 'store.blocked':
      return `committed: task ${fact.held.id} is blocked: ${fact.holder} has ${fact.resource}`;
    case 'store.ended':
      return `committed: task ${fact.id} is ${fact.status}`;
    case 'store.steered':
      return `committed: task ${fact.steering.id}: ${fact.steering.action} by ${fact.steering.by}${fact.outcome.at === 'noted' ? ', noted until its run lets go' : ''}`;
    case 'store.told':
      return `committed: task ${fact.signal.id} is told ${fact.signal.name}`;
    case 'store.wrote':
      return `committed: ${fact.task === undefined ? 'somebody outside' : `task ${fact.task}`} ${fact.value === null ? 'deletes' : 'writes'} ${fact.key}`;
    case 'store.remembered':
      return `committed: task ${fact.item.id} remembers ${fact.item.place}`;
    case 'store.settled':
      return `committed: task ${fact.settlement.id} ${tellOutcome(fact.settlement.outcome)}${fact.settlement.outcome.at === 'lost' ? `: it is ${fact.outcome.status} now` : ''}`;
    case 'store.expired':
      return `committed: the lease of task ${fact.held.id} has run out: it is ${fact.held.status} now`;
    case 'store.opened':
      return `committed: a process owns the store, epoch ${fact.epoch}`;
    case 'store.leased':
      return `committed: ${fact.lease.holder} has ${fact.lease.name}, token ${fact.lease.fence}`;
    case 'store.lease-released':
      return `committed: ${fact.lease.holder} gives ${fact.lease.name} back`;
    case 'leader.elected':
      return `elected: the leader of ${fact.office}, epoch ${fact.epoch}`;
    case 'client.told':
      return `told: task ${fact.id} has ${fact.outcome}`;
    case 'call.began':
      return `called: ${fact.dependency} for ${fact.key}, ${fact.inFlight} in flight`;
    case 'call.ended':
      return `answered: ${fact.dependency} for ${fact.key}`;
    case 'step.began':
      return `called: step ${fact.key}`;
    case 'run.began':
      return `began: a run of ${fact.kind} for task ${fact.task}`;
    case 'run.ended':
      return `ended: the run of ${fact.kind} for task ${fact.task}`;
    case 'actor.spawned':
      return `started: ${fact.id}`;
    case 'worker.ended':
      return `ended: worker ${fact.worker}, ${fact.reason.at}`;
    case 'supervisor.restarting':
      return `restarting: ${fact.child} of ${fact.supervisor}`;
    case 'mailbox.stolen':
      return `stolen: ${fact.steal.count} of ${fact.kind}, by ${fact.steal.thief} from ${fact.steal.victim}`;
    case 'limiter.asked':
      return `asked: ${fact.dependency} for a permit, by ${fact.who}`;
    case 'limiter.answered':
      return `answered: the limiter of ${fact.dependency}, ${fact.reply.at}`;
    case 'process.killed':
      return 'struck: the process is gone';
    case 'scene.healed':
      return 'healed: no fault strikes any more, and everybody gets a turn';
    case 'scene.over':
      return 'over: everything that can end has ended';
  }
}

function tellOutcome(outcome: SettledOutcome): string {
  switch (outcome.at) {
    case 'completed':
      return 'is completed';
    case 'parked':
      return outcome.children.length === 0
        ? `is parked: ${outcome.reason}`
        : `is parked until one of ${outcome.children.join(', ')} has ended`;
    case 'undone':
      return 'has been undone';
    case 'retry':
      return `is to be tried again: ${messageOf(outcome.error)}`;
    case 'failed':
      return `has failed: ${messageOf(outcome.error)}`;
    case 'dead':
      return `is dead: ${messageOf(outcome.error)}`;
    case 'released':
      return 'is given back';
    case 'lost':
      return `has lost its run: ${messageOf(outcome.error)}`;
  }
}

/** Errors are kept as JSON text. */
function messageOf(error: string): string {
  try {
    return (JSON.parse(error) as { readonly message?: string } | null)?.message ?? error;
  } catch {
    return error;
  }
}
