/** Heartbeat: a member shows that it lives, and learns of a rebalance. Source: coordinators.md 4. */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { Group } from './group.ts'
import { checkMemberOfGeneration } from './member-checks.ts'
import type { MemberOfGeneration } from './member-checks.ts'
import { renewSession } from './rebalance.ts'

/** Returns the error code to answer. */
export function heartbeat(group: Group, request: MemberOfGeneration, nowMs: number): number {
  const error = checkMemberOfGeneration(group, request)
  if (error !== ErrorCode.NONE) return error
  if (group.state === 'Empty') return ErrorCode.UNKNOWN_MEMBER_ID
  renewSession(group, group.member(request.memberId), nowMs)
  return group.state === 'PreparingRebalance' ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE
}
