/** Random small nets: two actors, a resource, every class of transition, now and then an inhibitor. */
import fc from 'fast-check';
import type { Arc, Net, Place, Transition } from '../../../src/testing/explore/net.ts';

const PLACES = 6;
const CAPACITY = 3;

const arc = fc.record({ place: fc.nat(PLACES - 1), count: fc.constantFrom(1, 1, 1, 2) });

/** At most one arc a place: what two arcs to one place mean together is another test's business. */
const arcs = (minLength: number, maxLength: number): fc.Arbitrary<readonly Arc[]> =>
  fc.uniqueArray(arc, { minLength, maxLength, selector: ({ place }) => place });

const transition: fc.Arbitrary<Transition> = fc
  .record({
    actor: fc.constantFrom('a', 'b'),
    class: fc.constantFrom('step' as const, 'step' as const, 'progress' as const, 'release' as const, 'release' as const, 'fault' as const),
    takes: arcs(1, 2),
    gives: fc.oneof({ weight: 3, arbitrary: arcs(1, 1) }, { weight: 1, arbitrary: arcs(0, 2) }),
    reads: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: arcs(1, 1) }),
    unless: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: arcs(1, 1) }),
  })
  .map((parts) => ({ ...parts, says: 'moves' }));

const place = (initial: number, index: number): Place => ({
  name: `place ${index}`,
  initial,
  capacity: CAPACITY,
  about:
    index < 4
      ? { at: 'process', process: index % 2 === 0 ? 'a' : 'b', state: `${index}`, held: {}, rests: index < 2, owes: false }
      : { at: 'resource', resource: `r${index}`, capacity: CAPACITY },
});

/** Home asks for nobody in the two busy places of processes; or there is no home. */
export const nets: fc.Arbitrary<Net> = fc
  .record({
    initial: fc.array(fc.nat(2), { minLength: PLACES, maxLength: PLACES }),
    transitions: fc.array(transition, { minLength: 2, maxLength: 9 }),
    home: fc.constantFrom(
      undefined,
      [
        { place: 2, count: 0 },
        { place: 3, count: 0 },
      ],
      [
        { place: 2, count: 0 },
        { place: 3, count: 0 },
        { place: 4, count: 0 },
      ],
      // A resource that has to be home again, and nothing said of processes.
      [{ place: 5, count: 1 }],
    ),
  })
  .map(({ initial, transitions, home }) => ({
    name: 'random',
    places: initial.map(place),
    transitions,
    ...(home === undefined ? {} : { home }),
  }));
