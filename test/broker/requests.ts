/** Requests that most tests of the broker make, with the fields that a test does not care about filled in. */
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { produceApi } from '../../src/protocol/messages/00-produce.ts'
import { fetchApi } from '../../src/protocol/messages/01-fetch.ts'
import { listOffsetsApi } from '../../src/protocol/messages/02-list-offsets.ts'
import { metadataApi } from '../../src/protocol/messages/03-metadata.ts'
import { offsetCommitApi } from '../../src/protocol/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../src/protocol/messages/09-offset-fetch.ts'
import { findCoordinatorApi } from '../../src/protocol/messages/10-find-coordinator.ts'
import { createTopicsApi } from '../../src/protocol/messages/19-create-topics.ts'
import { incrementalAlterConfigsApi } from '../../src/protocol/messages/44-incremental-alter-configs.ts'
import {
  buildBatch,
  decodeRecords,
  batchSize,
  lastOffset,
  type BatchInput,
} from '../../src/protocol/record-batch.ts'
import { ZERO_UUID } from '../../src/protocol/schema.ts'
import type { Answer, WireClient } from './wire-client.ts'

/** 2023-11-14T22:13:20Z; records count milliseconds from it. */
export const EPOCH_MS = 1_700_000_000_000

type BatchOptions = Omit<BatchInput, 'records'> & { readonly timestampMs?: number }

/** One batch of records with these values, keys k0, k1, ..., one a millisecond. */
export function batchOf(values: readonly string[], options: BatchOptions = {}): Buffer {
  const { timestampMs = EPOCH_MS, ...rest } = options
  const records = values.map((value, index) => ({
    timestampMs: timestampMs + index,
    key: Buffer.from(`k${index}`),
    value: Buffer.from(value),
  }))
  return buildBatch({ records, ...rest })
}

type ProduceReply = Answer<typeof produceApi>['responses'][number]['partitionResponses'][number]
type FetchAnswer = Answer<typeof fetchApi>
type FetchReply = FetchAnswer['responses'][number]['partitions'][number]
type TopicReply = Answer<typeof metadataApi>['topics'][number]

interface ProduceOptions {
  readonly partition?: number
  readonly acks?: number
  readonly version?: number
  readonly transactionalId?: string | null
  readonly clientId?: string
}

/** Produces one batch to one partition. */
export async function produce(
  client: WireClient,
  topic: string,
  records: Buffer | null,
  options: ProduceOptions = {},
): Promise<ProduceReply> {
  const { partition = 0, acks = -1, version = 11, transactionalId = null, clientId } = options
  const topicData = [{ name: topic, partitionData: [{ index: partition, records }] }]
  const request = { transactionalId, acks, timeoutMs: 5000, topicData }
  const reply = await client.request(produceApi, version, request, clientId)
  return reply.responses[0].partitionResponses[0]
}

export interface FetchOptions {
  readonly version?: number
  readonly maxWaitMs?: number
  readonly minBytes?: number
  readonly maxBytes?: number
  readonly isolationLevel?: number
  readonly sessionId?: number
  readonly sessionEpoch?: number
  readonly forgottenTopicsData?: readonly { topic?: string; topicId?: string; partitions: number[] }[]
}

export interface Wanted {
  /** Up to version 12. */
  readonly topic?: string
  /** From version 13. */
  readonly topicId?: string
  readonly partition?: number
  readonly offset?: number
  readonly maxBytes?: number
  readonly currentLeaderEpoch?: number
  readonly lastFetchedEpoch?: number
}

/** Fetches from any number of partitions; does not wait unless asked to. */
export function fetchAll(
  client: WireClient,
  wanted: readonly Wanted[],
  options: FetchOptions = {},
): Promise<FetchAnswer> {
  const { version = 12, ...rest } = options
  const topics = wanted.map(
    ({ topic, topicId, partition = 0, offset = 0, maxBytes = 1 << 20, ...epochs }) => ({
      topic,
      topicId,
      partitions: [{ partition, fetchOffset: offset, partitionMaxBytes: maxBytes, ...epochs }],
    }),
  )
  const request = { maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 20, topics, forgottenTopicsData: [], ...rest }
  return client.request(fetchApi, version, request)
}

