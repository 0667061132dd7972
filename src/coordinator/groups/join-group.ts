/**
 * JoinGroup: who may come in, under which id, and whether that begins a rebalance.
 * Source of the rules: coordinators.md 4, GroupCoordinator.scala (3.9).
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import { MAX_MEMBER_ID_PREFIX_LENGTH, NEW_MEMBER_JOIN_TIMEOUT_MS } from './config.ts'
import { NO_ASSIGNMENT, sameProtocols } from './group.ts'
import type { Group, Member, MemberProtocol, Returns } from './group.ts'
import { checkMember } from './member-checks.ts'
import {
  answerJoin,
  answerSync,
  failedJoin,
  failedSync,
  joinedGeneration,
  joinedMembers,
  maybePrepareRebalance,
  parkRejoin,
  prepareRebalance,
  renewSession,
  tryCompleteJoin,
} from './rebalance.ts'
import { replacedMemberRecord } from './records.ts'
import { classicStoreError } from './store-errors.ts'
import type { JoinResult, Parked, Turn } from './turn.ts'

/** Who joins by the classic protocol: a classic group, or a consumer group that is changing over. */
export interface ClassicJoin {
  /** Empty for a newcomer. */
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  /** Each name once. */
  readonly protocols: readonly MemberProtocol[]
  /** KIP-394, from version 4: a newcomer is told its id first and joins with it. */
  readonly memberIdRequired: boolean
}

export interface JoinCall extends ClassicJoin {
  /** KIP-814, from version 9: a returning static leader can be told not to assign. */
  readonly canSkipAssignment: boolean
  readonly reply: Parked<JoinResult>
}

export function joinGroup(group: Group, call: JoinCall, turn: Turn): void {
  const unknown = call.memberId === ''
  if (!acceptsMember(group, call.memberId, turn)) {
    group.removeMember(call.memberId)
    turn.reply(call.reply, failedJoin('', ErrorCode.GROUP_MAX_SIZE_REACHED))
  } else if (group.isDead) {
    turn.reply(call.reply, failedJoin(call.memberId, ErrorCode.COORDINATOR_NOT_AVAILABLE))
  } else if (!group.supportsProtocols(call.protocolType, call.protocols)) {
    turn.reply(call.reply, failedJoin(call.memberId, ErrorCode.INCONSISTENT_GROUP_PROTOCOL))
  } else if (unknown) {
    joinAsNewcomer(group, call, turn)
  } else if (group.pendingMembers.has(call.memberId) && call.groupInstanceId === null) {
    addMember(group, call, call.memberId, turn)
  } else {
    joinAgain(group, call, turn)
  }
  tryCompleteJoin(group, turn)
}

/**
 * While members gather, those who wait count: the group may have been larger than the limit before, and the last to
 * rejoin are then the ones to go (KIP-389).
 */
function acceptsMember(group: Group, memberId: string, turn: Turn): boolean {
  const limit = turn.config.groupMaxSize
  switch (group.state) {
    case 'Empty':
    case 'Dead':
      return true
    case 'PreparingRebalance': {
      const member = group.members.get(memberId)
      return (member !== undefined && member.awaitingJoin !== null) || group.awaitingJoinCount < limit
    }
    case 'CompletingRebalance':
    case 'Stable':
      return group.members.has(memberId) || group.members.size < limit
  }
}

function joinAsNewcomer(group: Group, call: JoinCall, turn: Turn): void {
  const prefix = (call.groupInstanceId ?? call.clientId).slice(0, MAX_MEMBER_ID_PREFIX_LENGTH)
  const memberId = `${prefix}-${turn.newUuid()}`
  if (call.groupInstanceId !== null) {
    const current = group.staticMembers.get(call.groupInstanceId)
    if (current !== undefined)
      return joinAsReturnedInstance(group, group.member(current), { ...call, memberId }, turn)
    fenceEarlierReturns(group, call.groupInstanceId, turn)
    addMember(group, call, memberId, turn)
  } else if (call.memberIdRequired) {
    giveMemberId(group, call, memberId, turn)
  } else {
    addMember(group, call, memberId, turn)
  }
}

function giveMemberId(group: Group, call: JoinCall, memberId: string, turn: Turn): void {
  if (group.pendingMembers.size >= turn.config.maxPendingMembers) {
    turn.reply(call.reply, failedJoin('', ErrorCode.GROUP_MAX_SIZE_REACHED))
    return
  }
  const deadlineMs = turn.nowMs + call.sessionTimeoutMs
  group.pendingMembers.set(memberId, deadlineMs)
  group.wakeBy(deadlineMs)
  turn.reply(call.reply, failedJoin(memberId, ErrorCode.MEMBER_ID_REQUIRED))
}

function addMember(group: Group, call: JoinCall, memberId: string, turn: Turn): void {
  if (group.state === 'PreparingRebalance' && group.generationId === 0) group.newMemberAdded = true
  if (group.members.size === 0) group.protocolType = call.protocolType
  const member: Member = {
    memberId,
    groupInstanceId: call.groupInstanceId,
    clientId: call.clientId,
    clientHost: call.clientHost,
    rebalanceTimeoutMs: call.rebalanceTimeoutMs,
    sessionTimeoutMs: call.sessionTimeoutMs,
    protocols: call.protocols,
    assignment: NO_ASSIGNMENT,
    isNew: true,
    sessionDeadlineMs: turn.nowMs + NEW_MEMBER_JOIN_TIMEOUT_MS,
    awaitingJoin: call.reply,
    awaitingSync: null,
  }
  group.addMember(member)
  group.wakeBy(member.sessionDeadlineMs)
  maybePrepareRebalance(group, turn)
}

