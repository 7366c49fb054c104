/** Evidence of tasks: whether each task that was wanted has become what it must, with all its effects and no others. */
import type { LoggedEffect } from './effects.ts';
import { accountRow, ledgerRow } from './shop.ts';
import type { Snapshot, SnapshotTask } from './snapshot.ts';
import type { Wanted } from './workload.ts';

type Accepted = ReadonlyMap<string, LoggedEffect>;
type Of<Kind extends Wanted['kind']> = Extract<Wanted, { readonly kind: Kind }>;

/** In the order in which an order registers what undoes them. */
const COMPENSATED = ['reserve', 'payment', 'label'];
const LONGEST_BETWEEN_CLOCKS_MS = 20;

/** `accepted`: effects by their keys, in the order in which they were accepted. */
export function judgeWanted(wanted: readonly Wanted[], end: Snapshot, accepted: Accepted): string[] {
  const children = Map.groupBy(end.tasks.values(), ({ id }) => asker(id));
  const each = wanted.flatMap((one) => {
    const task = end.tasks.get(one.id);
    if (task === undefined) return [`task ${one.id}: is not there`];
    const say = (broken: readonly (string | false)[]): string[] =>
      broken.filter((what) => what !== false).map((what) => `task ${one.id} (${task.status}): ${what}`);
    switch (one.kind) {
      case 'order':
        return say(judgeOrder(one, task, children.get(one.id) ?? [], accepted));
      case 'transfer':
        return say([task.status !== 'completed' && 'has not completed', lacks(one.id, ['transfer'], accepted)]);
      case 'ledger':
        return say([
          task.status !== (one.fails ? 'dead' : 'completed') && 'has not ended as it must',
          !one.fails && lacks(one.id, ['append'], accepted),
          one.fails && accepted.has(`${one.id}/step:append`) && 'has an effect',
        ]);
      case 'errand':
        return say(judgeErrand(one, task, accepted));
    }
  });
  return [...each, ...judgeStrangers(wanted, end), ...judgeAccounts(wanted, end), ...judgeLedgers(wanted, end, accepted)];
}

/** Whoever asked for the task or sent it: ids say so. */
function asker(id: string): string {
  return id.slice(0, Math.max(0, id.lastIndexOf('/')));
}

function lacks(id: string, steps: readonly string[], accepted: Accepted): string | false {
  const missing = steps.filter((step) => !accepted.has(`${id}/step:${step}`));
  return missing.length > 0 && `lacks ${missing.join(', ')}`;
}

function judgeOrder(order: Of<'order'>, task: SnapshotTask, children: readonly SnapshotTask[], accepted: Accepted): (string | false)[] {
  const { id, amount, fate } = order;
  const payments = children.filter(({ kind }) => kind === 'payment');
  const notes = children.filter(({ kind }) => kind === 'note');
  const undone = [...accepted.keys()].flatMap((key) => (key.startsWith(`${id}/undo:`) ? [key.slice(`${id}/undo:`.length)] : []));
  const paid = payments.some(({ status }) => status === 'completed');
  const twice = [payments.length > 1 && 'has asked for two payments', notes.length > 1 && 'has sent two notes'];
  if (task.status === 'completed') {
    const result = JSON.parse(task.result ?? 'null') as { readonly paid?: unknown; readonly text?: unknown } | null;
    const label = accepted.get(`${id}/step:label`);
    return [
      ...twice,
      fate === 'fails' && 'was to fail',
      order.steered === 'done' && 'had been cancelled',
      lacks(id, ['reserve', 'label'], accepted),
      !paid && 'was not paid',
      result?.paid !== amount && `was paid ${String(result?.paid)}`,
      label !== undefined && (JSON.parse(label.payload) as { text?: unknown }).text !== result?.text && 'has another answer than its label',
      notes.length !== 1 && 'has sent no note',
      undone.length > 0 && `has undone ${undone.join(', ')}`,
    ];
  }
  const made = COMPENSATED.filter((name) => (name === 'payment' ? paid : accepted.has(`${id}/step:${name}`)));
  return [
    ...twice,
    task.status !== (fate === 'fails' ? 'dead' : 'cancelled') && 'has not ended as it must',
    (fate === 'completes' || fate === 'paused') && 'was to complete',
    notes.length > 0 && 'has sent a note',
    made.some((name) => !undone.includes(name)) && `has made ${made.join(', ')} and undone ${undone.join(', ')}`,
    fate === 'fails' && undone.length < COMPENSATED.length && `has undone only ${undone.join(', ')}`,
    // All that was registered, the latest first.
    undone.join() !== COMPENSATED.slice(0, undone.length).toReversed().join() && `has undone ${undone.join(', ')} in this order`,
  ];
}

