/**
 * Sorted set: a persistent balanced tree. An operation copies one path, about log2(size) nodes, and
 * shares the rest, so an older set stays as it was and a decision that keeps one stays pure.
 *
 * The order is an argument of each operation: a set is used with one order all its life. Items that
 * compare as 0 are the same item.
 * @see Hirai & Yamamoto, "Balancing weight-balanced trees", JFP 2011: the factors 3 and 2
 */
export type SortedSet<T> = SortedNode<T> | undefined;

export interface SortedNode<T> {
  readonly item: T;
  readonly left: SortedSet<T>;
  readonly right: SortedSet<T>;
  readonly size: number;
}

export type Order<T> = (a: T, b: T) => number;

export function sizeOf(set: SortedSet<unknown>): number {
  return set === undefined ? 0 : set.size;
}

export function first<T>(set: SortedSet<T>): T | undefined {
  let at = set;
  while (at?.left !== undefined) at = at.left;
  return at?.item;
}

/** The item for which `place` is 0. `place` is below 0 for items after it, above 0 for items before it. */
export function find<T>(set: SortedSet<T>, place: (item: T) => number): T | undefined {
  let at = set;
  while (at !== undefined) {
    const side = place(at.item);
    if (side === 0) return at.item;
    at = side < 0 ? at.left : at.right;
  }
  return undefined;
}

/** The set with `item`, in place of one that compares the same. */
export function insert<T>(set: SortedSet<T>, item: T, order: Order<T>): SortedNode<T> {
  if (set === undefined) return node(item, undefined, undefined);
  const side = order(item, set.item);
  if (side === 0) return node(item, set.left, set.right);
  return side < 0
    ? balanced(set.item, insert(set.left, item, order), set.right)
    : balanced(set.item, set.left, insert(set.right, item, order));
}

/** The set without `item`; the same set when it was not there. */
export function remove<T>(set: SortedSet<T>, item: T, order: Order<T>): SortedSet<T> {
  if (set === undefined) return undefined;
  const side = order(item, set.item);
  if (side === 0) return glued(set.left, set.right);
  if (side < 0) {
    const left = remove(set.left, item, order);
    return left === set.left ? set : balanced(set.item, left, set.right);
  }
  const right = remove(set.right, item, order);
  return right === set.right ? set : balanced(set.item, set.left, right);
}

export function* itemsOf<T>(set: SortedSet<T>): Generator<T> {
  if (set === undefined) return;
  yield* itemsOf(set.left);
  yield set.item;
  yield* itemsOf(set.right);
}

function node<T>(item: T, left: SortedSet<T>, right: SortedSet<T>): SortedNode<T> {
  return { item, left, right, size: sizeOf(left) + sizeOf(right) + 1 };
}

/** One set of two, all items of `left` before those of `right`, their sizes at most one removal out of balance. */
function glued<T>(left: SortedSet<T>, right: SortedSet<T>): SortedSet<T> {
  if (left === undefined) return right;
  if (right === undefined) return left;
  return balanced(first(right) as T, left, withoutFirst(right));
}

function withoutFirst<T>(set: SortedNode<T>): SortedSet<T> {
  return set.left === undefined ? set.right : balanced(set.item, withoutFirst(set.left), set.right);
}

/** Joins two sides of which one may have become too heavy by one item. */
function balanced<T>(item: T, left: SortedSet<T>, right: SortedSet<T>): SortedNode<T> {
  const leftWeight = sizeOf(left) + 1;
  const rightWeight = sizeOf(right) + 1;
  if (rightWeight > 3 * leftWeight) return rotatedLeft(item, left, right as SortedNode<T>);
  if (leftWeight > 3 * rightWeight) return rotatedRight(item, left as SortedNode<T>, right);
  return node(item, left, right);
}

function rotatedLeft<T>(item: T, left: SortedSet<T>, right: SortedNode<T>): SortedNode<T> {
  const inner = right.left;
  if (inner === undefined || inner.size + 1 < 2 * (sizeOf(right.right) + 1)) return node(right.item, node(item, left, inner), right.right);
  return node(inner.item, node(item, left, inner.left), node(right.item, inner.right, right.right));
}

function rotatedRight<T>(item: T, left: SortedNode<T>, right: SortedSet<T>): SortedNode<T> {
  const inner = left.right;
  if (inner === undefined || inner.size + 1 < 2 * (sizeOf(left.left) + 1)) return node(left.item, left.left, node(item, inner, right));
  return node(inner.item, node(left.item, left.left, inner.left), node(item, inner.right, right));
}
