/**
 * Who is in sync, and what follows from it: pure. The committed set is what the controller knows; of a change that is under
 * way only an expansion counts already, since a larger set asks for more (the "maximal" in-sync set of KIP-497).
 */

/** A change of the in-sync set that the controller has not answered yet. */
export interface PendingIsr {
  readonly kind: 'expand' | 'shrink'
  /** The whole set as it is to be; of an expansion, the newcomer is the last. */
  readonly isr: readonly number[]
  /**
   * The life of the newcomer that has what it takes (KIP-903); -1: not known. One that has come back since may have lost its
   * power, and records with it.
   */
  readonly newcomerEpoch?: number
}

export interface InSyncSet {
  readonly committed: readonly number[]
  /** One at a time. */
  readonly pending: PendingIsr | null
}

/** What is asked of a follower here (follower-state.ts has it). */
export interface Follower {
  readonly brokerId: number
  /** -1: not known */
  readonly brokerEpoch: number
  /** -1: not known */
  readonly logEndOffset: number
  isCaughtUp(leaderEndOffset: number, nowMs: number, lagTimeMaxMs: number): boolean
}

/** When and for whom it is decided. */
export interface Now {
  readonly logEndOffset: number
  readonly nowMs: number
  /** replica.lag.time.max.ms */
  readonly lagTimeMaxMs: number
  /** In the cluster, so that the controller would take it in. */
  isLive(brokerId: number): boolean
}

export function maximalIsr({ committed, pending }: InSyncSet): readonly number[] {
  return pending?.kind === 'expand' ? pending.isr : committed
}

/** `min.insync.replicas`, as far as there are replicas. */
export function effectiveMinIsr(minInsyncReplicas: number, replicationFactor: number): number {
  return Math.min(minInsyncReplicas, replicationFactor)
}

/**
 * How far everybody who counts has everything: the leader, the maximal in-sync set, and those outside it that are caught up
 * and may join; without these a follower that is nearly there would run after the high watermark for ever. It stands while
 * the committed set has fewer than `minIsr` members. Never below `highWatermark`.
 */
export function nextHighWatermark(
  highWatermark: number,
  set: InSyncSet,
  followers: readonly Follower[],
  minIsr: number,
  now: Now,
): number {
  if (set.committed.length < minIsr) return highWatermark
  const { logEndOffset, nowMs, lagTimeMaxMs } = now
  const maximal = maximalIsr(set)
  let lowest = logEndOffset
  for (const follower of followers) {
    if (follower.logEndOffset >= lowest) continue
    const counts =
      maximal.includes(follower.brokerId) ||
      (follower.isCaughtUp(logEndOffset, nowMs, lagTimeMaxMs) && now.isLive(follower.brokerId))
    if (counts) lowest = follower.logEndOffset
  }
  return Math.max(highWatermark, lowest)
}

/**
 * The set with a follower that has come up, or null. It must have all that is committed, and all that the leader had when its
 * epoch began, of which it does not know what was committed before.
 */
export function expansion(
  set: InSyncSet,
  follower: Follower,
  at: { readonly highWatermark: number; readonly epochStartOffset: number },
  isLive: (brokerId: number) => boolean,
): PendingIsr | null {
  if (set.pending !== null || set.committed.includes(follower.brokerId)) return null
  if (follower.logEndOffset < at.highWatermark || follower.logEndOffset < at.epochStartOffset) return null
  if (!isLive(follower.brokerId)) return null
  const { brokerId, brokerEpoch } = follower
  return { kind: 'expand', isr: [...set.committed, brokerId], newcomerEpoch: brokerEpoch }
}

/** The set without those that have not been caught up for the lag time, or null where all have. The leader stays. */
export function shrinkage(
  set: InSyncSet,
  leader: number,
  followers: readonly Follower[],
  now: Pick<Now, 'logEndOffset' | 'nowMs' | 'lagTimeMaxMs'>,
): PendingIsr | null {
  if (set.pending !== null) return null
  const { logEndOffset, nowMs, lagTimeMaxMs } = now
  const isr = set.committed.filter((id) => {
    if (id === leader) return true
    const follower = followers.find(({ brokerId }) => brokerId === id)
    return follower !== undefined && follower.isCaughtUp(logEndOffset, nowMs, lagTimeMaxMs)
  })
  return isr.length === set.committed.length ? null : { kind: 'shrink', isr }
}
