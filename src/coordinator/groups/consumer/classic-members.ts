/**
 * Members of a consumer group that still speak the classic protocol, one rolling restart before the others: their JoinGroup,
 * SyncGroup, Heartbeat and LeaveGroup. The coordinator assigns for them too; their generation is their member epoch.
 * Source: GroupMetadataManager.classicGroup*ToConsumerGroup (4.1).
 */
import { ErrorCode } from '../../../protocol/error-codes.ts'
import { CONSUMER_PROTOCOL_TYPE } from '../config.ts'
import type { LeavingMember } from '../leave-group.ts'
import { NO_ASSIGNMENT } from '../group.ts'
import type { ClassicJoin } from '../join-group.ts'
import { failedJoin, failedSync } from '../rebalance.ts'
import type { GroupRecord } from '../records.ts'
import type { JoinResult, SyncResult } from '../turn.ts'
import { assignAndReconcile, nextEpoch, noteDetails, reconcileMember } from './advance.ts'
import { checkSize, identify, knownMember, unknownInstance } from './checks.ts'
import { NOT_OWNED } from './consumer-group.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import { readSubscription, writeAssignment } from './consumer-protocol.ts'
import type { Subscription } from './consumer-protocol.ts'
import { nothingMore } from './context.ts'
import type { Context, Decision } from './context.ts'
import { fence } from './leave.ts'
import type { ConsumerMember } from './member.ts'
import { downgradeRecords, idsOf, mayDowngrade, namesOf } from './migration.ts'
import type { ConsumerRecord } from './records.ts'
import { isRefusal, refusal } from './refusal.ts'
import type { Refusal } from './refusal.ts'

export function joinAsClassic(
  group: ConsumerGroup,
  call: ClassicJoin,
  context: Context,
): Decision<JoinResult> | Refusal {
  const isNewcomer = call.memberId === ''
  const memberId = isNewcomer ? context.newUuid() : call.memberId
  const full = checkSize(group, memberId, context.config)
  if (full !== null) return full
  const subscription = call.protocols.length === 0 ? null : readSubscription(call.protocols[0].metadata)
  if (!supportsProtocols(group, call) || subscription === null) {
    const text = `Member ${memberId}'s protocols are not supported.`
    return refusal(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, text)
  }
  if (isNewcomer && call.memberIdRequired) {
    const response = failedJoin(memberId, ErrorCode.MEMBER_ID_REQUIRED)
    return { records: [], response, onStored: nothingMore }
  }
  const records: ConsumerRecord[] = []
  const { groupInstanceId: instanceId } = call
  // A dynamic member may be unknown here although it has its id: it got it with MEMBER_ID_REQUIRED.
  const joins = instanceId === null || isNewcomer
  const before = identify(group, { memberId, instanceId, epoch: null, owned: null, joins }, records)
  if (isRefusal(before)) return before
  const member = withCall(before, call, subscription)
  const replaced = group.staticMember(instanceId)
  const others = [...group.members.values()].filter(({ memberId: id }) => id !== replaced?.memberId)
  const ends =
    replaced !== undefined && replaced.classic === null && mayDowngrade([...others, member], context)
  const change = { before, member, owned: idsOf(subscription.ownedPartitions, context.topics) }
  return ends
    ? joinAndDowngrade(group, context, { ...change, replaced, others }, records)
    : joinAndAssign(group, context, { ...change, call }, records)
}

function supportsProtocols(group: ConsumerGroup, { protocolType, protocols }: ClassicJoin): boolean {
  if (protocolType !== CONSUMER_PROTOCOL_TYPE) return false
  return protocols.some(({ name }) => (group.protocolCounts.get(name) ?? 0) === group.classicMembers)
}

function withCall(member: ConsumerMember, call: ClassicJoin, subscription: Subscription): ConsumerMember {
  const { rackId } = subscription
  return {
    ...member,
    instanceId: call.groupInstanceId ?? member.instanceId,
    rackId: rackId === null || rackId === '' ? member.rackId : rackId,
    rebalanceTimeoutMs: call.rebalanceTimeoutMs,
    topicNames: new Set(subscription.topics),
    clientId: call.clientId,
    clientHost: call.clientHost,
    classic: { sessionTimeoutMs: call.sessionTimeoutMs, supportedProtocols: call.protocols },
  }
}

interface Joining {
  readonly before: ConsumerMember
  readonly member: ConsumerMember
  readonly owned: ReturnType<typeof idsOf>
}

function joinAndAssign(
  group: ConsumerGroup,
  context: Context,
  joining: Joining & { readonly call: ClassicJoin },
  records: ConsumerRecord[],
): Decision<JoinResult> | Refusal {
  const { call } = joining
  const bump = noteDetails(group, joining, records) || group.epoch === 0
  const step = nextEpoch(group, context, { ...joining, bump }, records)
  const member = assignAndReconcile(group, context, { ...joining, ...step }, records)
  if (isRefusal(member)) return member
  return {
    records,
    response: joined(member),
    onStored: (stored) => {
      if (step.refreshed) stored.metadataExpired = false
      const deadlines = stored.deadlinesOf(member.memberId)
      deadlines.joinMs = Infinity
      deadlines.sessionMs = context.nowMs + call.sessionTimeoutMs
      deadlines.syncMs = context.nowMs + call.rebalanceTimeoutMs
    },
  }
}

