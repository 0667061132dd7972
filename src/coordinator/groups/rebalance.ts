/**
 * How a group comes from one generation to the next: members gather (PreparingRebalance), get the new generation
 * (CompletingRebalance), bring and fetch the leader's assignment (Stable). All deadlines of a group end here.
 * Source of the rules: coordinators.md 4, GroupCoordinator.scala and DelayedJoin.scala (3.9).
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import { metadataOf, NO_ASSIGNMENT } from './group.ts'
import type { Group, Member, MemberProtocol } from './group.ts'
import { groupMetadataRecord } from './records.ts'
import type { JoinedMember, JoinResult, Parked, SyncResult, Turn } from './turn.ts'

export function failedJoin(memberId: string, errorCode: number): JoinResult {
  return {
    errorCode,
    memberId,
    generationId: -1,
    protocolType: null,
    protocolName: null,
    leader: '',
    skipAssignment: false,
    members: [],
  }
}

export function failedSync(errorCode: number): SyncResult {
  return { errorCode, protocolType: null, protocolName: null, assignment: NO_ASSIGNMENT }
}

/** The current generation, as told to a member; only the leader gets the list of members. */
export function joinedGeneration(group: Group, memberId: string): JoinResult {
  return {
    errorCode: ErrorCode.NONE,
    memberId,
    generationId: group.generationId,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    leader: group.leaderId ?? '',
    skipAssignment: false,
    members: group.isLeader(memberId) ? joinedMembers(group) : [],
  }
}

export function joinedMembers(group: Group): JoinedMember[] {
  const { protocolName } = group
  if (protocolName === null) return []
  return [...group.members.values()].map((member) => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    metadata: metadataOf(member, protocolName),
  }))
}

/** The member has shown that it lives: it has one more session timeout. */
export function renewSession(group: Group, member: Member, nowMs: number): void {
  member.sessionDeadlineMs = nowMs + member.sessionTimeoutMs
  group.wakeBy(member.sessionDeadlineMs)
}

export function answerJoin(group: Group, member: Member, result: JoinResult, turn: Turn): void {
  if (member.awaitingJoin === null) return
  turn.reply(member.awaitingJoin, result)
  member.awaitingJoin = null
  group.awaitingJoinCount--
}

export function answerSync(member: Member, result: SyncResult, turn: Turn): boolean {
  if (member.awaitingSync === null) return false
  turn.reply(member.awaitingSync, result)
  member.awaitingSync = null
  return true
}

export interface Rejoin {
  readonly protocols: readonly MemberProtocol[]
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
  readonly reply: Parked<JoinResult>
}

/** A member joins again and waits. A JoinGroup of its that waited already (a retry overtook it) is answered now. */
export function parkRejoin(group: Group, member: Member, rejoin: Rejoin, turn: Turn): void {
  group.setProtocols(member, rejoin.protocols)
  member.rebalanceTimeoutMs = rejoin.rebalanceTimeoutMs
  member.sessionTimeoutMs = rejoin.sessionTimeoutMs
  answerJoin(group, member, failedJoin(member.memberId, ErrorCode.REBALANCE_IN_PROGRESS), turn)
  member.awaitingJoin = rejoin.reply
  group.awaitingJoinCount++
}

/** Begins a rebalance where the state allows one; while members gather already, it goes on. */
export function maybePrepareRebalance(group: Group, turn: Turn): void {
  if (group.canRebalance) prepareRebalance(group, turn)
}

export function prepareRebalance(group: Group, turn: Turn): void {
  if (group.state === 'CompletingRebalance') dropAssignments(group, ErrorCode.REBALANCE_IN_PROGRESS, turn)
  group.pendingSync.clear()
  group.syncDeadlineMs = Infinity
  const fromEmpty = group.state === 'Empty'
  group.transitionTo('PreparingRebalance', turn.wallMs)
  if (fromEmpty) {
    group.newMemberAdded = false
    const delayMs = turn.config.groupInitialRebalanceDelayMs
    waitInitially(group, delayMs, Math.max(group.rebalanceTimeoutMs() - delayMs, 0), turn)
  } else {
    waitForMembers(group, turn)
    tryCompleteJoin(group, turn)
  }
}

function waitInitially(group: Group, delayMs: number, remainingMs: number, turn: Turn): void {
  group.rebalance = { initial: true, deadlineMs: turn.nowMs + delayMs, delayMs, remainingMs }
  group.wakeBy(group.rebalance.deadlineMs)
  if (delayMs === 0) endInitialDelay(group, turn)
}

function waitForMembers(group: Group, turn: Turn): void {
  const deadlineMs = turn.nowMs + group.rebalanceTimeoutMs()
  group.rebalance = { initial: false, deadlineMs, delayMs: 0, remainingMs: 0 }
  group.wakeBy(deadlineMs)
}

/** KIP-134: while newcomers arrive the first generation waits on, in all no longer than a rebalance timeout. */
function endInitialDelay(group: Group, turn: Turn): void {
  const rebalance = group.rebalance
  if (rebalance === null) return
  if (!group.newMemberAdded || rebalance.remainingMs === 0) return completeJoin(group, turn)
  group.newMemberAdded = false
  const delayMs = Math.min(turn.config.groupInitialRebalanceDelayMs, rebalance.remainingMs)
  waitInitially(group, delayMs, Math.max(rebalance.remainingMs - rebalance.delayMs, 0), turn)
}

