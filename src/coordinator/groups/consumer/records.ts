/**
 * The records of consumer groups (KIP-848) in `__consumer_offsets`, in Kafka 4.1's format. The number that a key begins with
 * is the kind of the record. Every record says one thing of a group; null is a tombstone. Source: coordinators.md 3 and
 * group-coordinator/src/main/resources/common/message/ConsumerGroup*.json (4.1).
 */
import { versioned } from '../../../protocol/compile.ts'
import {
  array,
  bytes,
  hash64,
  int32,
  int64,
  int8,
  schema,
  string,
  struct,
  uuid,
} from '../../../protocol/schema.ts'
import type { Decoded, Fields } from '../../../protocol/schema.ts'
import { toTopicPartitions } from './assignment.ts'
import type { Assignment } from './assignment.ts'
import type { ConsumerMember } from './member.ts'

const topicPartitions = array({ topicId: uuid, partitions: array(int32) })

function valueSchema<const F extends Fields>(name: string, fields: F) {
  return schema({ name, versions: [0, 0], flexibleFrom: 0, fields })
}

const groupKey = (kind: number) =>
  versioned(
    schema({ name: 'group', versions: [kind, kind], flexibleFrom: null, fields: { groupId: string } }),
  )

const memberKey = (kind: number) => {
  const fields = { groupId: string, memberId: string }
  return versioned(schema({ name: 'member', versions: [kind, kind], flexibleFrom: null, fields }))
}

const regexKey = versioned(
  schema({
    name: 'regular expression',
    versions: [16, 16],
    flexibleFrom: null,
    fields: { groupId: string, regularExpression: string },
  }),
)

const groupSchema = valueSchema('ConsumerGroupMetadataValue', {
  epoch: int32,
  // Since 4.1 (KIP-1101) it stands for the records of kind 4.
  metadataHash: hash64.tagged(0, 0),
})

const partitionMetadataSchema = valueSchema('ConsumerGroupPartitionMetadataValue', {
  topics: array({
    topicId: uuid,
    topicName: string,
    numPartitions: int32,
    partitionMetadata: array({ partition: int32, racks: array(string) }),
  }),
})

const memberSchema = valueSchema('ConsumerGroupMemberMetadataValue', {
  instanceId: string.nullable(),
  rackId: string.nullable(),
  clientId: string,
  clientHost: string,
  subscribedTopicNames: array(string),
  subscribedTopicRegex: string.nullable(),
  rebalanceTimeoutMs: int32.default(-1),
  serverAssignor: string.nullable(),
  /** Of a member that speaks the classic protocol, null for others. Not there at all: one with nothing in it, as in Kafka. */
  classicMemberMetadata: struct({
    sessionTimeoutMs: int32,
    supportedProtocols: array({ name: string, metadata: bytes }),
  })
    .nullable()
    .tagged(0, 0),
})

const targetEpochSchema = valueSchema('ConsumerGroupTargetAssignmentMetadataValue', {
  assignmentEpoch: int32,
})
const targetSchema = valueSchema('ConsumerGroupTargetAssignmentMemberValue', { topicPartitions })

const currentSchema = valueSchema('ConsumerGroupCurrentMemberAssignmentValue', {
  memberEpoch: int32,
  previousMemberEpoch: int32,
  state: int8,
  assignedPartitions: topicPartitions,
  partitionsPendingRevocation: topicPartitions,
})

const regexSchema = valueSchema('ConsumerGroupRegularExpressionValue', {
  topics: array(string),
  version: int64,
  timestamp: int64,
})

type ValueOf<S extends { readonly fields: Fields }> = Decoded<S['fields']>

interface ValueTypes {
  readonly 'consumer-group': ValueOf<typeof groupSchema>
  readonly 'consumer-partition-metadata': ValueOf<typeof partitionMetadataSchema>
  readonly 'consumer-member': ValueOf<typeof memberSchema>
  readonly 'consumer-target-epoch': ValueOf<typeof targetEpochSchema>
  readonly 'consumer-target': ValueOf<typeof targetSchema>
  readonly 'consumer-current': ValueOf<typeof currentSchema>
  readonly 'consumer-regex': ValueOf<typeof regexSchema>
}

export type ConsumerRecordType = keyof ValueTypes

/** `name`: the member id or the regular expression that it is about; '' where it is about the group. */
export type ConsumerRecord = {
  readonly [T in ConsumerRecordType]: {
    readonly type: T
    readonly groupId: string
    readonly name: string
    readonly value: ValueTypes[T] | null
  }
}[ConsumerRecordType]

export type MemberValue = ValueTypes['consumer-member']
export type CurrentValue = ValueTypes['consumer-current']

const WRITTEN_VERSION = 0

interface Kind {
  readonly number: number
  readonly key: {
    encode(groupId: string, name: string): Buffer
    decode(key: Buffer): { groupId: string; name: string }
  }
  readonly value: { encode(version: number, value: never): Buffer; decode(bytes: Buffer): { value: unknown } }
}

const aboutGroup = (number: number): Kind['key'] => {
  const codec = groupKey(number)
  return {
    encode: (groupId) => codec.encode(number, { groupId }),
    decode: (key) => ({ groupId: codec.decode(key).value.groupId, name: '' }),
  }
}

