import { expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { listOffsetsApi } from '../../../src/protocol/messages/02-list-offsets.ts'
import { deleteRecordsApi } from '../../../src/protocol/messages/21-delete-records.ts'
import { buildBatch } from '../../../src/protocol/record-batch.ts'
import { useBroker } from '../use-broker.ts'
import { batchOf, createTopic, EPOCH_MS, produce } from '../requests.ts'

const broker = useBroker()

interface Asked {
  readonly timestamp: number
  readonly partition?: number
  readonly version?: number
  readonly currentLeaderEpoch?: number
  readonly isolationLevel?: number
}

async function ask(topic: string, asked: Asked) {
  const { timestamp, partition = 0, version = 9, currentLeaderEpoch, isolationLevel } = asked
  const partitions = [{ partitionIndex: partition, timestamp, currentLeaderEpoch }]
  const request = { replicaId: -1, isolationLevel, topics: [{ name: topic, partitions }] }
  return (await broker.client.request(listOffsetsApi, version, request)).topics[0].partitions[0]
}

const LATEST = -1
const EARLIEST = -2
const MAX_TIMESTAMP = -3
const EARLIEST_LOCAL = -4
const LATEST_TIERED = -5

test('an empty partition begins and ends at 0, and no time is found in it', async () => {
  await createTopic(broker.client, 'empty')
  const offsets = [LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED, 0].map((timestamp) =>
    ask('empty', { timestamp }),
  )
  expect((await Promise.all(offsets)).map(({ offset }) => offset)).toEqual([0, 0, -1, 0, -1, -1])
})

test('times are found record by record, also inside of compressed batches', async () => {
  await createTopic(broker.client, 'times')
  await produce(broker.client, 'times', batchOf(['a', 'b', 'c'], { codec: 1 }))
  const late = { timestampMs: EPOCH_MS + 1000, key: null, value: Buffer.from('late') }
  const early = { timestampMs: EPOCH_MS + 500, key: null, value: Buffer.from('early') }
  await produce(broker.client, 'times', buildBatch({ records: [late, early] }))
  const found = async (timestamp: number) => {
    const reply = await ask('times', { timestamp })
    return [reply.offset, reply.timestamp < 0 ? -1 : reply.timestamp - EPOCH_MS]
  }
  expect(await found(0)).toEqual([0, 0])
  expect(await found(EPOCH_MS + 1)).toEqual([1, 1])
  expect(await found(EPOCH_MS + 3)).toEqual([3, 1000])
  expect(await found(EPOCH_MS + 1000)).toEqual([3, 1000])
  expect(await found(EPOCH_MS + 1001)).toEqual([-1, -1])
  expect(await found(MAX_TIMESTAMP)).toEqual([3, 1000])
  expect((await ask('times', { timestamp: LATEST })).offset).toBe(5)
  expect((await ask('times', { timestamp: LATEST, isolationLevel: 1 })).offset).toBe(5)
})

test('the earliest offset is the log start; a time below it finds what is left', async () => {
  await createTopic(broker.client, 'cut')
  await produce(broker.client, 'cut', batchOf(['a', 'b', 'c']))
  const partitions = [{ partitionIndex: 0, offset: 2 }]
  await broker.client.request(deleteRecordsApi, 2, { topics: [{ name: 'cut', partitions }], timeoutMs: 5000 })
  expect((await ask('cut', { timestamp: EARLIEST })).offset).toBe(2)
  expect((await ask('cut', { timestamp: EARLIEST_LOCAL })).offset).toBe(2)
  expect((await ask('cut', { timestamp: 0 })).offset).toBe(2)
})

test.each([
  [MAX_TIMESTAMP, 6],
  [EARLIEST_LOCAL, 7],
  [LATEST_TIERED, 8],
  [-6, 9],
])('timestamp %i is not known to version %i', async (timestamp, version) => {
  await createTopic(broker.client, 'versions')
  expect((await ask('versions', { timestamp, version })).errorCode).toBe(ErrorCode.UNSUPPORTED_VERSION)
})

test('refusals: unknown partitions, partitions named twice, leader epochs', async () => {
  await createTopic(broker.client, 'refused')
  const code = async (topic: string, asked: Partial<Asked>) =>
    (await ask(topic, { timestamp: LATEST, ...asked })).errorCode
  expect(await code('nowhere', {})).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  expect(await code('refused', { partition: 1 })).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  expect(await code('refused', { currentLeaderEpoch: 99 })).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH)
  const twice = [0, 0].map((partitionIndex) => ({ partitionIndex, timestamp: LATEST }))
  const request = { replicaId: -1, topics: [{ name: 'refused', partitions: twice }] }
  const reply = await broker.client.request(listOffsetsApi, 5, request)
  expect(reply.topics[0].partitions.map(({ errorCode }) => errorCode)).toEqual([
    ErrorCode.INVALID_REQUEST,
    ErrorCode.INVALID_REQUEST,
  ])
})
