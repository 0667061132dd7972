/**
 * Says who of a topic's subscribers is to get the next partition, and who is to give one. Both ends are ranges over the
 * members sorted by load: a range is served member by member, and then grows by those who have as many.
 * Source: UniformHeterogeneousAssignmentBuilder.java (4.1), MemberAssignmentBalancer.
 */
const NOBODY = -1

export class LoadBalancer {
  readonly #loads: readonly number[]
  #sorted: number[] = []
  #least = { end: 0, load: 0, next: 0 }
  #most = { start: 0, end: 0, load: 0, next: 0 }

  /** `loads`: partitions by member; the caller keeps them up to date. */
  constructor(loads: readonly number[]) {
    this.#loads = loads
  }

  /** Gives the difference between the highest and the lowest load. */
  begin(members: readonly number[]): number {
    const loads = this.#loads
    this.#sorted = [...members].sort((a, b) => loads[a] - loads[b] || a - b)
    const size = this.#sorted.length
    const lowest = loads[this.#sorted[0]]
    const highest = loads[this.#sorted[size - 1]]
    this.#least = { end: 0, load: lowest - 1, next: 0 }
    this.#most = { start: size, end: size, load: highest + 1, next: size - 1 }
    return highest - lowest
  }

  get isBalanced(): boolean {
    return this.#most.load - this.#least.load <= 1
  }

  nextLeastLoaded(): number {
    const least = this.#least
    if (least.next >= least.end) {
      least.load++
      while (least.end < this.#sorted.length && this.#loadAt(least.end) === least.load) least.end++
      least.next = 0
    }
    return this.#sorted[least.next++]
  }

  /** -1: nobody is left. */
  nextMostLoaded(): number {
    const most = this.#most
    if (most.next < most.start) {
      // An empty range skips the loads that nobody has.
      const isEmpty = most.end <= most.start && most.start > 0
      most.load = isEmpty ? this.#loadAt(most.start - 1) : most.load - 1
      while (most.start > 0 && this.#loadAt(most.start - 1) === most.load) most.start--
      most.next = most.end - 1
    }
    return most.next < 0 ? NOBODY : this.#sorted[most.next--]
  }

  /** The member that `nextMostLoaded` gave last has nothing to give. */
  excludeMostLoaded(): void {
    const [given, last] = [this.#most.next + 1, this.#most.end - 1]
    const sorted = this.#sorted
    ;[sorted[given], sorted[last]] = [sorted[last], sorted[given]]
    this.#most.end--
  }

  #loadAt(place: number): number {
    return this.#loads[this.#sorted[place]]
  }
}
