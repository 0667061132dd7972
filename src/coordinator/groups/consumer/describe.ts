/** ConsumerGroupDescribe, and what OffsetCommit and OffsetFetch check of a consumer group. Source: ConsumerGroup.java (4.1). */
import { ErrorCode } from '../../../protocol/error-codes.ts'
import type { ConsumerGroupDescribeResponse } from '../../../protocol/messages/69-consumer-group-describe.ts'
import type { Assignment } from './assignment.ts'
import type { ConsumerGroup } from './consumer-group.ts'
import type { ConsumerMember } from './member.ts'
import type { GroupTopics } from './topics.ts'

type Described = ConsumerGroupDescribeResponse['groups'][number]
type DescribedAssignment = Described['members'][number]['assignment']

const CLASSIC_MEMBER = 0
const CONSUMER_MEMBER = 1

export function describeConsumerGroup(
  group: ConsumerGroup,
  topics: GroupTopics,
  defaultAssignor: string,
): Omit<Described, 'authorizedOperations'> {
  return {
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    groupId: group.groupId,
    groupState: group.state,
    groupEpoch: group.epoch,
    assignmentEpoch: group.targetEpoch,
    assignorName: group.preferredAssignor() ?? defaultAssignor,
    members: [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      rackId: member.rackId,
      memberEpoch: member.memberEpoch,
      clientId: member.clientId,
      clientHost: member.clientHost,
      subscribedTopicNames: [...member.topicNames].sort(),
      subscribedTopicRegex: member.topicRegex,
      assignment: described(member.assigned, topics),
      targetAssignment: described(group.target(member.memberId), topics),
      memberType: member.classic === null ? CONSUMER_MEMBER : CLASSIC_MEMBER,
    })),
  }
}

/** Topics that are gone are not told. */
function described(assignment: Assignment, topics: GroupTopics): DescribedAssignment {
  const topicPartitions = [...assignment].flatMap(([topicId, partitions]) => {
    const topicName = topics.topicById(topicId)?.name
    return topicName === undefined ? [] : [{ topicId, topicName, partitions: [...partitions] }]
  })
  return { topicPartitions }
}

export function describeMissingConsumerGroup(
  groupId: string,
  errorCode: number,
  errorMessage: string | null = null,
): Omit<Described, 'authorizedOperations'> {
  const nothing = { groupState: '', groupEpoch: 0, assignmentEpoch: 0, assignorName: '', members: [] }
  return { errorCode, errorMessage, groupId, ...nothing }
}

export interface Committer {
  readonly memberId: string
  readonly epoch: number
  readonly apiVersion: number
}

/** Offsets of an older epoch may be of partitions that somebody else has by now. Gives the error code. */
export function checkConsumerCommit(
  group: ConsumerGroup,
  { memberId, epoch, apiVersion }: Committer,
): number {
  // From an admin client.
  if (epoch < 0 && group.members.size === 0) return ErrorCode.NONE
  const member = group.members.get(memberId)
  if (member === undefined) return ErrorCode.UNKNOWN_MEMBER_ID
  if (member.classic === null && apiVersion < 9) return ErrorCode.UNSUPPORTED_VERSION
  return checkMemberEpoch(member, epoch)
}

/** Producers know no epochs of members: theirs is an old generation. */
export function checkConsumerTxnCommit(group: ConsumerGroup, memberId: string, epoch: number): number {
  if (epoch < 0 && group.members.size === 0) return ErrorCode.NONE
  const member = group.members.get(memberId)
  if (member === undefined) return ErrorCode.UNKNOWN_MEMBER_ID
  return epoch === member.memberEpoch ? ErrorCode.NONE : ErrorCode.ILLEGAL_GENERATION
}

/** `memberId` null: the request is not of a member. */
export function checkConsumerFetch(group: ConsumerGroup, memberId: string | null, epoch: number): number {
  if (memberId === null && epoch < 0) return ErrorCode.NONE
  const member = memberId === null ? undefined : group.members.get(memberId)
  return member === undefined ? ErrorCode.UNKNOWN_MEMBER_ID : checkMemberEpoch(member, epoch)
}

function checkMemberEpoch(member: ConsumerMember, epoch: number): number {
  if (epoch === member.memberEpoch) return ErrorCode.NONE
  return member.classic === null ? ErrorCode.STALE_MEMBER_EPOCH : ErrorCode.ILLEGAL_GENERATION
}
