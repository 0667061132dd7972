/**
 * The next step of one member from what it has to what is meant for it: first it gives back, then it comes to the target
 * epoch, then it gets what is free; what others have not given back yet follows later. So a partition never has two owners.
 * Source: CurrentAssignmentBuilder.java (4.1).
 */
import { ErrorCode } from '../../../protocol/error-codes.ts'
import { compareAssignments, NOTHING, overlaps, union } from './assignment.ts'
import type { Assignment } from './assignment.ts'
import type { ConsumerMember } from './member.ts'
import { refusal } from './refusal.ts'
import type { Refusal } from './refusal.ts'

export interface Goal {
  readonly targetEpoch: number
  readonly target: Assignment
  /** Does anybody have it, or not have given it back yet? */
  readonly isOwned: (topicId: string, partition: number) => boolean
  /** What the member says it has; null: it did not say. */
  readonly owned: Assignment | null
}

export function reconcile(member: ConsumerMember, goal: Goal): ConsumerMember | Refusal {
  switch (member.state) {
    case 'STABLE':
      return member.memberEpoch === goal.targetEpoch ? member : nextStep(member, goal, member.memberEpoch)
    case 'UNREVOKED_PARTITIONS':
      if (stillHas(goal, member.pendingRevocation)) return member
      // The epoch to which it was to come is left behind, whatever the target is by now.
      return nextStep(member, goal, member.memberEpoch + 1)
    case 'UNRELEASED_PARTITIONS':
      return nextStep(member, goal, member.memberEpoch)
    case 'UNKNOWN':
      if (goal.owned === null || goal.owned.size > 0) {
        return refusal(
          ErrorCode.FENCED_MEMBER_EPOCH,
          'The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin.',
        )
      }
      return nextStep(member, goal, goal.targetEpoch)
  }
}

/** A member that did not say what it has may still have it. */
function stillHas({ owned }: Goal, partitions: Assignment): boolean {
  return owned === null || overlaps(owned, partitions)
}

function nextStep(member: ConsumerMember, goal: Goal, epochWhileRevoking: number): ConsumerMember {
  const { both: kept, first: surplus, second: missing } = compareAssignments(member.assigned, goal.target)
  const at = (memberEpoch: number) => ({ ...member, memberEpoch, previousMemberEpoch: member.memberEpoch })
  if (surplus.size > 0 && stillHas(goal, surplus)) {
    const state = 'UNREVOKED_PARTITIONS'
    return { ...at(epochWhileRevoking), state, assigned: kept, pendingRevocation: surplus }
  }
  const free = new Map<string, number[]>()
  let hasUnreleased = false
  for (const [topicId, partitions] of missing) {
    const released = partitions.filter((partition) => !goal.isOwned(topicId, partition))
    if (released.length < partitions.length) hasUnreleased = true
    if (released.length > 0) free.set(topicId, released)
  }
  return {
    ...at(goal.targetEpoch),
    state: hasUnreleased ? 'UNRELEASED_PARTITIONS' : 'STABLE',
    assigned: union(kept, free),
    pendingRevocation: NOTHING,
  }
}