/** The rebalance ends early when everybody known is here, but never an initial delay. */
export function tryCompleteJoin(group: Group, turn: Turn): void {
  if (group.state !== 'PreparingRebalance' || group.rebalance === null || group.rebalance.initial) return
  if (group.hasAllMembersJoined()) completeJoin(group, turn)
}

function completeJoin(group: Group, turn: Turn): void {
  for (const member of group.members.values()) {
    if (member.awaitingJoin === null && member.groupInstanceId === null) dropMember(group, member, turn)
  }
  if (group.members.size > 0 && !electJoinedLeader(group)) return waitForMembers(group, turn)
  group.rebalance = null
  group.generationId++
  if (group.members.size === 0) return becomeEmpty(group, turn)
  group.protocolName = group.selectProtocol()
  group.subscribedTopics = group.computeSubscribedTopics()
  group.transitionTo('CompletingRebalance', turn.wallMs)
  group.pendingSync.clear()
  for (const member of group.members.values()) {
    answerJoin(group, member, joinedGeneration(group, member.memberId), turn)
    renewSession(group, member, turn.nowMs)
    member.isNew = false
    group.pendingSync.add(member.memberId)
  }
  group.syncDeadlineMs = turn.nowMs + group.rebalanceTimeoutMs()
  group.wakeBy(group.syncDeadlineMs)
}

/** A failed write is not repeated: the older generation comes back only if this coordinator is lost, and times out. */
function becomeEmpty(group: Group, turn: Turn): void {
  group.protocolName = null
  group.leaderId = null
  group.subscribedTopics = group.computeSubscribedTopics()
  group.transitionTo('Empty', turn.wallMs)
  group.pendingSync.clear()
  turn.write([groupMetadataRecord(group, turn.wallMs)], () => {})
}

/** A leader that did not rejoin gives way to a member that did. False: nobody did. */
function electJoinedLeader(group: Group): boolean {
  if (group.leaderId !== null && group.member(group.leaderId).awaitingJoin !== null) return true
  for (const member of group.members.values()) {
    if (member.awaitingJoin === null) continue
    group.leaderId = member.memberId
    return true
  }
  return false
}

/** Ends a generation whose assignment has not been stored: all that wait for it are told. */
export function dropAssignments(group: Group, errorCode: number, turn: Turn): void {
  for (const member of group.members.values()) {
    member.assignment = NO_ASSIGNMENT
    if (answerSync(member, failedSync(errorCode), turn)) renewSession(group, member, turn.nowMs)
  }
}

/** Removes a member with what waits for it; the group's state stays. */
function dropMember(group: Group, member: Member, turn: Turn): void {
  answerJoin(group, member, failedJoin('', ErrorCode.UNKNOWN_MEMBER_ID), turn)
  answerSync(member, failedSync(ErrorCode.UNKNOWN_MEMBER_ID), turn)
  group.removeMember(member.memberId)
}

/** A member left or failed: the others share its work anew. */
export function removeMemberAndRebalance(group: Group, member: Member, turn: Turn): void {
  dropMember(group, member, turn)
  if (group.state === 'Stable' || group.state === 'CompletingRebalance') prepareRebalance(group, turn)
  else tryCompleteJoin(group, turn)
}

export function removePendingMember(group: Group, memberId: string, turn: Turn): void {
  group.removeMember(memberId)
  tryCompleteJoin(group, turn)
}

/** Does all that has come due, and finds the next deadline. */
export function expireDeadlines(group: Group, turn: Turn): void {
  if (group.rebalance !== null && group.rebalance.deadlineMs <= turn.nowMs) {
    if (group.rebalance.initial) endInitialDelay(group, turn)
    else completeJoin(group, turn)
  }
  if (group.syncDeadlineMs <= turn.nowMs) expirePendingSync(group, turn)
  for (const [memberId, deadlineMs] of group.pendingMembers) {
    if (deadlineMs <= turn.nowMs) removePendingMember(group, memberId, turn)
  }
  for (const member of group.members.values()) {
    if (member.sessionDeadlineMs <= turn.nowMs) expireSession(group, member, turn)
  }
  group.wakeAtMs = group.nextDeadlineMs()
}

/** Whoever got the generation and did not sync within a rebalance timeout is out (KAFKA-8221). */
function expirePendingSync(group: Group, turn: Turn): void {
  group.syncDeadlineMs = Infinity
  if (group.pendingSync.size === 0) return
  for (const memberId of group.pendingSync) dropMember(group, group.member(memberId), turn)
  prepareRebalance(group, turn)
}

/** A waiting join or sync keeps a member alive, but not a newcomer's first join: its sender may be gone unnoticed. */
function expireSession(group: Group, member: Member, turn: Turn): void {
  if (!member.isNew && (member.awaitingJoin !== null || member.awaitingSync !== null)) {
    member.sessionDeadlineMs = Infinity
  } else {
    removeMemberAndRebalance(group, member, turn)
  }
}

/** Taken from the coordinator: everything that waits is answered. */
export function killGroup(group: Group, errorCode: number, turn: Turn): void {
  answerAll(group, errorCode, turn)
  group.transitionTo('Dead', turn.wallMs)
  group.rebalance = null
  group.syncDeadlineMs = Infinity
}

export function answerAll(group: Group, errorCode: number, turn: Turn): void {
  for (const member of group.members.values()) {
    answerJoin(group, member, failedJoin(member.memberId, errorCode), turn)
    answerSync(member, failedSync(errorCode), turn)
  }
  for (const { reply } of group.returns?.waiting.splice(0) ?? []) turn.reply(reply, failedJoin('', errorCode))
  group.returns = null
}
