/**
 * ConsumerGroupHeartbeat: a member joins, says what it wants and what it has, and is told what to have. Source:
 * GroupCoordinatorService.throwIfConsumerGroupHeartbeatRequestIsInvalid, GroupMetadataManager.consumerGroupHeartbeat (4.1).
 */
import { ErrorCode } from '../../../protocol/error-codes.ts'
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
} from '../../../protocol/messages/68-consumer-group-heartbeat.ts'
import { consumerHeartbeatIntervalMs, consumerSessionTimeoutMs } from '../config.ts'
import { assignAndReconcile, nextEpoch, noteDetails } from './advance.ts'
import { assignmentOf, sameAssignment, toTopicPartitions } from './assignment.ts'
import { checkSize, identify } from './checks.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import type { Context, Decision } from './context.ts'
import { JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH } from './member.ts'
import type { ConsumerMember } from './member.ts'
import type { ConsumerRecord } from './records.ts'
import { isRefusal, refusal } from './refusal.ts'
import type { Refusal } from './refusal.ts'
import { nextRegexes } from './regexes.ts'

export interface HeartbeatCall {
  readonly request: ConsumerGroupHeartbeatRequest
  readonly clientId: string
  readonly clientHost: string
}

/** What is wrong with a request whatever the group is like; null: nothing. */
export function checkHeartbeat(
  request: ConsumerGroupHeartbeatRequest,
  apiVersion: number,
  assignors: readonly string[],
): Refusal | null {
  const { memberEpoch, serverAssignor } = request
  const wrong =
    emptyText(request, apiVersion) ??
    (memberEpoch === JOIN_EPOCH ? wrongJoin(request) : null) ??
    (memberEpoch === LEAVE_STATIC_EPOCH && request.instanceId === null
      ? "InstanceId can't be null."
      : null) ??
    (memberEpoch < LEAVE_STATIC_EPOCH ? 'MemberEpoch is invalid.' : null)
  if (wrong !== null) return refusal(ErrorCode.INVALID_REQUEST, wrong)
  if (serverAssignor === null || assignors.includes(serverAssignor)) return null
  const text = `ServerAssignor ${serverAssignor} is not supported. Supported assignors: ${assignors.join(', ')}.`
  return refusal(ErrorCode.UNSUPPORTED_ASSIGNOR, text)
}

function emptyText(request: ConsumerGroupHeartbeatRequest, apiVersion: number): string | null {
  const { memberId, memberEpoch, groupId, instanceId, rackId } = request
  // Since version 1 members make their ids themselves (KIP-1082).
  const needsId = apiVersion >= 1 || memberEpoch > 0 || memberEpoch === LEAVE_EPOCH
  const isEmpty = (text: string | null): boolean => text !== null && text.trim() === ''
  if (needsId && isEmpty(memberId)) return "MemberId can't be empty."
  if (isEmpty(groupId)) return "GroupId can't be empty."
  if (isEmpty(instanceId)) return "InstanceId can't be empty."
  return isEmpty(rackId) ? "RackId can't be empty." : null
}

function wrongJoin(request: ConsumerGroupHeartbeatRequest): string | null {
  const { rebalanceTimeoutMs, topicPartitions, subscribedTopicNames, subscribedTopicRegex } = request
  if (rebalanceTimeoutMs === -1) return 'RebalanceTimeoutMs must be provided in first request.'
  if (topicPartitions === null || topicPartitions.length > 0) {
    return 'TopicPartitions must be empty when (re-)joining.'
  }
  if (subscribedTopicNames !== null || subscribedTopicRegex !== null) return null
  return 'Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.'
}

