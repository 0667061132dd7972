/** LeaveGroup: members go, by their own word or an administrator's (KIP-345). Source: coordinators.md 4. */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { Group } from './group.ts'
import { checkMember } from './member-checks.ts'
import { removeMemberAndRebalance, removePendingMember } from './rebalance.ts'
import type { Turn } from './turn.ts'

export interface LeavingMember {
  /** Empty: named by its instance id alone. */
  readonly memberId: string
  readonly groupInstanceId: string | null
}

/** Returns the error code for this member. */
export function leaveGroup(group: Group, leaving: LeavingMember, turn: Turn): number {
  const { memberId, groupInstanceId } = leaving
  if (memberId === '') {
    const current = groupInstanceId === null ? undefined : group.staticMembers.get(groupInstanceId)
    if (current === undefined) return ErrorCode.UNKNOWN_MEMBER_ID
    removeMemberAndRebalance(group, group.member(current), turn)
    return ErrorCode.NONE
  }
  if (group.pendingMembers.has(memberId)) {
    removePendingMember(group, memberId, turn)
    return ErrorCode.NONE
  }
  const error = checkMember(group, memberId, groupInstanceId)
  if (error === ErrorCode.NONE) removeMemberAndRebalance(group, group.member(memberId), turn)
  return error
}