function judgeErrand(errand: Of<'errand'>, task: SnapshotTask, accepted: Accepted): (string | false)[] {
  const { id, sleepMs, notBeforeMs, approved } = errand;
  const expected = { turns: [1, 2], decided: approved ? 'approved by ann' : 'rejected by ann' };
  const [before, awake] = [accepted.get(`${id}/step:before`), accepted.get(`${id}/step:awake`)];
  return [
    task.status !== 'completed' && 'has not completed',
    lacks(id, ['before', 'awake', 'after'], accepted),
    task.result !== JSON.stringify(expected) && `has been told ${task.result}`,
    before !== undefined && before.begunAtMs < (notBeforeMs ?? 0) - LONGEST_BETWEEN_CLOCKS_MS && 'has begun before its time',
    before !== undefined &&
      awake !== undefined &&
      awake.begunAtMs < before.begunAtMs + sleepMs - LONGEST_BETWEEN_CLOCKS_MS &&
      'has slept too short',
  ];
}

/** Nothing is there that nobody wanted. */
function judgeStrangers(wanted: readonly Wanted[], end: Snapshot): string[] {
  const known = new Set(wanted.map(({ id }) => id));
  return [...end.tasks.values()]
    .filter(({ id, kind }) => kind !== 'tick' && !known.has(id) && !known.has(asker(id)))
    .map(({ id }) => `task ${id}: nobody wanted it`);
}

/** Each account has what completed tasks say: no update is lost, none is made twice. */
function judgeAccounts(wanted: readonly Wanted[], end: Snapshot): string[] {
  const sums = new Map<string, number>();
  const add = (account: number, amount: number): void => {
    const row = accountRow(account);
    sums.set(row, (sums.get(row) ?? 0) + amount);
  };
  const orders = new Map(wanted.flatMap((one) => (one.kind === 'order' ? [[one.id, one] as const] : [])));
  for (const { id, kind, status } of end.tasks.values()) {
    const order = orders.get(asker(id));
    if (kind === 'payment' && status === 'completed' && order !== undefined) add(order.account, order.amount);
  }
  for (const one of wanted) {
    if (one.kind !== 'transfer' || end.tasks.get(one.id)?.status !== 'completed') continue;
    add(one.from, -one.amount);
    add(one.to, one.amount);
  }
  return [...sums].flatMap(([row, sum]) => {
    const found = end.rows.get(row)?.value;
    return found === sum ? [] : [`row ${row}: expected ${sum}, found ${String(found)}`];
  });
}

/** Lines of a ledger come in the order in which they were accepted, in the row and outside. */
function judgeLedgers(wanted: readonly Wanted[], end: Snapshot, accepted: Accepted): string[] {
  const lines = wanted.filter((one) => one.kind === 'ledger' && !one.fails) as readonly Of<'ledger'>[];
  const place = new Map([...accepted.keys()].map((key, at) => [key, at]));
  return [...Map.groupBy(lines, ({ key }) => key)].flatMap(([key, own]) => {
    const expected = own.map(({ n }) => n).join();
    const found = (end.rows.get(ledgerRow(key))?.value as readonly number[] | undefined)?.join();
    const outside = own.toSorted((a, b) => (place.get(`${a.id}/step:append`) ?? 0) - (place.get(`${b.id}/step:append`) ?? 0));
    return [
      ...(found === expected ? [] : [`ledger ${key}: expected ${expected}, found ${String(found)}`]),
      ...(outside.map(({ n }) => n).join() === expected
        ? []
        : [`ledger ${key}: its lines were made in the order ${outside.map(({ n }) => n).join()}`]),
    ];
  });
}
