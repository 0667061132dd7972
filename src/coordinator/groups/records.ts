/**
 * The records of `__consumer_offsets`, in Kafka's format (coordinators.md 3). Keys and values begin with a version; the
 * key's tells what the record is about, a value of null is a tombstone.
 */
import { versioned } from '../../protocol/compile.ts'
import { array, bytes, int32, int64, schema, string } from '../../protocol/schema.ts'
import type { Decoded } from '../../protocol/schema.ts'
import { decodeConsumerRecord, encodeConsumerRecord, isConsumerRecord } from './consumer/records.ts'
import type { ConsumerRecord } from './consumer/records.ts'
import { metadataOf, NO_ASSIGNMENT } from './group.ts'
import type { CommittedOffset, Group, Member, MemberProtocol } from './group.ts'

const offsetCommitKeySchema = schema({
  name: 'OffsetCommitKey',
  versions: [0, 1],
  flexibleFrom: null,
  fields: { group: string, topic: string, partition: int32 },
})

const offsetCommitValueSchema = schema({
  name: 'OffsetCommitValue',
  versions: [0, 4],
  flexibleFrom: 4,
  fields: {
    offset: int64,
    leaderEpoch: int32.from(3).default(-1),
    metadata: string,
    commitTimestamp: int64,
    expireTimestamp: int64.from(1).until(1).default(-1),
  },
})

const groupMetadataKeySchema = schema({
  name: 'GroupMetadataKey',
  versions: [2, 2],
  flexibleFrom: null,
  fields: { group: string },
})

const groupMetadataValueSchema = schema({
  name: 'GroupMetadataValue',
  versions: [0, 4],
  flexibleFrom: 4,
  fields: {
    protocolType: string,
    generation: int32,
    protocol: string.nullable(),
    leader: string.nullable(),
    currentStateTimestamp: int64.from(2).default(-1),
    members: array({
      memberId: string,
      groupInstanceId: string.nullable(3).from(3).default(null),
      clientId: string,
      clientHost: string,
      rebalanceTimeout: int32.from(1).default(-1),
      sessionTimeout: int32,
      subscription: bytes,
      assignment: bytes,
    }),
  },
})

const offsetCommitKey = versioned(offsetCommitKeySchema)
const offsetCommitValue = versioned(offsetCommitValueSchema)
const groupMetadataKey = versioned(groupMetadataKeySchema)
const groupMetadataValue = versioned(groupMetadataValueSchema)

const OFFSET_KEY_VERSION = 1
export const OFFSET_VALUE_VERSION = 3
/** The only one that carries an expire timestamp. */
export const EXPIRING_OFFSET_VALUE_VERSION = 1
const GROUP_KEY_VERSION = 2
const GROUP_VALUE_VERSION = 3

export type OffsetCommitValue = Decoded<typeof offsetCommitValueSchema.fields>
export type GroupMetadataValue = Decoded<typeof groupMetadataValueSchema.fields>
type RecordedMember = GroupMetadataValue['members'][number]

export type GroupRecord =
  | {
      readonly type: 'offset'
      readonly groupId: string
      readonly topic: string
      readonly partition: number
      readonly value: OffsetCommitValue | null
    }
  | { readonly type: 'group'; readonly groupId: string; readonly value: GroupMetadataValue | null }
  | ConsumerRecord

export function encodeRecord(record: GroupRecord): { key: Buffer; value: Buffer | null } {
  if (record.type === 'offset') {
    const { groupId, topic, partition, value } = record
    const key = offsetKey(groupId, topic, partition)
    if (value === null) return { key, value: null }
    const version = value.expireTimestamp === -1 ? OFFSET_VALUE_VERSION : EXPIRING_OFFSET_VALUE_VERSION
    return { key, value: offsetCommitValue.encode(version, value) }
  }
  if (isConsumerRecord(record)) return encodeConsumerRecord(record)
  const key = groupMetadataKey.encode(GROUP_KEY_VERSION, { group: record.groupId })
  return { key, value: record.value && groupMetadataValue.encode(GROUP_VALUE_VERSION, record.value) }
}

