import { beforeEach, describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { findCoordinatorApi } from '../../../src/protocol/messages/10-find-coordinator.ts'
import { writeTxnMarkersApi } from '../../../src/protocol/messages/27-write-txn-markers.ts'
import { describeProducersApi } from '../../../src/protocol/messages/61-describe-producers.ts'
import { TxnMarkers } from '../../../src/broker/txn-markers.ts'
import { alterTopic, batchOf, createTopic, fetch, produce } from '../requests.ts'
import { useBroker } from '../use-broker.ts'

const broker = useBroker()
let topic = ''
let topics = 0

beforeEach(async () => {
  topic = `topic-${topics++}`
  await createTopic(broker.client, topic, {}, 3)
})

const partition = (index = 0) => broker.process.broker.parts.services.replicas.get(topic, index)!

function begin(producerId: number, producerEpoch = 0): void {
  const batch = batchOf(['in a transaction'], {
    producerId,
    producerEpoch,
    baseSequence: 0,
    transactional: true,
  })
  expect(partition().append(batch, 'coordinator', -1).error).toBe(0)
}

interface Options {
  readonly commit?: boolean
  readonly producerEpoch?: number
  readonly coordinatorEpoch?: number
  readonly partitions?: readonly number[]
  readonly name?: string
}

const marker = (producerId: number, options: Options = {}) => ({
  producerId,
  producerEpoch: options.producerEpoch ?? 0,
  transactionResult: options.commit ?? true,
  topics: [{ name: options.name ?? topic, partitionIndexes: [...(options.partitions ?? [0])] }],
  coordinatorEpoch: options.coordinatorEpoch ?? 0,
})

async function end(producerId: number, options: Options = {}, version = 1): Promise<number[]> {
  const reply = await broker.client.request(writeTxnMarkersApi, version, {
    markers: [marker(producerId, options)],
  })
  return reply.markers[0].topics[0].partitions.map(({ errorCode }) => errorCode)
}

describe('WriteTxnMarkers', () => {
  test.each([0, 1])(
    'version %i ends transactions, and answers for each producer and partition',
    async (version) => {
      begin(1)
      begin(2)
      const markers = [marker(1, { commit: false, partitions: [0, 2] }), marker(2)]
      const reply = await broker.client.request(writeTxnMarkersApi, version, { markers })
      const ended = (...partitions: number[]) => [
        { name: topic, partitions: partitions.map((partitionIndex) => ({ partitionIndex, errorCode: 0 })) },
      ]
      expect(reply.markers).toEqual([
        { producerId: 1, topics: ended(0, 2) },
        { producerId: 2, topics: ended(0) },
      ])
      const read = await fetch(broker.client, topic, 0, { isolationLevel: 1 })
      expect(read).toMatchObject({ highWatermark: 4, lastStableOffset: 4 })
      expect(read.abortedTransactions).toEqual([{ producerId: 1, firstOffset: 0 }])
      expect(partition(2).log.logEndOffset).toBe(1)
    },
  )

  test('names one producer once, however many markers it has', async () => {
    const markers = [marker(1), marker(1, { partitions: [1] })]
    const reply = await broker.client.request(writeTxnMarkersApi, 1, { markers })
    const partitions = [0, 1].map((partitionIndex) => ({ partitionIndex, errorCode: 0 }))
    expect(reply.markers).toEqual([{ producerId: 1, topics: [{ name: topic, partitions }] }])
  })

  test('without markers is answered without any', async () => {
    expect((await broker.client.request(writeTxnMarkersApi, 1, { markers: [] })).markers).toEqual([])
  })

  test('of an epoch that is over, of the producer or of the coordinator, is refused', async () => {
    begin(1, 3)
    expect(await end(1, { producerEpoch: 2 })).toEqual([ErrorCode.INVALID_PRODUCER_EPOCH])
    expect(await end(1, { producerEpoch: 3, coordinatorEpoch: 5 })).toEqual([0])
    expect(await end(1, { producerEpoch: 3, coordinatorEpoch: 4 })).toEqual([
      ErrorCode.TRANSACTION_COORDINATOR_FENCED,
    ])
  })

  test('for a partition that is not here is answered UNKNOWN_TOPIC_OR_PARTITION, the others are written', async () => {
    expect(await end(1, { partitions: [0, 9] })).toEqual([0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION])
    expect(await end(1, { name: 'nowhere' })).toEqual([ErrorCode.UNKNOWN_TOPIC_OR_PARTITION])
  })

  test('answers with no code that a coordinator of Kafka does not expect', async () => {
    begin(1)
    await alterTopic(broker.client, topic, 'segment.bytes', '20')
    expect(await end(1)).toEqual([ErrorCode.KAFKA_STORAGE_ERROR])
    await alterTopic(broker.client, topic, 'segment.bytes', null)
    expect(await end(1)).toEqual([0])
  })

  test('for a follower is answered NOT_LEADER_OR_FOLLOWER', async () => {
    const here = partition()
    const { topicId, leaderEpoch, partitionEpoch } = here
    const epochs = { leaderEpoch: leaderEpoch + 1, partitionEpoch: partitionEpoch + 1 }
    const state = { topic, topicId, partition: 0, isr: [9], replicas: [0, 9], isNew: false, ...epochs }
    here.makeFollower({ ...state, leader: 9 })
    expect(await end(1)).toEqual([ErrorCode.NOT_LEADER_OR_FOLLOWER])
  })

  test('for __consumer_offsets goes through the groups', async () => {
    await broker.client.request(findCoordinatorApi, 3, { key: 'readers', keyType: 0 })
    const asked: unknown[] = []
    const { clock, timers } = broker.process.broker.parts.services.env
    const { replicas } = broker.process.broker.parts.services
    const groups = {
      endTransaction: (index: number, ending: unknown, timeoutMs: number) => {
        asked.push({ index, ending, timeoutMs })
        return 0
      },
    }
    const markers = new TxnMarkers({ clock, timers, replicas, groups, timeoutMs: () => 77 })
    await markers.write([marker(1, { name: '__consumer_offsets', partitions: [4], commit: false })])
    const ending = { producerId: 1, producerEpoch: 0, coordinatorEpoch: 0, isAbort: true }
    expect(asked).toEqual([{ index: 4, ending, timeoutMs: 77 }])
    expect(await end(1, { name: '__consumer_offsets', partitions: [4] })).toEqual([0])
  })
})

describe('DescribeProducers', () => {
  async function describeProducers(name: string, partitionIndexes: number[]) {
    const reply = await broker.client.request(describeProducersApi, 0, {
      topics: [{ name, partitionIndexes }],
    })
    return reply.topics[0].partitions
  }

  test('tells epoch, sequence, coordinator and open transaction of each', async () => {
    const idempotent = { producerId: 5, producerEpoch: 2, baseSequence: 7, timestampMs: 1_700_000_000_123 }
    await produce(broker.client, topic, batchOf(['a', 'b'], idempotent))
    begin(6)
    await end(7, { coordinatorEpoch: 3, partitions: [0] })
    const [described] = await describeProducers(topic, [0])
    expect(described).toMatchObject({ partitionIndex: 0, errorCode: 0, errorMessage: null })
    const none = { lastSequence: -1, coordinatorEpoch: -1, currentTxnStartOffset: -1 }
    expect(described.activeProducers).toMatchObject([
      { ...none, producerId: 5, producerEpoch: 2, lastSequence: 8, lastTimestamp: 1_700_000_000_124 },
      { ...none, producerId: 6, producerEpoch: 0, lastSequence: 0, currentTxnStartOffset: 2 },
      { ...none, producerId: 7, producerEpoch: 0, coordinatorEpoch: 3 },
    ])
  })

  test('of partitions and topics that are not there', async () => {
    const errors = async (name: string, index: number) =>
      (await describeProducers(name, [index])).map(({ errorCode }) => errorCode)
    expect(await errors(topic, 9)).toEqual([ErrorCode.UNKNOWN_TOPIC_OR_PARTITION])
    expect(await errors('nowhere', 0)).toEqual([ErrorCode.UNKNOWN_TOPIC_OR_PARTITION])
    expect(await errors('not a name', 0)).toEqual([ErrorCode.INVALID_TOPIC_EXCEPTION])
  })
})
