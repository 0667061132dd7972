/** The fetchers of a broker: one for each leader and fetcher id, there while it has partitions to follow. */
import type { LeaderAddress } from '../leader-channel.ts'
import type { FollowedPartition, FollowerFetchers } from '../types.ts'
import { Fetcher, type FetcherParts } from './fetcher.ts'
import { fetcherIdOf } from './fetcher-id.ts'

export interface ReplicaFetchersParts extends FetcherParts {
  /** num.replica.fetchers */
  readonly fetchersPerLeader: () => number
}

export class ReplicaFetchers implements FollowerFetchers {
  readonly #parts: ReplicaFetchersParts
  readonly #fetchers = new Map<string, Fetcher>()
  readonly #fetcherOf = new Map<FollowedPartition, Fetcher>()
  #fetchersPerLeader: number
  #stopped = false

  constructor(parts: ReplicaFetchersParts) {
    this.#parts = parts
    this.#fetchersPerLeader = parts.fetchersPerLeader()
  }

  follow(partition: FollowedPartition, leader: LeaderAddress): void {
    if (this.#stopped) return
    const fetcherId = fetcherIdOf(partition.topic, partition.index, this.#fetchersPerLeader)
    const key = `${leader.id}/${fetcherId}`
    let fetcher = this.#fetchers.get(key)
    if (fetcher === undefined) {
      fetcher = new Fetcher(this.#parts, leader, fetcherId)
      this.#fetchers.set(key, fetcher)
    }
    if (this.#fetcherOf.get(partition) !== fetcher) this.unfollow(partition)
    this.#fetcherOf.set(partition, fetcher)
    fetcher.follow(partition, leader)
  }

  unfollow(partition: FollowedPartition): void {
    const fetcher = this.#fetcherOf.get(partition)
    if (fetcher === undefined) return
    this.#fetcherOf.delete(partition)
    fetcher.unfollow(partition)
    // Not at once: what is followed anew in this turn finds its connection.
    if (fetcher.isIdle) this.#parts.timers.soon(() => this.#closeIdle())
  }

  /** num.replica.fetchers may have changed: partitions go to the fetchers that are theirs then. */
  settingsChanged(): void {
    const fetchersPerLeader = this.#parts.fetchersPerLeader()
    if (fetchersPerLeader === this.#fetchersPerLeader) return
    this.#fetchersPerLeader = fetchersPerLeader
    for (const [partition, fetcher] of [...this.#fetcherOf]) this.follow(partition, fetcher.leader)
  }

  stop(): void {
    this.#stopped = true
    for (const fetcher of this.#fetchers.values()) fetcher.stop()
    this.#fetchers.clear()
    this.#fetcherOf.clear()
  }

  #closeIdle(): void {
    for (const [key, fetcher] of this.#fetchers) {
      if (!fetcher.isIdle) continue
      fetcher.stop()
      this.#fetchers.delete(key)
    }
  }
}
