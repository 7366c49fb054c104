/** The one place that says where the testing kit is. */
export { acquire, attempt, checkSkeleton, explore, look, release } from 'drover/testing';
export type { Exploration, Move, ProcessClass, Skeleton, StateSpace, Verdict } from 'drover/testing';