export function heartbeat(
  group: ConsumerGroup,
  call: HeartbeatCall,
  context: Context,
): Decision<ConsumerGroupHeartbeatResponse> | Refusal {
  const { request } = call
  const full = checkSize(group, request.memberId, context.config)
  if (full !== null) return full
  const records: ConsumerRecord[] = []
  const owned = request.topicPartitions && assignmentOf(request.topicPartitions)
  const { memberEpoch: epoch, instanceId } = request
  const memberId = request.memberId === '' ? context.newUuid() : request.memberId
  const joins = epoch === JOIN_EPOCH
  const before = identify(group, { memberId, instanceId, epoch, owned, joins }, records)
  if (isRefusal(before)) return before
  const change = { before, member: withCall(before, call) }
  const subscribesAnew = noteDetails(group, change, records)
  const regexes = nextRegexes(group, context, change, records)
  if (isRefusal(regexes)) return regexes
  const bump = group.epoch === 0 || subscribesAnew || regexes.bump
  const said = change.member
  const step = nextEpoch(group, context, { before, member: said, bump }, records)
  const { epoch: groupEpoch, homogeneous } = step
  const goal = { before, member: said, epoch: groupEpoch, homogeneous, owned }
  const member = assignAndReconcile(group, context, goal, records)
  if (isRefusal(member)) return member
  return {
    records,
    response: answer(request, before, member, context),
    resolve: regexes.resolve,
    onStored: (stored) => {
      if (step.refreshed) stored.metadataExpired = false
      keepAlive(stored, before, member, context)
    },
  }
}

/** Nearly all heartbeats say nothing but that the member lives. */
function saysNothing(member: ConsumerMember, { request, clientId, clientHost }: HeartbeatCall): boolean {
  return (
    request.instanceId === null &&
    request.rackId === null &&
    request.rebalanceTimeoutMs === -1 &&
    request.subscribedTopicNames === null &&
    request.subscribedTopicRegex === null &&
    request.serverAssignor === null &&
    clientId === member.clientId &&
    clientHost === member.clientHost &&
    member.classic === null
  )
}

/** What it does not say stays as it was. From now on it speaks the consumer protocol. */
function withCall(member: ConsumerMember, call: HeartbeatCall): ConsumerMember {
  if (saysNothing(member, call)) return member
  const { request, clientId, clientHost } = call
  const { rebalanceTimeoutMs, subscribedTopicNames } = request
  return {
    ...member,
    instanceId: request.instanceId ?? member.instanceId,
    rackId: request.rackId ?? member.rackId,
    rebalanceTimeoutMs: rebalanceTimeoutMs === -1 ? member.rebalanceTimeoutMs : rebalanceTimeoutMs,
    assignor: request.serverAssignor ?? member.assignor,
    topicNames: subscribedTopicNames === null ? member.topicNames : new Set(subscribedTopicNames),
    topicRegex: request.subscribedTopicRegex ?? member.topicRegex,
    clientId,
    clientHost,
    classic: null,
  }
}

/** The assignment is told where it has changed, and to who said all of itself: it may have lost the reply before. */
function answer(
  request: ConsumerGroupHeartbeatRequest,
  before: ConsumerMember,
  member: ConsumerMember,
  { config }: Context,
): ConsumerGroupHeartbeatResponse {
  const saysAll =
    request.rebalanceTimeoutMs !== -1 &&
    (request.subscribedTopicNames !== null || request.subscribedTopicRegex !== null) &&
    request.topicPartitions !== null
  const told =
    request.memberEpoch === JOIN_EPOCH || saysAll || !sameAssignment(before.assigned, member.assigned)
  return {
    errorCode: ErrorCode.NONE,
    memberId: member.memberId,
    memberEpoch: member.memberEpoch,
    heartbeatIntervalMs: consumerHeartbeatIntervalMs(config, request.groupId),
    assignment: told ? { topicPartitions: toTopicPartitions(member.assigned) } : null,
  }
}

function keepAlive(
  group: ConsumerGroup,
  before: ConsumerMember,
  member: ConsumerMember,
  context: Context,
): void {
  const deadlines = group.deadlinesOf(member.memberId)
  deadlines.sessionMs = context.nowMs + consumerSessionTimeoutMs(context.config, group.groupId)
  deadlines.joinMs = deadlines.syncMs = Infinity
  const revokes = member.state === 'UNREVOKED_PARTITIONS'
  const isNews = before.state !== member.state || before.memberEpoch !== member.memberEpoch
  if (!revokes) deadlines.rebalanceMs = Infinity
  else if (isNews || deadlines.rebalanceMs === Infinity) {
    deadlines.rebalanceMs = context.nowMs + member.rebalanceTimeoutMs
    deadlines.rebalanceEpoch = member.memberEpoch
  }
}
