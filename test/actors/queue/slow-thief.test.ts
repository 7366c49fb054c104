import { expect, test } from 'vitest';
import { decide, initial } from '../../../actors/queue.ts';
import type { QueueEffect, QueueMessage, Start } from '../../../actors/queue.ts';
import { task } from './bench.ts';
import { Boxes } from './boxes.ts';

const TOTAL = 1_000_000;
/** The thief comes once in so many rounds, and stays for a tenth of them. */
const ROUNDS = 1_000;

test('WS-06 a thief that comes and goes takes nothing that is lost: of a million tasks each is run once', () => {
  let [state] = initial({ capacity: 64, stealAbove: 4, seed: 6 });
  const boxes = new Boxes();
  const todo: QueueMessage[] = [];
  const starts: Start[] = [];
  const runs = new Uint8Array(TOTAL);
  const back: number[] = [];
  let given = 0;
  let stolen = 0;
  const next = (): number | undefined => back.pop() ?? (given < TOTAL ? (given += 1) - 1 : undefined);
  const claim = (limit: number): QueueMessage => {
    const tasks = [];
    for (let at = tasks.length < limit ? next() : undefined; at !== undefined; at = tasks.length < limit ? next() : undefined) {
      tasks.push(task(at, 1, 'the same for all'));
    }
    return { type: 'queue.claimed', tasks, asked: limit };
  };
  const freed = ({ id }: { readonly id: string }): void => {
    back.push(Number(id.slice(1)));
    todo.push({ type: 'queue.ready' });
  };
  const perform = (effect: QueueEffect): void => {
    if (effect.type === 'queue.start') starts.push(...effect.starts);
    else if (effect.type === 'queue.stole') stolen += effect.count;
    else if (effect.type === 'queue.release') effect.tasks.forEach(freed);
    else if (effect.type === 'queue.spill') boxes.give(effect.worker, { at: 'spill', tasks: effect.tasks });
    else if (effect.type === 'queue.unbox') {
      boxes.give(effect.worker, { at: 'unbox' });
      boxes.answer(effect.worker, freed);
    } else if (effect.type === 'queue.claim' && effect.box === undefined) todo.push(claim(effect.limit));
    else if (effect.type === 'queue.claim') {
      boxes.give(effect.box!, { at: 'claim', limit: effect.limit });
      todo.push({ type: 'queue.claimed', ...boxes.answer(effect.box!, freed)! });
    }
  };
  const tell = (message: QueueMessage): void => {
    todo.push(message);
    for (let first = todo.shift(); first !== undefined; first = todo.shift()) {
      const [after, effects] = decide(state, first, 0);
      state = after;
      effects.forEach(perform);
    }
  };
  tell({ type: 'queue.joined', worker: 'owner', incarnation: 1 });
  for (let round = 1; starts.length > 0; round += 1) {
    const over = starts.splice(0).map((start) => start.task);
    for (const { id } of over) runs[Number(id.slice(1))]! += 1;
    tell({ type: 'queue.ended', runs: over });
    if (round % ROUNDS === 0) tell({ type: 'queue.joined', worker: 'thief', incarnation: round });
    if (round % ROUNDS === ROUNDS / 10 && round > ROUNDS) tell({ type: 'queue.leaving', worker: 'thief' });
  }
  expect(stolen).toBeGreaterThan(10_000);
  expect(runs.every((times) => times === 1)).toBe(true);
}, 60_000);
