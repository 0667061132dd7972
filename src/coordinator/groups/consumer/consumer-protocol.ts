/**
 * What consumers of the classic protocol embed in JoinGroup and SyncGroup: their subscription and their assignment. A newer
 * version begins like the newest one known here. Source: ConsumerProtocol{Subscription,Assignment}.json (4.1).
 */
import { codec } from '../../../protocol/compile.ts'
import { MalformedMessageError, Reader } from '../../../protocol/reader.ts'
import { array, bytes, int32, schema, string } from '../../../protocol/schema.ts'
import type { Decoded, Fields, Schema } from '../../../protocol/schema.ts'
import { Writer } from '../../../protocol/writer.ts'

const NEWEST = 3
const topicPartitions = array({ topic: string, partitions: array(int32) })

const subscriptionSchema = schema({
  name: 'ConsumerProtocolSubscription',
  versions: [0, NEWEST],
  flexibleFrom: null,
  fields: {
    topics: array(string),
    userData: bytes.nullable().default(null),
    ownedPartitions: topicPartitions.from(1),
    generationId: int32.from(2).default(-1),
    rackId: string.nullable(3).from(3).default(null),
  },
})

const assignmentSchema = schema({
  name: 'ConsumerProtocolAssignment',
  versions: [0, NEWEST],
  flexibleFrom: null,
  fields: { assignedPartitions: topicPartitions, userData: bytes.nullable().default(null) },
})

export type Subscription = Decoded<typeof subscriptionSchema.fields>
export type EmbeddedAssignment = Decoded<typeof assignmentSchema.fields>

/** null when the bytes do not comply. */
export function readSubscription(metadata: Buffer): Subscription | null {
  return read(subscriptionSchema, metadata)
}

export function readAssignment(metadata: Buffer): EmbeddedAssignment | null {
  return read(assignmentSchema, metadata)
}

function read<F extends Fields>(message: Schema<F>, metadata: Buffer): Decoded<F> | null {
  try {
    const reader = new Reader(metadata)
    const version = reader.int16()
    return version < 0 ? null : codec(message, Math.min(version, NEWEST)).decode(reader)
  } catch (error) {
    if (error instanceof MalformedMessageError) return null
    throw error
  }
}

/** In the version in which the member wrote its subscription. */
export function writeAssignment(
  assignedPartitions: EmbeddedAssignment['assignedPartitions'],
  subscription: Buffer,
): Buffer {
  const version = subscription.length < 2 ? 0 : subscription.readInt16BE(0)
  const writer = new Writer()
  writer.int16(version)
  codec(assignmentSchema, Math.min(version, NEWEST)).encode(writer, { assignedPartitions, userData: null })
  return Buffer.concat(writer.finish())
}