export function offsetKey(group: string, topic: string, partition: number): Buffer {
  return offsetCommitKey.encode(OFFSET_KEY_VERSION, { group, topic, partition })
}

/** null for a record of a kind that is not known here. Throws MalformedMessageError. */
export function decodeRecord(key: Buffer, value: Buffer | null): GroupRecord | null {
  const version = key.length < 2 ? -1 : key.readInt16BE(0)
  if (version === 0 || version === 1) {
    const { group: groupId, topic, partition } = offsetCommitKey.decode(key).value
    return {
      type: 'offset',
      groupId,
      topic,
      partition,
      value: value && offsetCommitValue.decode(value).value,
    }
  }
  if (version === GROUP_KEY_VERSION) {
    const groupId = groupMetadataKey.decode(key).value.group
    return { type: 'group', groupId, value: value && decodeGroupValue(value) }
  }
  return decodeConsumerRecord(version, key, value)
}

/** Version 0 has no rebalance timeout: the session timeout stands for it. */
function decodeGroupValue(bytes: Buffer): GroupMetadataValue {
  const { version, value } = groupMetadataValue.decode(bytes)
  if (version === 0) for (const member of value.members) member.rebalanceTimeout = member.sessionTimeout
  return value
}

export function offsetTombstone(groupId: string, topic: string, partition: number): GroupRecord {
  return { type: 'offset', groupId, topic, partition, value: null }
}

export function groupTombstone(groupId: string): GroupRecord {
  return { type: 'group', groupId, value: null }
}

export function committedOffset(value: OffsetCommitValue, recordOffset: number): CommittedOffset {
  return {
    offset: value.offset,
    leaderEpoch: value.leaderEpoch,
    metadata: value.metadata,
    commitTimestampMs: value.commitTimestamp,
    expireTimestampMs: value.expireTimestamp,
    recordOffset,
  }
}

/** The group as it is, or as it will be with new assignments. */
export function groupMetadataRecord(
  group: Group,
  stateTimestampMs: number,
  assignmentOf: (member: Member) => Buffer = (member) => member.assignment,
): GroupRecord {
  const members = [...group.members.values()].map((member) =>
    recordedMember(group, member, assignmentOf(member)),
  )
  return groupRecord(group, stateTimestampMs, group.leaderId, members)
}

interface Replacement {
  readonly memberId: string
  readonly protocols: readonly MemberProtocol[]
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
}

/** The group as it will be when a returned static member has its new id. */
export function replacedMemberRecord(
  group: Group,
  replaced: Member,
  replacement: Replacement,
  stateTimestampMs: number,
): GroupRecord {
  const members = [...group.members.values()].map((member) => {
    const now = member === replaced ? { ...member, ...replacement } : member
    return recordedMember(group, now, member.assignment)
  })
  const leaderId = group.isLeader(replaced.memberId) ? replacement.memberId : group.leaderId
  return groupRecord(group, stateTimestampMs, leaderId, members)
}

function groupRecord(
  group: Group,
  currentStateTimestamp: number,
  leader: string | null,
  members: RecordedMember[],
): GroupRecord {
  const { groupId, protocolType, generationId: generation, protocolName: protocol } = group
  const value = {
    protocolType: protocolType ?? '',
    generation,
    protocol,
    leader,
    currentStateTimestamp,
    members,
  }
  return { type: 'group', groupId, value }
}

function recordedMember(group: Group, member: Member, assignment: Buffer): RecordedMember {
  return {
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rebalanceTimeout: member.rebalanceTimeoutMs,
    sessionTimeout: member.sessionTimeoutMs,
    subscription: group.protocolName === null ? NO_ASSIGNMENT : metadataOf(member, group.protocolName),
    assignment,
  }
}
