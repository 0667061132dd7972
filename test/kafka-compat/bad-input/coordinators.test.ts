/** Requests to the coordinators far beyond what any client sends, and some that are none: answered, or the connection closed, in bounded memory. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WireClient } from '../../broker/wire-client.ts'
import { offsetCommitApi } from '../../../src/protocol/messages/08-offset-commit.ts'
import { findCoordinatorApi } from '../../../src/protocol/messages/10-find-coordinator.ts'
import { createTopicsApi } from '../../../src/protocol/messages/19-create-topics.ts'
import { initProducerIdApi } from '../../../src/protocol/messages/22-init-producer-id.ts'
import { addPartitionsToTxnApi } from '../../../src/protocol/messages/24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from '../../../src/protocol/messages/25-add-offsets-to-txn.ts'
import { endTxnApi } from '../../../src/protocol/messages/26-end-txn.ts'
import { writeTxnMarkersApi } from '../../../src/protocol/messages/27-write-txn-markers.ts'
import { txnOffsetCommitApi } from '../../../src/protocol/messages/28-txn-offset-commit.ts'
import { describeProducersApi } from '../../../src/protocol/messages/61-describe-producers.ts'
import { describeTransactionsApi } from '../../../src/protocol/messages/65-describe-transactions.ts'
import { listTransactionsApi } from '../../../src/protocol/messages/66-list-transactions.ts'
import { consumerGroupHeartbeatApi } from '../../../src/protocol/messages/68-consumer-group-heartbeat.ts'
import { consumerGroupDescribeApi } from '../../../src/protocol/messages/69-consumer-group-describe.ts'
import { errorName } from '../../../src/protocol/error-codes.ts'
import type { AnyApi, Encodable } from '../../../src/protocol/schema.ts'
import { brokerKind, startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'

/** Groups and transactional ids that come into being: of each kind as many; a longer form by the environment. */
const LIVES = Number(process.env.ODRADEK_COMPAT_LIVES ?? 1_000)
const BYTES_A_LIFE = 20_000
const TOPIC = 'sound'
const ID = 'steady'
/** Offsets of all of its partitions, with long metadata, are more than a batch may have. */
const WIDE = 'wide'
const WIDTH = 300

const apis: readonly AnyApi[] = [
  addPartitionsToTxnApi,
  addOffsetsToTxnApi,
  endTxnApi,
  writeTxnMarkersApi,
  txnOffsetCommitApi,
  describeProducersApi,
  describeTransactionsApi,
  listTransactionsApi,
  consumerGroupHeartbeatApi,
  consumerGroupDescribeApi,
]

let broker: TestBroker
let client: WireClient
let topicId: string
let producer: { producerId: number; producerEpoch: number }

beforeAll(async () => {
  broker = await startBroker({ config: { 'auto.create.topics.enable': 'false' } })
  client = await WireClient.connect(broker.port)
  const topics = [
    { name: TOPIC, numPartitions: 4 },
    { name: WIDE, numPartitions: WIDTH },
  ].map((topic) => ({ ...topic, replicationFactor: 1, assignments: [], configs: [] }))
  const made = await client.request(createTopicsApi, 7, { topics, timeoutMs: 30_000 })
  topicId = made.topics.find(({ name }) => name === TOPIC)!.topicId
  for (const keyType of [0, 1]) {
    await eventually('the coordinators are there', async () => {
      return (await client.request(findCoordinatorApi, 3, { key: ID, keyType })).errorCode === 0
    })
  }
  producer = await eventually('the transactional id has a producer', async () => {
    const body = { transactionalId: ID, transactionTimeoutMs: 60_000 }
    const { errorCode, producerId, producerEpoch } = await client.request(initProducerIdApi, 4, body)
    return errorCode === 0 ? { producerId, producerEpoch } : null
  })
})
afterAll(async () => {
  client?.close()
  await broker?.stop()
})

/** The broker is the same process, and both coordinators serve others. */
async function stillServes(): Promise<void> {
  process.kill(broker.pid, 0)
  const other = await WireClient.connect(broker.port)
  const body = { groupId: 'ordinary', memberId: '', topics: [{ name: TOPIC, partitions: [noted(0)] }] }
  const committed = await other.request(offsetCommitApi, 8, body)
  expect(committed.topics[0].partitions[0].errorCode).toBe(0)
  const known = await other.request(describeTransactionsApi, 0, { transactionalIds: [ID] })
  expect(known.transactionStates[0].errorCode).toBe(0)
  other.close()
}

const noted = (partitionIndex: number) => ({ partitionIndex, committedOffset: 1, committedMetadata: '' })
const many = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i))
const numbers = (count: number): number[] => many(count, (i) => i)

type Body<A extends AnyApi> = Encodable<A['request']['fields']>

/** Of the answer the error codes that it has, by name. */
async function codesOf<A extends AnyApi>(api: A, version: number, body: Body<A>): Promise<string[]> {
  const seen = new Set<string>()
  collect(await client.request(api, version, body), seen)
  await stillServes()
  return [...seen].sort()
}