/** A member that knows its id. */
function joinAgain(group: Group, call: JoinCall, turn: Turn): void {
  const error = checkMember(group, call.memberId, call.groupInstanceId)
  if (error !== ErrorCode.NONE) {
    turn.reply(call.reply, failedJoin(call.memberId, error))
    return
  }
  const member = group.member(call.memberId)
  const changed = !sameProtocols(member.protocols, call.protocols)
  // Its reply was lost (CompletingRebalance), or nothing has changed for a follower (Stable): the generation goes on.
  // A stable group's leader may have a reason that its metadata does not show.
  const goesOn =
    !changed &&
    (group.state === 'CompletingRebalance' || (group.state === 'Stable' && !group.isLeader(call.memberId)))
  if (goesOn) {
    turn.reply(call.reply, joinedGeneration(group, call.memberId))
  } else {
    parkRejoin(group, member, call, turn)
    maybePrepareRebalance(group, turn)
  }
}

/** KIP-345: an instance that is in the group comes back without its member id. `call.memberId` is its new one. */
function joinAsReturnedInstance(group: Group, member: Member, call: JoinCall, turn: Turn): void {
  const keepsProtocol =
    group.state === 'Stable' && group.selectProtocolWith(member, call.protocols) === group.protocolName
  if (keepsProtocol) return replaceWithoutRebalance(group, member, call, turn)
  fenceEarlierReturns(group, member.groupInstanceId, turn)
  fenceAndReplace(group, member, call.memberId, turn)
  parkRejoin(group, member, call, turn)
  if (member.isNew) member.sessionDeadlineMs = turn.nowMs + NEW_MEMBER_JOIN_TIMEOUT_MS
  else renewSession(group, member, turn.nowMs)
  // CompletingRebalance: the leader may already assign to the old id, so everybody joins once more.
  if (group.state === 'CompletingRebalance') prepareRebalance(group, turn)
  else maybePrepareRebalance(group, turn)
}

function fenceAndReplace(group: Group, member: Member, memberId: string, turn: Turn): void {
  answerJoin(group, member, failedJoin(member.memberId, ErrorCode.FENCED_INSTANCE_ID), turn)
  answerSync(member, failedSync(ErrorCode.FENCED_INSTANCE_ID), turn)
  group.replaceMemberId(member, memberId)
}

/**
 * The instance comes once more while an earlier return of its is stored or waits, and is let in before that. In Kafka the
 * earlier one would have had the id by now, and lost it.
 */
function fenceEarlierReturns(group: Group, groupInstanceId: string | null, turn: Turn): void {
  const { returns } = group
  if (returns === null) return
  const isEarlier = (call: JoinCall | null): call is JoinCall => call?.groupInstanceId === groupInstanceId
  for (const { memberId, reply } of [returns.stored, ...returns.waiting].filter(isEarlier))
    turn.reply(reply, failedJoin(memberId, ErrorCode.FENCED_INSTANCE_ID))
  if (isEarlier(returns.stored)) returns.stored = null
  returns.waiting = returns.waiting.filter((call) => !isEarlier(call))
}

/** The assignment stays as it is: only the new id is stored, and the member takes up its work when that is done. */
function replaceWithoutRebalance(group: Group, member: Member, call: JoinCall, turn: Turn): void {
  // The record says all of the group: one return is stored after the other.
  if (group.returns !== null) {
    group.returns.waiting.push(call)
    return
  }
  const returns: Returns = { stored: call, waiting: [] }
  group.returns = returns
  const before = { generationId: group.generationId, leader: group.leaderId ?? '' }
  turn.write([replacedMemberRecord(group, member, call, turn.wallMs)], (error, later) => {
    if (group.returns === returns) group.returns = null
    if (returns.stored !== null) endReturn(group, member, { call, error, before }, later)
    for (const next of returns.waiting) joinGroup(group, { ...next, memberId: '' }, later)
  })
}

interface StoredReturn {
  readonly call: JoinCall
  /** The log's error code. */
  readonly error: number
  /** The group's, when it was to be stored. */
  readonly before: { readonly generationId: number; readonly leader: string }
}

function endReturn(group: Group, member: Member, { call, error, before }: StoredReturn, turn: Turn): void {
  if (error !== ErrorCode.NONE) {
    const errorCode = classicStoreError(error)
    turn.reply(call.reply, { ...joinedGeneration(group, ''), leader: before.leader, errorCode })
  } else if (
    group.state === 'Stable' &&
    group.generationId === before.generationId &&
    group.members.get(member.memberId) === member
  ) {
    takeUpWork(group, member, call, turn)
    turn.reply(call.reply, returnedInstanceResult(group, call, before.leader))
  } else {
    // The group has moved on meanwhile.
    joinGroup(group, { ...call, memberId: '' }, turn)
  }
}

function takeUpWork(group: Group, member: Member, call: JoinCall, turn: Turn): void {
  fenceAndReplace(group, member, call.memberId, turn)
  group.setProtocols(member, call.protocols)
  member.rebalanceTimeoutMs = call.rebalanceTimeoutMs
  member.sessionTimeoutMs = call.sessionTimeoutMs
  group.subscribedTopics = group.computeSubscribedTopics()
  renewSession(group, member, turn.nowMs)
}

/**
 * A stable group takes no new assignment. From version 9 a returning leader is told so and keeps watching metadata
 * (KIP-814); before, it is told the old leader's id and takes itself for a follower.
 */
function returnedInstanceResult(group: Group, call: JoinCall, previousLeader: string): JoinResult {
  const result = joinedGeneration(group, call.memberId)
  if (!call.canSkipAssignment) return { ...result, leader: previousLeader, members: [] }
  const isLeader = group.isLeader(call.memberId)
  return { ...result, skipAssignment: isLeader, members: isLeader ? joinedMembers(group) : [] }
}
