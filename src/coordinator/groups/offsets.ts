/** OffsetCommit, OffsetFetch and the expiry of offsets. Source of the rules: coordinators.md 5. */
import { ErrorCode } from '../../protocol/error-codes.ts'
import { CONSUMER_PROTOCOL_TYPE } from './config.ts'
import { checkConsumerCommit, checkConsumerFetch, checkConsumerTxnCommit } from './consumer/describe.ts'
import { NOT_APPENDED } from './group.ts'
import type { CommittedOffset, Group } from './group.ts'
import { checkMemberOfGeneration } from './member-checks.ts'
import type { MemberOfGeneration } from './member-checks.ts'
import { renewSession } from './rebalance.ts'

/** May these offsets be committed? A member that may has shown that it lives. */
export function checkOffsetCommit(
  group: Group,
  request: MemberOfGeneration & { readonly apiVersion: number },
  nowMs: number,
): number {
  if (group.isDead) return ErrorCode.COORDINATOR_NOT_AVAILABLE
  const { consumer } = group
  if (consumer !== null) return checkConsumerCommit(consumer, { ...request, epoch: request.generationId })
  // From an admin client, or a consumer that manages its partitions itself.
  if (request.generationId < 0 && group.state === 'Empty') return ErrorCode.NONE
  const error = checkMemberOfGeneration(group, request)
  if (error !== ErrorCode.NONE) return error
  // It has the generation, but not its assignment: it commits again after SyncGroup.
  if (group.state === 'CompletingRebalance') return ErrorCode.REBALANCE_IN_PROGRESS
  renewSession(group, group.member(request.memberId), nowMs)
  return ErrorCode.NONE
}

/** Of a producer's transaction (KIP-447): before version 3 it does not say which member commits. */
export function checkTxnOffsetCommit(group: Group, request: MemberOfGeneration): number {
  if (group.isDead) return ErrorCode.COORDINATOR_NOT_AVAILABLE
  const { generationId, memberId, groupInstanceId } = request
  const saysNothing = generationId < 0 && memberId === '' && groupInstanceId === null
  if (saysNothing) return ErrorCode.NONE
  const { consumer } = group
  if (consumer !== null) return checkConsumerTxnCommit(consumer, memberId, generationId)
  if (generationId < 0 && group.state === 'Empty') return ErrorCode.NONE
  return checkMemberOfGeneration(group, request)
}

export interface OffsetToCommit {
  readonly partitionIndex: number
  readonly committedOffset: number
  readonly committedLeaderEpoch: number
  /** -1, or left out: now. */
  readonly commitTimestamp?: number
  readonly committedMetadata: string | null
}

export const NO_RETENTION = -1

/** `retentionMs`: of the request's own (OffsetCommit 2 to 4). */
export function committing(
  offset: OffsetToCommit,
  { wallMs, retentionMs }: { readonly wallMs: number; readonly retentionMs: number },
): CommittedOffset {
  const expires = retentionMs !== NO_RETENTION
  return {
    offset: offset.committedOffset,
    leaderEpoch: expires ? -1 : offset.committedLeaderEpoch,
    metadata: offset.committedMetadata ?? '',
    commitTimestampMs: (offset.commitTimestamp ?? -1) === -1 ? wallMs : offset.commitTimestamp!,
    expireTimestampMs: expires ? wallMs + retentionMs : -1,
    recordOffset: NOT_APPENDED,
  }
}

/** Of OffsetFetch 9: null when the request is not of a member. */
export interface FetchingMember {
  readonly memberId: string | null
  readonly memberEpoch: number
}

export function checkOffsetFetch(group: Group | undefined, member: FetchingMember): number {
  const consumer = group?.consumer ?? null
  return consumer === null
    ? ErrorCode.NONE
    : checkConsumerFetch(consumer, member.memberId, member.memberEpoch)
}

export interface FetchedOffset {
  readonly partitionIndex: number
  readonly committedOffset: number
  readonly committedLeaderEpoch: number
  readonly metadata: string
  readonly errorCode: number
}

/** Nothing committed is not an error: offset -1. `requireStable` (KIP-447): not while a newer one may be on its way. */
export function fetchOffset(
  group: Group | undefined,
  topic: string,
  partition: number,
  requireStable: boolean,
): FetchedOffset {
  const unstable = requireStable && group?.hasPendingCommit(topic, partition) === true
  const committed = unstable ? undefined : group?.offsets.get(topic, partition)
  return {
    partitionIndex: partition,
    committedOffset: committed?.offset ?? -1,
    committedLeaderEpoch: committed?.leaderEpoch ?? -1,
    metadata: committed?.metadata ?? '',
    errorCode: unstable ? ErrorCode.UNSTABLE_OFFSET_COMMIT : ErrorCode.NONE,
  }
}

/** Topic and partition of every offset that has outlived its retention. */
export function expiredOffsets(group: Group, wallMs: number, retentionMs: number): [string, number][] {
  const baseMs = expiryBase(group)
  if (baseMs === null) return []
  const keeps = keptTopics(group)
  const expired: [string, number][] = []
  for (const [topic, partition, offset] of group.offsets.entries()) {
    if (keeps(topic) || group.hasPendingCommit(topic, partition)) continue
    const { expireTimestampMs } = offset
    const isExpired =
      expireTimestampMs === -1 ? wallMs - baseMs(offset) >= retentionMs : wallMs >= expireTimestampMs
    if (isExpired) expired.push([topic, partition])
  }
  return expired
}

function keptTopics({ consumer, state, subscribedTopics }: Group): (topic: string) => boolean {
  if (consumer !== null) return (topic) => consumer.isSubscribedTo(topic)
  return (topic) => state === 'Stable' && subscribedTopics?.has(topic) === true
}

/** From when an offset's age counts; null: the group's offsets do not expire now (KIP-211). */
function expiryBase(group: Group): ((offset: CommittedOffset) => number) | null {
  const sinceCommit = (offset: CommittedOffset): number => offset.commitTimestampMs
  if (group.protocolType === null || group.consumer !== null) return sinceCommit
  if (group.state === 'Empty')
    return group.stateTimestampMs === -1 ? sinceCommit : () => group.stateTimestampMs
  const subscriptionsKnown = group.protocolType === CONSUMER_PROTOCOL_TYPE && group.subscribedTopics !== null
  return group.state === 'Stable' && subscriptionsKnown ? sinceCommit : null
}
