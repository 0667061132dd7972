/** Which replica a consumer had better read from (KIP-392): pure. */

export interface ReadableReplica {
  readonly brokerId: number
  readonly rack: string | null
  readonly logEndOffset: number
  /** Milliseconds since it had all that the leader has; 0: the leader. */
  readonly behindMs: number
}

/**
 * As Kafka's RackAwareReplicaSelector: the leader where the consumer names no rack, or nobody is in it, or the leader is; else
 * the replica in the consumer's rack that has most.
 */
export function replicaInRack(
  rack: string,
  leader: ReadableReplica,
  followers: readonly ReadableReplica[],
): ReadableReplica {
  if (rack === '' || leader.rack === rack) return leader
  const near = followers.filter((follower) => follower.rack === rack)
  return near.length === 0 ? leader : near.reduce((best, next) => (isBetter(next, best) ? next : best))
}

function isBetter(one: ReadableReplica, other: ReadableReplica): boolean {
  if (one.logEndOffset !== other.logEndOffset) return one.logEndOffset > other.logEndOffset
  if (one.behindMs !== other.behindMs) return one.behindMs < other.behindMs
  return one.brokerId > other.brokerId
}
