/**
 * TenantTurns: whose task of a kind is claimed next, by start-time fair queueing. Each tenant that has
 * something to claim has a tag; the lowest goes (among equals by name), and its tag grows by one over
 * its weight for each task that is claimed. Virtual time is the tag of who went last. A tenant that
 * comes back starts there, or at its own tag if that is later: it has saved up nothing, and one with
 * never more than one task at a time pays for its turns like everybody else.
 *
 * Tasks that were run before go ahead of new ones: they are a band of their own, over the same tags.
 * @see Goyal, Vin & Cheng, "Start-time fair queueing", SIGCOMM 1996
 */
import { IndexedHeap } from './indexed-heap.ts';

/** What goes ahead, and what does not. */
export type Band = 'resumed' | 'new';

/** Idle tenants that are remembered at most: beyond it those whose turn is nearest are forgotten. */
export const MOST_REMEMBERED = 1_024;

interface Member {
  readonly name: string;
  tag: number;
  /** In how many bands it has something to claim. */
  bands: number;
}

/** The tenants of one kind. */
export class TenantTurns {
  /** Above 0; a tenant that is not named has 1. May be changed at any time. */
  weights: ReadonlyMap<string, number>;
  readonly #members = new Map<string, Member>();
  readonly #bands: Readonly<Record<Band, IndexedHeap<Member>>> = { resumed: new IndexedHeap(goesFirst), new: new IndexedHeap(goesFirst) };
  #virtualTime = 0;
  /** Tenants with something to claim. */
  #active = 0;

  constructor(weights: ReadonlyMap<string, number> = new Map()) {
    this.weights = weights;
  }

  /** It has something to claim in this band. Once more changes nothing. */
  enter(tenant: string, band: Band): void {
    let member = this.#members.get(tenant);
    if (member === undefined) this.#members.set(tenant, (member = { name: tenant, tag: this.#virtualTime, bands: 0 }));
    if (this.#bands[band].has(member)) return;
    if (member.bands === 0) {
      member.tag = Math.max(member.tag, this.#virtualTime);
      this.#active += 1;
    }
    member.bands += 1;
    this.#bands[band].add(member);
  }

  /** It has nothing left in this band. */
  leave(tenant: string, band: Band): void {
    const member = this.#members.get(tenant);
    if (member === undefined || !this.#bands[band].has(member)) return;
    this.#bands[band].remove(member);
    member.bands -= 1;
    if (member.bands > 0) return;
    this.#active -= 1;
    if (this.#active === 0) {
      // Nobody waits, so nobody can be wronged.
      this.#members.clear();
      this.#virtualTime = 0;
    } else if (member.tag <= this.#virtualTime) this.#members.delete(tenant);
    else if (this.#members.size - this.#active > MOST_REMEMBERED) this.#forgetIdle();
  }

  /** Whose turn it is among those who have something in this band. */
  next(band: Band): string | undefined {
    return this.#bands[band].first?.name;
  }

  /** So many of its tasks have been claimed. To be called before `leave`. */
  charge(tenant: string, tasks = 1): void {
    const member = this.#members.get(tenant);
    if (member === undefined || tasks === 0) return;
    this.#virtualTime = Math.max(this.#virtualTime, member.tag);
    member.tag += tasks / (this.weights.get(tenant) ?? 1);
    for (const heap of [this.#bands.resumed, this.#bands.new]) heap.sink(member);
  }

  /** Virtual time moves up to the nearer half of the idle ones: an endless row of new tenants costs no memory. */
  #forgetIdle(): void {
    const idle = [...this.#members.values()].filter(({ bands }) => bands === 0).toSorted((a, b) => a.tag - b.tag);
    const nearer = idle.slice(0, Math.ceil(idle.length / 2));
    for (const { name } of nearer) this.#members.delete(name);
    this.#virtualTime = Math.max(this.#virtualTime, nearer.at(-1)!.tag);
  }
}

function goesFirst(a: Member, b: Member): boolean {
  return a.tag === b.tag ? a.name < b.name : a.tag < b.tag;
}
