/** DescribeGroups, ListGroups, DeleteGroups, OffsetDelete, and what expiry removes. Source: coordinators.md 4 and 5. */
import { ErrorCode } from '../../protocol/error-codes.ts'
import { CONSUMER_PROTOCOL_TYPE } from './config.ts'
import { metadataOf, NO_ASSIGNMENT } from './group.ts'
import type { Group } from './group.ts'
import { groupTombstones } from './consumer/migration.ts'
import { groupTombstone, offsetTombstone } from './records.ts'
import type { GroupRecord } from './records.ts'

export interface GroupDescription {
  readonly errorCode: number
  readonly groupId: string
  readonly groupState: string
  readonly protocolType: string
  readonly protocolData: string
  readonly members: readonly {
    readonly memberId: string
    readonly groupInstanceId: string | null
    readonly clientId: string
    readonly clientHost: string
    readonly memberMetadata: Buffer
    readonly memberAssignment: Buffer
  }[]
}

/** A group that cannot be described has no state; one that does not exist is Dead, without an error. */
export function describeMissing(groupId: string, errorCode: number): GroupDescription {
  const groupState = errorCode === ErrorCode.NONE ? 'Dead' : ''
  return { errorCode, groupId, groupState, protocolType: '', protocolData: '', members: [] }
}

/** Protocol, metadata and assignments are told of a stable group only: before, they are about to change. */
export function describeGroup(group: Group): GroupDescription {
  const protocol = group.state === 'Stable' ? group.protocolName : null
  return {
    errorCode: ErrorCode.NONE,
    groupId: group.groupId,
    groupState: group.state,
    protocolType: group.protocolType ?? '',
    protocolData: protocol ?? '',
    members: [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: protocol === null ? NO_ASSIGNMENT : metadataOf(member, protocol),
      memberAssignment: protocol === null ? NO_ASSIGNMENT : member.assignment,
    })),
  }
}

export interface ListedGroup {
  readonly groupId: string
  readonly protocolType: string
  readonly groupState: string
  readonly groupType: string
}

export function listGroup(group: Group): ListedGroup {
  const { groupId, protocolType, state, consumer } = group
  if (consumer !== null) {
    return {
      groupId,
      protocolType: CONSUMER_PROTOCOL_TYPE,
      groupState: consumer.state,
      groupType: 'consumer',
    }
  }
  return { groupId, protocolType: protocolType ?? '', groupState: state, groupType: 'classic' }
}

/** Names are compared without regard to case; an empty filter lets all pass. */
export function groupFilter(states: readonly string[], types: readonly string[]): (group: Group) => boolean {
  const wanted = new Set(states.map((state) => state.toLowerCase()))
  const kinds = new Set(types.map((type) => type.toLowerCase()))
  return ({ state, consumer }) => {
    if (kinds.size > 0 && !kinds.has(consumer === null ? 'classic' : 'consumer')) return false
    return wanted.size === 0 || wanted.has((consumer?.state ?? state).toLowerCase())
  }
}

export function checkDeletable(group: Group | undefined): number {
  if (group === undefined || group.isDead) return ErrorCode.GROUP_ID_NOT_FOUND
  return isEmpty(group) ? ErrorCode.NONE : ErrorCode.NON_EMPTY_GROUP
}

/** Whether offsets of this group may be deleted at all; a live consumer group keeps those of its subscribed topics. */
export function checkOffsetsDeletable(group: Group | undefined): number {
  if (group === undefined || group.isDead) return ErrorCode.GROUP_ID_NOT_FOUND
  if (isEmpty(group) || group.consumer !== null) return ErrorCode.NONE
  if (group.protocolType === CONSUMER_PROTOCOL_TYPE) return ErrorCode.NONE
  return ErrorCode.NON_EMPTY_GROUP
}

/** No members, in whichever protocol. */
export function isEmpty({ consumer, state }: Group): boolean {
  return consumer === null ? state === 'Empty' : consumer.members.size === 0
}

/** The records that remove these offsets, and the group itself if it is empty and keeps none. */
export function tombstones(
  group: Group,
  offsets: readonly [topic: string, partition: number][],
): GroupRecord[] {
  const records = offsets.map(([topic, partition]) => offsetTombstone(group.groupId, topic, partition))
  const keepsNone =
    offsets.length === group.offsets.size &&
    group.pendingCommits.size === 0 &&
    group.transactionalOffsets.size === 0
  // While a consumer group stores something, somebody may be about to join.
  const isIdle = group.pendingMembers.size === 0 && group.storing === null
  const ends = isEmpty(group) && isIdle && keepsNone
  return ends ? [...records, ...ownTombstones(group)] : records
}

function ownTombstones(group: Group): GroupRecord[] {
  const records: GroupRecord[] = group.recorded === null ? [] : [groupTombstone(group.groupId)]
  if (group.consumer !== null) records.push(...groupTombstones(group.consumer))
  return records
}

/** Those for a group that is deleted as a whole. */
export function allTombstones(group: Group): GroupRecord[] {
  const offsets = group.partitionsWithCommits()
  const records = offsets.map(([topic, partition]) => offsetTombstone(group.groupId, topic, partition))
  return [...records, ...ownTombstones(group)]
}
