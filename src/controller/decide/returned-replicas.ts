/** Replicas whose broker has come back between two controllers, so that neither saw it gone. */
import type { PartitionStateZnode } from '../znodes.ts'
import { decideLeadership } from './offline-replicas.ts'

export interface ReturnedReplicas {
  /** The preferred leader first. */
  readonly assigned: readonly number[]
  readonly isOnline: (replica: number) => boolean
  /** Its broker has registered since the partition's state was written. */
  readonly hasReturned: (replica: number) => boolean
}

/**
 * A broker that has come back may have lost its power and what its disk had not synced: it is not what the in-sync set says
 * until it has caught up. A controller that sees it go sees to that; between two controllers nobody does, and a machine that
 * was both leader and controller would lead again with what is left of its log. Where no other member is there, nobody has
 * more, and all stays as it is. null: nothing changes.
 */
export function decideWithoutReturned(
  current: PartitionStateZnode,
  { assigned, isOnline, hasReturned }: ReturnedReplicas,
  controllerEpoch: number,
): PartitionStateZnode | null {
  const isSound = (replica: number): boolean => isOnline(replica) && !hasReturned(replica)
  if (!current.isr.some(hasReturned) || !current.isr.some(isSound)) return null
  return decideLeadership(current, { assigned, isOnline: isSound, allowsUnclean: false }, controllerEpoch)
}
