/** DescribeGroups, ListGroups, DeleteGroups, OffsetDelete, and what expiry removes. Source: coordinators.md 4 and 5. */
import { ErrorCode } from '../../protocol/error-codes.ts'
import { CONSUMER_PROTOCOL_TYPE } from './config.ts'
import { metadataOf, NO_ASSIGNMENT } from './group.ts'
import type { Group } from './group.ts'
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
  const { groupId, protocolType, state } = group
  return { groupId, protocolType: protocolType ?? '', groupState: state, groupType: 'classic' }
}

/** Names are compared without regard to case; an empty filter lets all pass. All groups here are classic (KIP-848). */
export function groupFilter(states: readonly string[], types: readonly string[]): (group: Group) => boolean {
  const wanted = new Set(states.map((state) => state.toLowerCase()))
  const typeFits = types.length === 0 || types.some((type) => type.toLowerCase() === 'classic')
  return (group) => typeFits && (wanted.size === 0 || wanted.has(group.state.toLowerCase()))
}

export function checkDeletable(group: Group | undefined): number {
  if (group === undefined || group.isDead) return ErrorCode.GROUP_ID_NOT_FOUND
  return group.state === 'Empty' ? ErrorCode.NONE : ErrorCode.NON_EMPTY_GROUP
}

/** Whether offsets of this group may be deleted at all; a live consumer group keeps those of its subscribed topics. */
export function checkOffsetsDeletable(group: Group | undefined): number {
  if (group === undefined || group.isDead) return ErrorCode.GROUP_ID_NOT_FOUND
  if (group.state === 'Empty' || group.protocolType === CONSUMER_PROTOCOL_TYPE) return ErrorCode.NONE
  return ErrorCode.NON_EMPTY_GROUP
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
  const ends = group.state === 'Empty' && group.pendingMembers.size === 0 && keepsNone
  if (ends && group.recorded !== null) records.push(groupTombstone(group.groupId))
  return records
}

/** Those for a group that is deleted as a whole. */
export function allTombstones(group: Group): GroupRecord[] {
  const records: GroupRecord[] = []
  for (const [topic, partition] of group.offsets.entries()) {
    records.push(offsetTombstone(group.groupId, topic, partition))
  }
  if (group.recorded !== null) records.push(groupTombstone(group.groupId))
  return records
}
