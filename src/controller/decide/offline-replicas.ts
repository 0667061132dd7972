/** What becomes of a partition when replicas are not there any more, or are there again. */
import type { PartitionStateZnode } from '../znodes.ts'

export interface Replicas {
  /** The preferred leader first. */
  readonly assigned: readonly number[]
  /** Its broker is live and does not shut down, and the directory of its log works. */
  readonly isOnline: (replica: number) => boolean
  /** Where no in-sync replica is online, another may lead (unclean.leader.election.enable). */
  readonly allowsUnclean: boolean
}

/**
 * The first assigned replica that is online and in sync leads, and those that are not online leave the in-sync set. Where
 * no in-sync replica is online nobody leads, and the set stays: it says who has everything. Unless an unclean election is
 * allowed: then the first that is online leads, alone, and what it does not have is lost (it is `recovering`, KIP-704).
 * null: all stays as it is. Kafka's Offline election and its OfflineReplica transition in one.
 */
export function decideLeadership(
  current: PartitionStateZnode,
  { assigned, isOnline, allowsUnclean }: Replicas,
  controllerEpoch: number,
): PartitionStateZnode | null {
  const online = current.isr.filter(isOnline)
  const leaderEpoch = current.leaderEpoch + 1
  if (current.leader >= 0 && isOnline(current.leader)) {
    if (online.length === current.isr.length) return null
    return { ...current, isr: online, leaderEpoch, controllerEpoch }
  }
  const clean = assigned.find((id) => online.includes(id))
  if (clean !== undefined) return { ...current, leader: clean, isr: online, leaderEpoch, controllerEpoch }
  const unclean = allowsUnclean ? assigned.find(isOnline) : undefined
  if (unclean !== undefined)
    return { leader: unclean, isr: [unclean], recovering: true, leaderEpoch, controllerEpoch }
  if (current.leader < 0) return null
  return { ...current, leader: -1, leaderEpoch, controllerEpoch }
}

/** Nobody who has everything can lead now: only an unclean election would give this partition a leader. */
export function needsUncleanElection(
  { leader, isr }: PartitionStateZnode,
  isOnline: (replica: number) => boolean,
): boolean {
  return !(leader >= 0 && isOnline(leader)) && !isr.some(isOnline)
}