/** The last member of the consumer protocol comes back as a classic one: the group goes with it. */
function joinAndDowngrade(
  group: ConsumerGroup,
  context: Context,
  joining: Joining & { readonly replaced: ConsumerMember; readonly others: readonly ConsumerMember[] },
  records: ConsumerRecord[],
): Decision<JoinResult> | Refusal {
  const { others, replaced, owned } = joining
  const subscribesAnew = noteDetails(group, joining, records)
  let { member } = joining
  if (!subscribesAnew) {
    const goal = { targetEpoch: group.targetEpoch, target: group.targetFor(member), owned }
    const next = reconcileMember(group, member, goal, records)
    if (isRefusal(next)) return next
    member = next
  }
  const inItsPlace = replaced.memberId === member.memberId ? undefined : replaced
  const downgraded = downgradeRecords(group, [...others, member], context, inItsPlace)
  if (downgraded === null) {
    const text = `Cannot downgrade the consumer group ${group.groupId}.`
    return refusal(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, text)
  }
  const all: GroupRecord[] = [...records, ...downgraded]
  return {
    records: all,
    response: joined(member),
    onStored: nothingMore,
    downgrade: { rebalance: subscribesAnew, members: [...others, member] },
  }
}

function joined(member: ConsumerMember): JoinResult {
  return {
    ...failedJoin(member.memberId, ErrorCode.NONE),
    generationId: member.memberEpoch,
    protocolType: CONSUMER_PROTOCOL_TYPE,
    protocolName: member.classic?.supportedProtocols[0]?.name ?? null,
  }
}

export interface ClassicCall {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly generationId: number
}

function classicMemberOf(group: ConsumerGroup, call: ClassicCall): ConsumerMember | Refusal {
  const member = knownMember(group, call.memberId, call.groupInstanceId)
  if (isRefusal(member)) return member
  if (member.classic === null) {
    const text = `Member ${member.memberId} does not use the classic protocol.`
    return refusal(ErrorCode.UNKNOWN_MEMBER_ID, text)
  }
  if (call.generationId === member.memberEpoch) return member
  return refusal(ErrorCode.ILLEGAL_GENERATION, 'The generation is not the member epoch.')
}

export interface ClassicSync extends ClassicCall {
  /** null: not said */
  readonly protocolType: string | null
  readonly protocolName: string | null
}

/** Gives at once what the member has: nobody has to bring it. */
export function syncAsClassic(group: ConsumerGroup, call: ClassicSync, context: Context): SyncResult {
  const member = classicMemberOf(group, call)
  if (isRefusal(member)) return failedSync(member.errorCode)
  const { protocolType, protocolName } = call
  const [protocol] = member.classic!.supportedProtocols
  const isOther =
    (protocolType !== null && protocolType !== CONSUMER_PROTOCOL_TYPE) ||
    (protocolName !== null && protocolName !== protocol?.name)
  if (isOther) return failedSync(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
  const deadlines = group.deadlinesOf(member.memberId)
  if (group.epoch > member.memberEpoch && member.state !== 'UNREVOKED_PARTITIONS') {
    deadlines.joinMs = Math.min(deadlines.joinMs, context.nowMs + member.rebalanceTimeoutMs)
    return failedSync(ErrorCode.REBALANCE_IN_PROGRESS)
  }
  deadlines.syncMs = Infinity
  deadlines.sessionMs = context.nowMs + member.classic!.sessionTimeoutMs
  const partitions = namesOf(member.assigned, context.topics)
  const assignment = protocol === undefined ? NO_ASSIGNMENT : writeAssignment(partitions, protocol.metadata)
  return { errorCode: ErrorCode.NONE, protocolType, protocolName, assignment }
}

/** Gives the error code: a rebalance is the only way in which a classic member hears of a step to take. */
export function heartbeatAsClassic(group: ConsumerGroup, call: ClassicCall, nowMs: number): number {
  const member = classicMemberOf(group, call)
  if (isRefusal(member)) return member.errorCode
  const deadlines = group.deadlinesOf(member.memberId)
  deadlines.sessionMs = nowMs + member.classic!.sessionTimeoutMs
  const hasStep =
    member.memberEpoch < group.epoch ||
    member.state === 'UNREVOKED_PARTITIONS' ||
    (member.state === 'UNRELEASED_PARTITIONS' && !waitsForOthers(group, member))
  if (!hasStep) return ErrorCode.NONE
  deadlines.joinMs = Math.min(deadlines.joinMs, nowMs + member.rebalanceTimeoutMs)
  return ErrorCode.REBALANCE_IN_PROGRESS
}

function waitsForOthers(group: ConsumerGroup, member: ConsumerMember): boolean {
  for (const [topicId, partitions] of group.target(member.memberId)) {
    const own = member.assigned.get(topicId) ?? []
    for (const partition of partitions) {
      if (!own.includes(partition) && group.ownerEpoch(topicId, partition) !== NOT_OWNED) return true
    }
  }
  return false
}

/** LeaveGroup names members of either protocol. The error codes in their order. */
export function leaveAsClassic(
  group: ConsumerGroup,
  leaving: readonly LeavingMember[],
  context: Context,
): Decision<number[]> {
  const found = leaving.map(({ memberId, groupInstanceId }) =>
    leavingMember(group, memberId, groupInstanceId),
  )
  const members = found.filter((each): each is ConsumerMember => !isRefusal(each))
  const response = found.map((each) => (isRefusal(each) ? each.errorCode : ErrorCode.NONE))
  return { ...fence(group, members, context), response }
}

function leavingMember(
  group: ConsumerGroup,
  memberId: string,
  instanceId: string | null,
): ConsumerMember | Refusal {
  const namesInstanceAlone = memberId === '' && instanceId !== null
  if (namesInstanceAlone) return group.staticMember(instanceId) ?? unknownInstance(instanceId)
  return knownMember(group, memberId, instanceId)
}
