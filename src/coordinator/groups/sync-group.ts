/**
 * SyncGroup: the leader brings what everybody is to do, everybody gets its part.
 * Source of the rules: coordinators.md 4, GroupCoordinator.scala (3.9).
 */
import { unreachable } from '../../base/assert.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import { NO_ASSIGNMENT } from './group.ts'
import type { Group, Member } from './group.ts'
import { checkMemberOfGeneration } from './member-checks.ts'
import type { MemberOfGeneration } from './member-checks.ts'
import { answerSync, dropAssignments, failedSync, maybePrepareRebalance, renewSession } from './rebalance.ts'
import { groupMetadataRecord } from './records.ts'
import { classicStoreError } from './store-errors.ts'
import type { Parked, SyncResult, Turn } from './turn.ts'

export interface SyncCall extends MemberOfGeneration {
  /** null: not said (before version 5). */
  readonly protocolType: string | null
  readonly protocolName: string | null
  /** By member id; from the leader only. */
  readonly assignments: ReadonlyMap<string, Buffer>
  readonly reply: Parked<SyncResult>
}

export function syncGroup(group: Group, call: SyncCall, turn: Turn): void {
  const error = checkSync(group, call)
  if (error !== ErrorCode.NONE) {
    turn.reply(call.reply, failedSync(error))
    return
  }
  switch (group.state) {
    case 'Empty':
    case 'Dead':
      return turn.reply(call.reply, failedSync(ErrorCode.UNKNOWN_MEMBER_ID))
    case 'PreparingRebalance':
      return turn.reply(call.reply, failedSync(ErrorCode.REBALANCE_IN_PROGRESS))
    case 'CompletingRebalance':
      return awaitAssignment(group, group.member(call.memberId), call, turn)
    case 'Stable': {
      const member = group.member(call.memberId)
      noteSynced(group, member)
      renewSession(group, member, turn.nowMs)
      return turn.reply(call.reply, assigned(group, member))
    }
    default:
      return unreachable(group.state)
  }
}

function checkSync(group: Group, call: SyncCall): number {
  const error = checkMemberOfGeneration(group, call)
  if (error !== ErrorCode.NONE) return error
  const { protocolType, protocolName } = call
  if (protocolType !== null && protocolType !== group.protocolType)
    return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
  if (protocolName !== null && protocolName !== group.protocolName)
    return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
  return ErrorCode.NONE
}

function assigned(group: Group, member: Member): SyncResult {
  return {
    errorCode: ErrorCode.NONE,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    assignment: member.assignment,
  }
}

function noteSynced(group: Group, member: Member): void {
  group.pendingSync.delete(member.memberId)
  if (group.pendingSync.size === 0) group.syncDeadlineMs = Infinity
}

function awaitAssignment(group: Group, member: Member, call: SyncCall, turn: Turn): void {
  answerSync(member, failedSync(ErrorCode.REBALANCE_IN_PROGRESS), turn)
  member.awaitingSync = call.reply
  noteSynced(group, member)
  if (group.isLeader(call.memberId)) storeAssignment(group, call.assignments, turn)
}

/** A member that the leader left out gets no bytes. */
function storeAssignment(group: Group, assignments: ReadonlyMap<string, Buffer>, turn: Turn): void {
  const { generationId } = group
  const assignmentOf = (member: Member): Buffer => assignments.get(member.memberId) ?? NO_ASSIGNMENT
  const { wallMs } = turn
  turn.write([groupMetadataRecord(group, wallMs, assignmentOf)], (error, later) => {
    // Somebody may have joined or left meanwhile: then this assignment is for nobody.
    if (group.state !== 'CompletingRebalance' || group.generationId !== generationId) return
    if (error !== ErrorCode.NONE) {
      dropAssignments(group, classicStoreError(error), later)
      maybePrepareRebalance(group, later)
      return
    }
    group.transitionTo('Stable', wallMs)
    for (const member of group.members.values()) {
      member.assignment = assignmentOf(member)
      if (answerSync(member, assigned(group, member), later)) renewSession(group, member, later.nowMs)
    }
  })
}
