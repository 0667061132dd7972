/** Topics, batches and records that the scenarios share. */
import * as batch from '../../../../src/protocol/record-batch.ts'
import type { BatchInput, RecordInput } from '../../../../src/protocol/record-batch.ts'
import { createTopicsApi } from '../../../../src/protocol/messages/19-create-topics.ts'
import { findCoordinatorApi } from '../../../../src/protocol/messages/10-find-coordinator.ts'
import { produceApi } from '../../../../src/protocol/messages/00-produce.ts'
import { step } from '../scenario.ts'
import type { Replies, Step } from '../scenario.ts'

/** An hour before the run: old enough to be told from the brokers' clocks, too young to expire. */
export const recentMs = Date.now() - 3_600_000

export interface TopicShape {
  readonly partitions?: number
  readonly configs?: Readonly<Record<string, string>>
}

export function createTopic(name: string, { partitions = 1, configs = {} }: TopicShape = {}): Step {
  const entries = Object.entries(configs).map(([key, value]) => ({ name: key, value }))
  return step(`create ${name}`, createTopicsApi, 7, {
    topics: [{ name, numPartitions: partitions, replicationFactor: 1, assignments: [], configs: entries }],
    timeoutMs: 30_000,
  })
}

/** The id that the step above was answered with. */
export function topicId(replies: Replies, name: string): string {
  return replies.get(`create ${name}`).topics[0].topicId
}

export const UNKNOWN_ID = 'ERERERERERERERERERERER'

export interface BatchShape extends Omit<BatchInput, 'records'> {
  readonly timestampMs?: number
  readonly keyed?: boolean
}

/** One batch of these values, a millisecond between them. */
export function batchOf(values: readonly string[], shape: BatchShape = {}): Buffer {
  const { timestampMs = recentMs, keyed = true, ...input } = shape
  const records = values.map((value, index): RecordInput => ({
    timestampMs: timestampMs + index,
    key: keyed ? Buffer.from(`key-${index}`) : null,
    value: Buffer.from(value),
    headers: index === 1 ? [{ key: 'h', value: Buffer.from('x') }] : [],
  }))
  return batch.buildBatch({ records, ...input })
}

const CRC_AT = 17

/** Changes a batch's bytes and makes its CRC fit again. */
export function tampered(original: Buffer, change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(original)
  change(bytes)
  bytes.writeUInt32BE(batch.computeCrc(bytes, 0) >>> 0, CRC_AT)
  return bytes
}

export function produceBody(
  topic: string,
  records: Buffer | null,
  { acks = -1, partition = 0 }: { acks?: number; partition?: number } = {},
) {
  return {
    acks,
    timeoutMs: 10_000,
    topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
  }
}

/** Produces at one version, for scenarios about something else. */
export function produce(label: string, topic: string, records: Buffer, partition = 0): Step {
  return step(label, produceApi, 9, produceBody(topic, records, { partition }))
}

/** Groups are served once the coordinator has its topic: Kafka makes it on the first demand. */
export function untilCoordinator(group: string): Step {
  const isThere = ({ errorCode }: { errorCode: number }): boolean => errorCode === 0
  return step(`coordinator of ${group}`, findCoordinatorApi, 2, { key: group }, { until: isThere })
}

/** A consumer's subscription as its protocol writes it: version, topics, user data, owned partitions. */
export function subscription(...topics: string[]): Buffer {
  const parts = [Buffer.from([0, 1]), int32(topics.length)]
  for (const topic of topics) parts.push(int16(topic.length), Buffer.from(topic))
  return Buffer.concat([...parts, int32(-1), int32(0)])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
