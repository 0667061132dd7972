/** What becomes of a partition when replicas are not there any more, or are there again. */
import type { PartitionStateZnode } from '../znodes.ts'

/**
 * The first assigned replica that is online and in sync leads, and those that are not online leave the in-sync set. Where
 * no in-sync replica is online nobody leads, and the set stays: it says who has everything. null: all stays as it is.
 */
export function decideLeadership(
  current: PartitionStateZnode,
  replicas: readonly number[],
  isOnline: (replica: number) => boolean,
  controllerEpoch: number,
): PartitionStateZnode | null {
  const online = current.isr.filter(isOnline)
  const keepsLeader = current.leader >= 0 && isOnline(current.leader)
  if (keepsLeader && online.length === current.isr.length) return null
  const next = replicas.find((id) => online.includes(id)) ?? -1
  const leader = keepsLeader ? current.leader : next
  const isr = online.length === 0 ? current.isr : online
  if (leader === current.leader && isr.length === current.isr.length) return null
  return { ...current, leader, isr, leaderEpoch: current.leaderEpoch + 1, controllerEpoch }
}