function collect(value: unknown, into: Set<string>): void {
  if (value === null || typeof value !== 'object') return
  for (const [name, part] of Object.entries(value)) {
    if (/errorcode/i.test(name)) into.add(errorName(part as number))
    else if (typeof part === 'object') collect(part, into)
  }
}

describe.skipIf(brokerKind === 'kafka')('tens of thousands of what a request may name', () => {
  const some = [{ name: TOPIC, partitions: [0] }]
  const adding = () => ({
    v3AndBelowTransactionalId: ID,
    v3AndBelowProducerId: producer.producerId,
    v3AndBelowProducerEpoch: producer.producerEpoch,
  })

  test('partitions in AddPartitionsToTxn: in one topic, and in one that is named each time', async () => {
    const refused = ['NONE', 'OPERATION_NOT_ATTEMPTED', 'UNKNOWN_TOPIC_OR_PARTITION']
    const topics = [{ name: TOPIC, partitions: numbers(200_000) }]
    expect(await codesOf(addPartitionsToTxnApi, 3, { ...adding(), v3AndBelowTopics: topics })).toEqual(
      refused,
    )
    const v3AndBelowTopics = many(50_000, (i) => ({ name: TOPIC, partitions: [i] }))
    expect(await codesOf(addPartitionsToTxnApi, 3, { ...adding(), v3AndBelowTopics })).toEqual(refused)
  })

  test('transactions in AddPartitionsToTxn, as of a broker', async () => {
    const transactions = many(20_000, (i) => {
      return { transactionalId: `t${i}`, producerId: 1, producerEpoch: 0, verifyOnly: true, topics: some }
    })
    const codes = await codesOf(addPartitionsToTxnApi, 4, { transactions })
    expect(codes).toEqual(['INVALID_PRODUCER_ID_MAPPING', 'NONE'])
  })

  test('markers, and partitions of one', async () => {
    const marker = { producerId: 1, producerEpoch: 0, transactionResult: true, coordinatorEpoch: 0 }
    const unknown = ['UNKNOWN_TOPIC_OR_PARTITION']
    const nowhere = [{ name: 'nowhere', partitionIndexes: [0] }]
    const markers = many(20_000, (producerId) => ({ ...marker, producerId, topics: nowhere }))
    expect(await codesOf(writeTxnMarkersApi, 1, { markers })).toEqual(unknown)
    const topics = [{ name: 'nowhere', partitionIndexes: numbers(200_000) }]
    expect(await codesOf(writeTxnMarkersApi, 1, { markers: [{ ...marker, topics }] })).toEqual(unknown)
  })

  test('offsets in a transaction, and more of their metadata than a batch may have', async () => {
    const of = { transactionalId: ID, groupId: 'g', ...producer }
    expect(await codesOf(addOffsetsToTxnApi, 3, of)).toEqual(['NONE'])
    const commit = (topics: Body<typeof txnOffsetCommitApi>['topics']) =>
      codesOf(txnOffsetCommitApi, 3, { ...of, topics })
    expect(await commit([{ name: TOPIC, partitions: numbers(50_000).map(noted) }])).toContain(
      'UNKNOWN_TOPIC_OR_PARTITION',
    )
    const long = many(WIDTH, (i) => ({ ...noted(i), committedMetadata: 'x'.repeat(4_000) }))
    expect(await commit([{ name: WIDE, partitions: long }])).toEqual(['INVALID_COMMIT_OFFSET_SIZE'])
    expect(await commit(many(50_000, () => ({ name: TOPIC, partitions: [noted(0)] })))).toHaveLength(1)
    expect(await codesOf(endTxnApi, 3, { ...of, committed: false })).toEqual(['NONE'])
  })

  test('what is asked about', async () => {
    const topics = [{ name: TOPIC, partitionIndexes: numbers(200_000) }]
    expect(await codesOf(describeProducersApi, 0, { topics })).toEqual(['NONE', 'UNKNOWN_TOPIC_OR_PARTITION'])
    const transactionalIds = many(30_000, String)
    expect(await codesOf(describeTransactionsApi, 0, { transactionalIds })).toEqual([
      'TRANSACTIONAL_ID_NOT_FOUND',
    ])
    const filters = { stateFilters: many(30_000, String), producerIdFilters: numbers(200_000) }
    expect(await codesOf(listTransactionsApi, 1, filters)).toEqual(['NONE'])
    const asked = { groupIds: many(30_000, String), includeAuthorizedOperations: true }
    expect(await codesOf(consumerGroupDescribeApi, 0, asked)).toEqual(['GROUP_ID_NOT_FOUND'])
  })

  test('topics and partitions in heartbeats', async () => {
    const beat = (groupId: string, more: Partial<Body<typeof consumerGroupHeartbeatApi>>) => {
      const joins = { memberId: 'm', memberEpoch: 0, rebalanceTimeoutMs: 10_000, topicPartitions: [] }
      return codesOf(consumerGroupHeartbeatApi, 1, { groupId, ...joins, ...more })
    }
    const unlike = (count: number) => ({ subscribedTopicNames: many(count, (i) => `no topic ${i}`) })
    expect(await beat('g1', unlike(30_000))).toEqual(['NONE'])
    // More than a batch may have.
    expect(await beat('g2', unlike(100_000))).toEqual(['UNKNOWN_SERVER_ERROR'])
    expect(await beat('g3', { subscribedTopicNames: many(50_000, () => TOPIC) })).toEqual(['NONE'])
    const each = many(50_000, (i) => ({ topicId, partitions: [i] }))
    expect(await beat('g3', { memberEpoch: 1, topicPartitions: each })).toEqual(['NONE'])
    const whole = [{ topicId, partitions: numbers(200_000) }]
    expect(await beat('g3', { memberEpoch: 1, topicPartitions: whole })).toEqual(['NONE'])
    expect(await beat('g4', { subscribedTopicRegex: '(?:(?:a?b?c?d?e?f?g?h?){100}){10}' })).toEqual([
      'INVALID_REGULAR_EXPRESSION',
    ])
  })

  test('one large group, again and again', async () => {
    const subscribedTopicNames = many(5_000, (i) => `no topic ${i}`)
    const joins = { memberId: 'm', memberEpoch: 0, rebalanceTimeoutMs: 10_000, topicPartitions: [] }
    const body = { groupId: 'large', ...joins, subscribedTopicNames }
    expect(await codesOf(consumerGroupHeartbeatApi, 1, body)).toEqual(['NONE'])
    const groupIds = many(100_000, () => 'large')
    const before = broker.residentBytes()
    expect(
      await codesOf(consumerGroupDescribeApi, 0, { groupIds, includeAuthorizedOperations: false }),
    ).toEqual(['NONE'])
    expect(broker.residentBytes() - before).toBeLessThan(500e6)
  })

  test('groups and transactional ids that come into being', async () => {
    const before = broker.residentBytes()
    const members = { memberId: '', topics: [{ name: TOPIC, partitions: [noted(0)] }] }
    const joins = { memberId: 'm', memberEpoch: 0, rebalanceTimeoutMs: 10_000, topicPartitions: [] }
    for (let from = 0; from < LIVES; from += 500) {
      const names = many(500, (i) => `${from + i}`)
      const inits = names.map((transactionalId) =>
        client.request(initProducerIdApi, 4, { transactionalId, transactionTimeoutMs: 60_000 }),
      )
      const commits = names.map((name) =>
        client.request(offsetCommitApi, 8, { groupId: `classic ${name}`, ...members }),
      )
      const beats = names.map((name) => {
        const body = { groupId: `consumer ${name}`, ...joins, subscribedTopicNames: [TOPIC] }
        return client.request(consumerGroupHeartbeatApi, 1, body)
      })
      const seen = new Set<string>()
      for (const reply of await Promise.all([...inits, ...commits, ...beats])) collect(reply, seen)
      expect([...seen]).toEqual(['NONE'])
    }
    await stillServes()
    expect(broker.residentBytes() - before).toBeLessThan(100e6 + LIVES * BYTES_A_LIFE)
  })
})