/** Fetches one partition. */
export async function fetch(
  client: WireClient,
  topic: string,
  offset = 0,
  options: FetchOptions & Omit<Wanted, 'topic' | 'offset'> = {},
): Promise<FetchReply> {
  const { partition, maxBytes, currentLeaderEpoch, lastFetchedEpoch, ...rest } = options
  const wanted = { topic, partition, offset, maxBytes, currentLeaderEpoch, lastFetchedEpoch }
  return (await fetchAll(client, [wanted], rest)).responses[0].partitions[0]
}

/** The values in fetched batches. */
export function valuesIn(records: Buffer | null): string[] {
  const bytes = records ?? Buffer.alloc(0)
  const values: string[] = []
  for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) {
    for (const { value } of decodeRecords(bytes, at)) values.push(String(value))
  }
  return values
}

/** Every value of a partition, from its start; a reply does not reach beyond a segment. */
export async function allValues(client: WireClient, topic: string, partition = 0): Promise<string[]> {
  const end = await offsetAt(client, topic, -1, partition)
  let offset = await offsetAt(client, topic, -2, partition)
  const values: string[] = []
  while (offset < end) {
    const { errorCode, records } = await fetch(client, topic, offset, { partition })
    if (errorCode !== 0) throw new Error(`Fetch: error ${errorCode}`)
    values.push(...valuesIn(records))
    for (let at = 0; at < records!.length; at += batchSize(records!, at))
      offset = lastOffset(records!, at) + 1
  }
  return values
}

export async function offsetAt(
  client: WireClient,
  topic: string,
  timestamp: number,
  partition = 0,
): Promise<number> {
  const topics = [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }]
  const reply = await client.request(listOffsetsApi, 7, { replicaId: -1, topics })
  return reply.topics[0].partitions[0].offset
}

/** Gives the error code. */
export async function createTopic(
  client: WireClient,
  name: string,
  configs: Readonly<Record<string, string>> = {},
  numPartitions = 1,
): Promise<number> {
  const topic = {
    name,
    numPartitions,
    replicationFactor: 1,
    assignments: [],
    configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
  }
  return (await client.request(createTopicsApi, 7, { topics: [topic] })).topics[0].errorCode
}

export async function describeTopic(client: WireClient, name: string): Promise<TopicReply> {
  const topics = [{ name, topicId: ZERO_UUID }]
  const reply = await client.request(metadataApi, 12, { topics, allowAutoTopicCreation: false })
  return reply.topics[0]
}

const SET = 0
const DELETE = 1

/** Sets one topic setting, or with null takes it away. Gives the error code. */
export async function alterTopic(
  client: WireClient,
  topic: string,
  name: string,
  value: string | null,
): Promise<number> {
  const configs = [{ name, configOperation: value === null ? DELETE : SET, value }]
  const resources = [{ resourceType: 2, resourceName: topic, configs }]
  const reply = await client.request(incrementalAlterConfigsApi, 1, { resources, validateOnly: false })
  return reply.responses[0].errorCode
}

/** Commits an offset of partition 0 for a group without members. Gives the error code. */
export async function commitOffset(
  client: WireClient,
  groupId: string,
  topic: string,
  committedOffset: number,
): Promise<number> {
  await client.request(findCoordinatorApi, 3, { key: groupId, keyType: 0 })
  const partitions = [{ partitionIndex: 0, committedOffset, committedMetadata: 'noted' }]
  const request = { groupId, memberId: '', topics: [{ name: topic, partitions }] }
  const reply = await client.request(offsetCommitApi, 8, request)
  return reply.topics[0].partitions[0].errorCode
}

/** The committed offset of partition 0; -1 when there is none. Asks again while the coordinator loads, as clients do. */
export async function committedOffset(client: WireClient, groupId: string, topic: string): Promise<number> {
  const topics = [{ name: topic, partitionIndexes: [0] }]
  const reply = await client.request(offsetFetchApi, 8, { groups: [{ groupId, topics }] })
  const [{ errorCode, topics: found }] = reply.groups
  if (errorCode === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS) return committedOffset(client, groupId, topic)
  if (errorCode !== 0) throw new Error(`OffsetFetch: error ${errorCode}`)
  return found[0].partitions[0].committedOffset
}
