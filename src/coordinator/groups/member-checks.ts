import { ErrorCode } from '../../protocol/error-codes.ts'
import type { Group } from './group.ts'

/**
 * Is this member id in the group, and, where an instance id is given (KIP-345), is it the one that the instance has now?
 */
export function checkMember(group: Group, memberId: string, groupInstanceId: string | null): number {
  if (groupInstanceId !== null) {
    const current = group.staticMembers.get(groupInstanceId)
    if (current === undefined) return ErrorCode.UNKNOWN_MEMBER_ID
    if (current !== memberId) return ErrorCode.FENCED_INSTANCE_ID
  }
  return group.members.has(memberId) ? ErrorCode.NONE : ErrorCode.UNKNOWN_MEMBER_ID
}

export interface MemberOfGeneration {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly generationId: number
}

/** As `checkMember`, of a group that lives, in its current generation. */
export function checkMemberOfGeneration(group: Group, request: MemberOfGeneration): number {
  if (group.isDead) return ErrorCode.COORDINATOR_NOT_AVAILABLE
  const error = checkMember(group, request.memberId, request.groupInstanceId)
  if (error !== ErrorCode.NONE) return error
  return request.generationId === group.generationId ? ErrorCode.NONE : ErrorCode.ILLEGAL_GENERATION
}