describe('bytes that are no request of the coordinators', () => {
  async function isClosed(bytes: Buffer): Promise<void> {
    const attacker = await WireClient.connect(broker.port)
    attacker.send(bytes)
    await attacker.closed
    await stillServes()
  }

  const framed = (header: Buffer, ...rest: Buffer[]): Buffer => {
    const length = Buffer.alloc(4)
    length.writeInt32BE([header, ...rest].reduce((sum, { length: more }) => sum + more, 0))
    return Buffer.concat([length, header, ...rest])
  }
  /** Of a request without a body: the header is that of its version. */
  const headerOf = (api: AnyApi, version: number): Buffer => {
    const flexible = api.flexibleFrom !== null && version >= api.flexibleFrom
    const bytes = Buffer.alloc(flexible ? 11 : 10)
    bytes.writeInt16BE(api.key, 0)
    bytes.writeInt16BE(version, 2)
    bytes.writeInt16BE(-1, 8)
    return bytes
  }

  test.each(apis.map((api) => [api.name, api] as const))('%s', async (_name, api) => {
    const [, last] = api.versions
    await isClosed(framed(headerOf(api, last + 1)))
    await isClosed(framed(headerOf(api, last)))
    // Lengths of two thousand million, and of nothing where something must be.
    await isClosed(framed(headerOf(api, last), Buffer.from('ffffffff0f'.repeat(4), 'hex')))
    await isClosed(framed(headerOf(api, last), Buffer.alloc(3)))
  })

  test('a transactional id of a megabyte, which Kafka does not read either', async () => {
    const length = Buffer.from([0x81, 0x80, 0x40])
    await isClosed(framed(headerOf(endTxnApi, 3), length, Buffer.alloc(1 << 20, 'x'), Buffer.alloc(12)))
    const body = { transactionalId: 'x'.repeat(0x7fff), committed: true, producerId: 1, producerEpoch: 0 }
    expect(await codesOf(endTxnApi, 3, body)).toEqual(['INVALID_PRODUCER_ID_MAPPING'])
  })
})