const aboutMember = (number: number): Kind['key'] => {
  const codec = memberKey(number)
  return {
    encode: (groupId, memberId) => codec.encode(number, { groupId, memberId }),
    decode: (key) => {
      const { groupId, memberId: name } = codec.decode(key).value
      return { groupId, name }
    },
  }
}

const aboutRegex: Kind['key'] = {
  encode: (groupId, regularExpression) => regexKey.encode(16, { groupId, regularExpression }),
  decode: (key) => {
    const { groupId, regularExpression: name } = regexKey.decode(key).value
    return { groupId, name }
  },
}

const KINDS: Readonly<Record<ConsumerRecordType, Kind>> = {
  'consumer-group': { number: 3, key: aboutGroup(3), value: versioned(groupSchema) },
  'consumer-partition-metadata': { number: 4, key: aboutGroup(4), value: versioned(partitionMetadataSchema) },
  'consumer-member': { number: 5, key: aboutMember(5), value: versioned(memberSchema) },
  'consumer-target-epoch': { number: 6, key: aboutGroup(6), value: versioned(targetEpochSchema) },
  'consumer-target': { number: 7, key: aboutMember(7), value: versioned(targetSchema) },
  'consumer-current': { number: 8, key: aboutMember(8), value: versioned(currentSchema) },
  'consumer-regex': { number: 16, key: aboutRegex, value: versioned(regexSchema) },
}

const typeByNumber = new Map(
  Object.entries(KINDS).map(([type, { number }]) => [number, type as ConsumerRecordType]),
)

export function isConsumerRecord(record: { readonly type: string }): record is ConsumerRecord {
  return record.type in KINDS
}

export function encodeConsumerRecord(record: ConsumerRecord): { key: Buffer; value: Buffer | null } {
  const { key, value } = KINDS[record.type]
  return {
    key: key.encode(record.groupId, record.name),
    value: record.value && value.encode(WRITTEN_VERSION, record.value as never),
  }
}

/** null for a record of another kind. Throws MalformedMessageError. */
export function decodeConsumerRecord(
  number: number,
  key: Buffer,
  value: Buffer | null,
): ConsumerRecord | null {
  const type = typeByNumber.get(number)
  if (type === undefined) return null
  const kind = KINDS[type]
  const decoded = value && kind.value.decode(value).value
  return { type, ...kind.key.decode(key), value: decoded } as ConsumerRecord
}

export function groupRecord(groupId: string, epoch: number, metadataHash: string): ConsumerRecord {
  return { type: 'consumer-group', groupId, name: '', value: { epoch, metadataHash } }
}

export function memberRecord(groupId: string, member: ConsumerMember): ConsumerRecord {
  const value = {
    instanceId: member.instanceId,
    rackId: member.rackId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    subscribedTopicNames: [...member.topicNames].sort(),
    subscribedTopicRegex: member.topicRegex,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    serverAssignor: member.assignor,
    classicMemberMetadata: member.classic && {
      sessionTimeoutMs: member.classic.sessionTimeoutMs,
      supportedProtocols: [...member.classic.supportedProtocols],
    },
  }
  return { type: 'consumer-member', groupId, name: member.memberId, value }
}

export function targetEpochRecord(groupId: string, assignmentEpoch: number): ConsumerRecord {
  return { type: 'consumer-target-epoch', groupId, name: '', value: { assignmentEpoch } }
}

export function targetRecord(groupId: string, memberId: string, target: Assignment): ConsumerRecord {
  const value = { topicPartitions: toTopicPartitions(target) }
  return { type: 'consumer-target', groupId, name: memberId, value }
}

export const STATE_NUMBERS = {
  STABLE: 0,
  UNREVOKED_PARTITIONS: 1,
  UNRELEASED_PARTITIONS: 2,
  UNKNOWN: 127,
} as const

export function currentRecord(groupId: string, member: ConsumerMember): ConsumerRecord {
  const value = {
    memberEpoch: member.memberEpoch,
    previousMemberEpoch: member.previousMemberEpoch,
    state: STATE_NUMBERS[member.state],
    assignedPartitions: toTopicPartitions(member.assigned),
    partitionsPendingRevocation: toTopicPartitions(member.pendingRevocation),
  }
  return { type: 'consumer-current', groupId, name: member.memberId, value }
}

export interface ResolvedRegex {
  readonly topics: ReadonlySet<string>
  /** Of the metadata that it was resolved with: it only grows. */
  readonly version: number
  /** Wall time. */
  readonly timestampMs: number
}

export function regexRecord(groupId: string, regex: string, resolved: ResolvedRegex): ConsumerRecord {
  const { topics, version, timestampMs: timestamp } = resolved
  return {
    type: 'consumer-regex',
    groupId,
    name: regex,
    value: { topics: [...topics].sort(), version, timestamp },
  }
}

export function tombstone(type: ConsumerRecordType, groupId: string, name = ''): ConsumerRecord {
  return { type, groupId, name, value: null }
}

export function removedMember(groupId: string, memberId: string): ConsumerRecord[] {
  return (['consumer-current', 'consumer-target', 'consumer-member'] as const).map((type) =>
    tombstone(type, groupId, memberId),
  )
}
