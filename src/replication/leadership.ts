/** What a leader keeps besides its log: who follows how far, who is in sync, and what the controller has been asked. */
import type { Clock } from '../env/env.ts'
import { FollowerState } from './follower-state.ts'
import {
  effectiveMinIsr,
  expansion,
  maximalIsr,
  nextHighWatermark,
  shrinkage,
  type InSyncSet,
  type PendingIsr,
} from './in-sync-set.ts'
import { LeadershipProof } from './leadership-proof.ts'
import type { PartitionState } from './types.ts'

/** What the partitions of a broker share. */
export interface LeadershipHost {
  readonly brokerId: number
  readonly clock: Clock
  /** replica.lag.time.max.ms */
  lagTimeMaxMs(): number
  /** Whether the broker is in the cluster, as far as is known here. */
  isLive(brokerId: number): boolean
}

export class Leadership {
  readonly followers: readonly FollowerState[]
  /** The log's end when this leader epoch began. */
  readonly epochStartOffset: number
  readonly #host: LeadershipHost
  readonly #replicationFactor: number
  readonly #endProof: LeadershipProof
  readonly #gapProof: LeadershipProof
  #set: InSyncSet

  /** `before`: this broker led already; what it knows of its followers stays known. */
  constructor(host: LeadershipHost, state: PartitionState, logEndOffset: number, before: Leadership | null) {
    const { brokerId, clock } = host
    this.#host = host
    this.epochStartOffset = logEndOffset
    this.#replicationFactor = state.replicas.length
    this.#set = { committed: state.isr, pending: null }
    this.#endProof = new LeadershipProof(clock)
    this.#gapProof = new LeadershipProof(clock)
    const nowMs = clock.monotonicMs()
    this.followers = state.replicas
      .filter((id) => id !== brokerId)
      .map((id) => {
        const isInSync = state.isr.includes(id)
        const known = before?.follower(id)
        if (known === undefined) return new FollowerState(id, isInSync, nowMs)
        known.newEpoch(isInSync, logEndOffset, nowMs)
        return known
      })
  }

  follower(brokerId: number): FollowerState | undefined {
    return this.followers.find((follower) => follower.brokerId === brokerId)
  }

  /** What the controller has confirmed. */
  get isr(): readonly number[] {
    return this.#set.committed
  }

  get isChanging(): boolean {
    return this.#set.pending !== null
  }

  /** Why a produce with acks=all is not taken now: too few members; 0: it is. */
  missingMembers(minInsyncReplicas: number): number {
    return Math.max(0, this.minIsr(minInsyncReplicas) - this.#set.committed.length)
  }

  minIsr(minInsyncReplicas: number): number {
    return effectiveMinIsr(minInsyncReplicas, this.#replicationFactor)
  }

  /**
   * Whether every other member of the in-sync set has fetched, in this leader epoch, within `withinMs`: none of them had been
   * told of another leader then, or been made one, and nobody else can have been elected cleanly.
   */
  isFollowedByAll(withinMs: number): boolean {
    const sinceMs = this.#host.clock.monotonicMs() - withinMs
    return this.followers.every(({ brokerId, lastHeardMs }) => {
      return lastHeardMs >= sinceMs || !this.#set.committed.includes(brokerId)
    })
  }

  /**
   * Whether it is sure that nothing lies at `offset`, which is above the log's end: somebody asks for it, who may have been told of
   * it by a leader that has come after this one. If not, it may be when the question is asked again.
   */
  provesItsEnd(offset: number): boolean {
    return this.#endProof.holds(this.#inSyncFollowers, offset)
  }

  /** Likewise, that what a producer wrote before the batch that it sends was not written to a later leader. */
  provesGap(): boolean {
    return this.#gapProof.holds(this.#inSyncFollowers)
  }

  get #inSyncFollowers(): FollowerState[] {
    return this.followers.filter(({ brokerId }) => this.#set.committed.includes(brokerId))
  }

  /** Whether what has been replicated has been so often enough (KIP-497: by the maximal set). */
  hasEnoughMembers(minInsyncReplicas: number): boolean {
    return maximalIsr(this.#set).length >= this.minIsr(minInsyncReplicas)
  }

  highWatermark(current: number, logEndOffset: number, minInsyncReplicas: number): number {
    if (this.followers.length === 0) return Math.max(current, logEndOffset)
    const { clock } = this.#host
    return nextHighWatermark(current, this.#set, this.followers, this.minIsr(minInsyncReplicas), {
      logEndOffset,
      nowMs: clock.monotonicMs(),
      lagTimeMaxMs: this.#host.lagTimeMaxMs(),
      isLive: (id) => this.#host.isLive(id),
    })
  }

  /** Begins to take a follower in, where it may come in. */
  expand(follower: FollowerState, highWatermark: number): PendingIsr | null {
    // The common case, without more ado.
    if (this.#set.committed.includes(follower.brokerId)) return null
    const { epochStartOffset } = this
    const at = { highWatermark, epochStartOffset }
    return this.#begin(expansion(this.#set, follower, at, (id) => this.#host.isLive(id)))
  }

  /** Begins to leave out those that lag. */
  shrink(logEndOffset: number): PendingIsr | null {
    const nowMs = this.#host.clock.monotonicMs()
    const lagTimeMaxMs = this.#host.lagTimeMaxMs()
    const { brokerId } = this.#host
    return this.#begin(shrinkage(this.#set, brokerId, this.followers, { logEndOffset, nowMs, lagTimeMaxMs }))
  }

  #begin(pending: PendingIsr | null): PendingIsr | null {
    if (pending !== null) this.#set = { committed: this.#set.committed, pending }
    return pending
  }

  /** Whether `pending` is still what the controller was asked last. */
  isPending(pending: PendingIsr): boolean {
    return this.#set.pending === pending
  }

  commit(isr: readonly number[]): void {
    this.#set = { committed: isr, pending: null }
  }

  /** The controller will not have it: as if it had not been asked. */
  revert(): void {
    this.#set = { committed: this.#set.committed, pending: null }
  }

  /** The lowest log start of this broker and of its live followers (KIP-107); -1 while one is not known. */
  lowWatermark(logStartOffset: number): number {
    let lowest = logStartOffset
    for (const follower of this.followers) {
      if (follower.logStartOffset < lowest && this.#host.isLive(follower.brokerId))
        lowest = follower.logStartOffset
    }
    return lowest
  }
}
