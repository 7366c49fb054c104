/** What a skeleton must be before it is compiled: every name known, every number in range. */
import { SkeletonError } from './errors.ts';
import { needsOf } from './skeleton.ts';
import type { Needs, ProcessClass, Skeleton, SkeletonMove } from './skeleton.ts';

const MOST = 255;

/** @throws SkeletonError with the path to what is wrong. */
export function checkShape(skeleton: Skeleton): void {
  const { resources = {}, mailboxes = {}, budgets = {}, processes, faults = 0 } = skeleton;
  for (const [name, capacity] of Object.entries(resources)) {
    within(capacity, 1, ['resources', name]);
    if (name === 'all') refuse(['resources', name], name, "another name: release('all') gives everything back");
  }
  for (const [name, capacity] of Object.entries(mailboxes)) within(capacity, 1, ['mailboxes', name]);
  for (const [name, count] of Object.entries(budgets)) within(count, 0, ['budgets', name]);
  within(faults, 0, ['faults']);
  for (const [at, one] of processes.entries()) {
    const path = ['processes', one.name];
    if (processes.findIndex(({ name }) => name === one.name) !== at) refuse(path, one.name, 'a name that no other process class has');
    within(one.count ?? 1, 0, [...path, 'count']);
    checkState(one, one.start, [...path, 'start']);
    for (const state of one.rests ?? []) checkState(one, state, [...path, 'rests']);
    if (one.crash !== undefined) checkState(one, one.crash.to, [...path, 'crash', 'to']);
    for (const [state, moves] of Object.entries(one.states)) {
      for (const [index, move] of moves.entries()) checkMove(skeleton, one, move, [...path, 'states', state, String(index)]);
    }
  }
}

function checkMove(skeleton: Skeleton, one: ProcessClass, move: SkeletonMove, path: readonly string[]): void {
  const { resources = {}, mailboxes = {}, budgets = {}, processes } = skeleton;
  if (move.options.spends !== undefined) known(budgets, move.options.spends, [...path, 'spends'], 'a budget');
  if (move.options.whileEmpty !== undefined) known(mailboxes, move.options.whileEmpty, [...path, 'whileEmpty'], 'a mailbox');
  if (move.does === 'end') return;
  checkState(one, move.to, [...path, 'to']);
  switch (move.does) {
    case 'acquire':
    case 'release':
    case 'attempt':
    case 'look':
      if (move.does !== 'release' || move.needs !== 'all') checkNeeds(move.needs, resources, [...path, move.does]);
      if (move.does === 'attempt' || move.does === 'look') checkState(one, move.otherwise, [...path, 'otherwise']);
      return;
    case 'send':
    case 'receive':
    case 'ask':
      return known(mailboxes, move.mailbox, [...path, move.does], 'a mailbox');
    case 'spawn':
      within(move.most, 1, [...path, 'most']);
      if (!processes.some(({ name }) => name === move.process)) {
        refuse([...path, 'spawn'], move.process, `the name of a process class (${processes.map(({ name }) => name).join(', ')})`);
      }
      return;
    case 'reply':
    case 'join':
    case 'go':
    case 'crash':
      return;
  }
}

function checkNeeds(needs: Needs, resources: Readonly<Record<string, number>>, path: readonly string[]): void {
  for (const [name, count] of Object.entries(needsOf(needs))) {
    known(resources, name, path, 'a resource');
    within(count, 1, [...path, name]);
  }
}

function checkState({ states }: ProcessClass, state: string, path: readonly string[]): void {
  known(states, state, path, 'a state of the process');
}

function known(names: Readonly<Record<string, unknown>>, name: string, path: readonly string[], what: string): void {
  if (!Object.hasOwn(names, name)) refuse(path, name, `the name of ${what} (${Object.keys(names).join(', ')})`);
}

function within(value: number, least: number, path: readonly string[]): void {
  if (!Number.isInteger(value) || value < least || value > MOST) refuse(path, value, `a whole number from ${least} to ${MOST}`);
}

function refuse(path: readonly string[], value: unknown, expected: string): never {
  throw new SkeletonError({ path: ['skeleton', ...path], value, expected });
}
