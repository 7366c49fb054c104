/** The one place that says where the testing kit is. */
export {
  acquire,
  attempt,
  checkSkeleton,
  compileSkeleton,
  explore,
  isDead,
  livenessOf,
  look,
  netSpace,
  play,
  release,
  shrinkTrace,
  startOf,
} from 'drover/testing';
export type { Exploration, Move, ProcessClass, Skeleton, StateSpace, Verdict } from 'drover/testing';
