/** The records of the internal topics, for people: what the coordinators' own decoders say, with Kafka's field names. */
import { isConsumerRecord } from '../../coordinator/groups/consumer/records.ts'
import type { ConsumerRecord, ConsumerRecordType } from '../../coordinator/groups/consumer/records.ts'
import { decodeRecord as decodeGroupRecord } from '../../coordinator/groups/records.ts'
import type { GroupMetadataValue } from '../../coordinator/groups/records.ts'
import {
  decodeRecord as decodeTransactionRecord,
  transactionStates,
} from '../../coordinator/transactions/records.ts'
import { versioned } from '../../protocol/compile.ts'
import { MalformedMessageError } from '../../protocol/reader.ts'
import { array, bytes, int32, schema, string } from '../../protocol/schema.ts'
import type { RecordDecoder } from './dump-records.ts'

const partitions = { topic: string, partitions: array(int32) }

/** What members of groups of the type "consumer" send, as bytes, when they join. */
const subscription = versioned(
  schema({
    name: 'ConsumerProtocolSubscription',
    versions: [0, 3],
    flexibleFrom: null,
    fields: {
      topics: array(string),
      userData: bytes.nullable().default(null),
      ownedPartitions: array(partitions).from(1),
      generationId: int32.from(2).default(-1),
      rackId: string.nullable().from(3).default(null),
    },
  }),
)

const assignment = versioned(
  schema({
    name: 'ConsumerProtocolAssignment',
    versions: [0, 3],
    flexibleFrom: null,
    fields: { assignedPartitions: array(partitions), userData: bytes.nullable().default(null) },
  }),
)

export const decodeOffsetsRecord: RecordDecoder = (key, value) => {
  if (key === null) throw new MalformedMessageError('a record of __consumer_offsets has no key')
  const record = decodeGroupRecord(key, value)
  if (record === null) return null
  const version = key.readInt16BE(0)
  const valueVersion = value === null ? {} : { version: value.readInt16BE(0) }
  if (record.type === 'offset') {
    const { groupId: group, topic, partition } = record
    return {
      key: { type: 'OffsetCommit', version, group, topic, partition },
      value: record.value && { ...valueVersion, ...record.value },
    }
  }
  if (isConsumerRecord(record)) {
    return {
      key: { ...consumerKey(record), version },
      value: record.value && { ...valueVersion, ...record.value },
    }
  }
  return {
    key: { type: 'GroupMetadata', version, group: record.groupId },
    value: record.value && { ...valueVersion, ...withMembersRead(record.value) },
  }
}

const CONSUMER_TYPES: Readonly<Record<ConsumerRecordType, string>> = {
  'consumer-group': 'ConsumerGroupMetadata',
  'consumer-partition-metadata': 'ConsumerGroupPartitionMetadata',
  'consumer-member': 'ConsumerGroupMemberMetadata',
  'consumer-target-epoch': 'ConsumerGroupTargetAssignmentMetadata',
  'consumer-target': 'ConsumerGroupTargetAssignmentMember',
  'consumer-current': 'ConsumerGroupCurrentMemberAssignment',
  'consumer-regex': 'ConsumerGroupRegularExpression',
}

function consumerKey({ type, groupId, name }: ConsumerRecord): object {
  const about = { type: CONSUMER_TYPES[type], groupId }
  if (type === 'consumer-regex') return { ...about, regularExpression: name }
  return name === '' ? about : { ...about, memberId: name }
}

function withMembersRead(group: GroupMetadataValue): object {
  if (group.protocolType !== 'consumer') return group
  const members = group.members.map((member) => ({
    ...member,
    subscription: readOrKeep(subscription, member.subscription),
    assignment: readOrKeep(assignment, member.assignment),
  }))
  return { ...group, members }
}

/** Clients may put there what they like: bytes of another form stay bytes. */
function readOrKeep(
  codec: { decode(bytes: Buffer): { version: number; value: object } },
  stored: Buffer,
): object {
  try {
    return codec.decode(stored).value
  } catch (error) {
    if (error instanceof MalformedMessageError) return stored
    throw error
  }
}

export const decodeTransactionsRecord: RecordDecoder = (key, value) => {
  if (key === null) throw new MalformedMessageError('a record of __transaction_state has no key')
  const record = decodeTransactionRecord(key, value)
  if (record === null) return null
  const { transactionalId } = record
  const state = record.value && (transactionStates[record.value.transactionStatus] ?? 'unknown')
  return {
    key: { type: 'TransactionLog', version: 0, transactionalId },
    value: record.value && { version: value!.readInt16BE(0), state, ...record.value },
  }
}

const DECODERS = {
  offsets: decodeOffsetsRecord,
  transactions: decodeTransactionsRecord,
}

/** By what was asked for, else by the topic whose directory the file lies in. */
export function decoderFor(asked: keyof typeof DECODERS | null, topic: string | null): RecordDecoder | null {
  if (asked !== null) return DECODERS[asked]
  if (topic === '__consumer_offsets') return DECODERS.offsets
  return topic === '__transaction_state' ? DECODERS.transactions : null
}
