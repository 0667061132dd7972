/** A consumer's offsets and a producer's records in one transaction, over the wire. */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { offsetFetchApi } from '../../../src/protocol/messages/09-offset-fetch.ts'
import { findCoordinatorApi } from '../../../src/protocol/messages/10-find-coordinator.ts'
import { initProducerIdApi } from '../../../src/protocol/messages/22-init-producer-id.ts'
import { addPartitionsToTxnApi } from '../../../src/protocol/messages/24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from '../../../src/protocol/messages/25-add-offsets-to-txn.ts'
import { endTxnApi } from '../../../src/protocol/messages/26-end-txn.ts'
import { txnOffsetCommitApi } from '../../../src/protocol/messages/28-txn-offset-commit.ts'
import { eventually } from '../eventually.ts'
import { batchOf, commitOffset, createTopic, fetch, produce, valuesIn } from '../requests.ts'
import { useBroker } from '../use-broker.ts'

const broker = useBroker({
  'transaction.state.log.num.partitions': '3',
  'offsets.topic.num.partitions': '3',
})
let topic = ''
let group = ''
let transactionalId = ''
let tests = 0

interface Identity {
  readonly producerId: number
  readonly producerEpoch: number
}

beforeAll(async () => {
  await broker.client.request(findCoordinatorApi, 4, { keyType: 1, coordinatorKeys: ['any'] })
  await broker.client.request(findCoordinatorApi, 4, { keyType: 0, coordinatorKeys: ['any'] })
})
beforeEach(async () => {
  topic = `out-${tests++}`
  group = `readers-${tests}`
  transactionalId = `copier-${tests}`
  await createTopic(broker.client, topic, {}, 2)
})

async function producer(): Promise<Identity> {
  const request = { transactionalId, transactionTimeoutMs: 60_000 }
  const { errorCode, producerId, producerEpoch } = await broker.client.request(initProducerIdApi, 4, request)
  expect(errorCode).toBe(ErrorCode.NONE)
  return { producerId, producerEpoch }
}

async function addPartition(of: Identity, partition = 0): Promise<void> {
  const reply = await broker.client.request(addPartitionsToTxnApi, 3, {
    v3AndBelowTransactionalId: transactionalId,
    v3AndBelowProducerId: of.producerId,
    v3AndBelowProducerEpoch: of.producerEpoch,
    v3AndBelowTopics: [{ name: topic, partitions: [partition] }],
  })
  expect(reply.resultsByTopicV3AndBelow[0].resultsByPartition[0].partitionErrorCode).toBe(0)
}

async function addOffsets(of: Identity): Promise<void> {
  const request = { transactionalId, ...of, groupId: group }
  expect((await broker.client.request(addOffsetsToTxnApi, 3, request)).errorCode).toBe(0)
}

async function send(of: Identity, baseSequence: number, value: string, version = 9): Promise<number> {
  // As young as the markers: what is much older has a segment of its own, of which alone a reply tells.
  const timestampMs = Date.now()
  const batch = batchOf([value], { ...of, baseSequence, transactional: true, timestampMs })
  return (await produce(broker.client, topic, batch, { transactionalId, version })).errorCode
}

async function commit(of: Identity, committedOffset: number, version = 3): Promise<number> {
  const partitions = [{ partitionIndex: 0, committedOffset, committedMetadata: '' }]
  const topics = [{ name: topic, partitions }]
  const request = { transactionalId, groupId: group, ...of, topics }
  return (await broker.client.request(txnOffsetCommitApi, version, request)).topics[0].partitions[0].errorCode
}

async function end(of: Identity, committed: boolean): Promise<void> {
  const request = { transactionalId, ...of, committed }
  expect((await broker.client.request(endTxnApi, 3, request)).errorCode).toBe(0)
}

async function stableOffset(): Promise<{ committedOffset: number; errorCode: number }> {
  const topics = [{ name: topic, partitionIndexes: [0] }]
  const request = { groups: [{ groupId: group, topics }], requireStable: true }
  const reply = await broker.client.request(offsetFetchApi, 8, request)
  return reply.groups[0].topics[0].partitions[0]
}

/** As soon as nothing is open any more. */
async function stableAtLast(): Promise<number> {
  const found = await eventually(stableOffset, ({ errorCode }) => errorCode === 0)
  return found.committedOffset
}

async function committedValues(): Promise<string[]> {
  const read = await fetch(broker.client, topic, 0, { isolationLevel: 1 })
  const aborted = read.abortedTransactions!.length
  return [...valuesIn(read.records).filter((value) => !value.includes('\0')), `${aborted} aborted`]
}

describe('a transaction that reads and writes', () => {
  test('is seen as a whole when it is committed, and not before', async () => {
    const own = await producer()
    await addPartition(own)
    expect(await send(own, 0, 'copied')).toBe(0)
    await addOffsets(own)
    expect(await commit(own, 5)).toBe(0)
    expect(await stableOffset()).toMatchObject({ errorCode: ErrorCode.UNSTABLE_OFFSET_COMMIT })
    expect(await committedValues()).toEqual(['0 aborted'])
    await end(own, true)
    expect(await stableAtLast()).toBe(5)
    await eventually(committedValues, (values) => values.includes('copied'))
  })

  test('leaves nothing when it is aborted: the offsets are those of before', async () => {
    expect(await commitOffset(broker.client, group, topic, 2)).toBe(0)
    const own = await producer()
    await addPartition(own)
    await send(own, 0, 'never')
    await addOffsets(own)
    await commit(own, 5)
    await end(own, false)
    expect(await stableAtLast()).toBe(2)
    expect(await eventually(committedValues, (values) => values.length > 1)).toEqual(['never', '1 aborted'])
  })

  test('goes on with the next one of the same producer', async () => {
    const own = await producer()
    for (let round = 0; round < 3; round++) {
      await eventually(
        async () => {
          await addOffsets(own).catch(() => undefined)
          return commit(own, 10 + round)
        },
        (error) => error === 0,
      )
      await end(own, true)
      expect(await stableAtLast()).toBe(10 + round)
    }
  })
})

describe('a transaction of a client of transaction.version 2', () => {
  const endBumping = async (of: Identity, committed: boolean): Promise<Identity> => {
    const reply = await broker.client.request(endTxnApi, 5, { transactionalId, ...of, committed })
    expect(reply.errorCode).toBe(0)
    return { producerId: reply.producerId, producerEpoch: reply.producerEpoch }
  }

  test('includes the offsets that are committed in it, without a word to its coordinator', async () => {
    let own = await producer()
    expect(await send(own, 0, 'copied', 12)).toBe(0)
    expect(await commit(own, 5, 5)).toBe(0)
    expect(await stableOffset()).toMatchObject({ errorCode: ErrorCode.UNSTABLE_OFFSET_COMMIT })
    own = await endBumping(own, true)
    expect(await stableAtLast()).toBe(5)
    // While the one before ends: clients ask again.
    expect(
      await eventually(
        () => commit(own, 6, 5),
        (error) => error !== 51,
      ),
    ).toBe(0)
    expect(await commit(own, 7, 5)).toBe(0)
    expect(await send(own, 0, 'never', 12)).toBe(0)
    own = await endBumping(own, false)
    expect(await stableAtLast()).toBe(5)
    expect(await eventually(committedValues, (values) => values.includes('1 aborted'))).toContain('copied')
  })

  test('does not take offsets of an epoch that is over', async () => {
    const old = await producer()
    expect(await commit(old, 5, 5)).toBe(0)
    await endBumping(old, true)
    expect(await stableAtLast()).toBe(5)
    expect(
      await eventually(
        () => commit(old, 6, 5),
        (error) => error !== 51,
      ),
    ).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
  })
})

describe('what is in no transaction', () => {
  test.each([
    [9, ErrorCode.INVALID_TXN_STATE],
    [10, ErrorCode.INVALID_TXN_STATE],
    [11, ErrorCode.TRANSACTION_ABORTABLE],
  ])('records, Produce %i: %i', async (version, error) => {
    const own = await producer()
    await addPartition(own, 1)
    expect(await send(own, 0, 'not added', version)).toBe(error)
    expect(await committedValues()).toEqual(['0 aborted'])
  })

  test.each([
    [0, ErrorCode.INVALID_TXN_STATE],
    [3, ErrorCode.INVALID_TXN_STATE],
    [4, ErrorCode.TRANSACTION_ABORTABLE],
  ])('offsets, TxnOffsetCommit %i: %i', async (version, error) => {
    const own = await producer()
    await addPartition(own)
    expect(await commit(own, 5, version)).toBe(error)
    expect(await stableOffset()).toMatchObject({ committedOffset: -1, errorCode: 0 })
  })

  test('records of an epoch that is over', async () => {
    const old = await producer()
    const own = await producer()
    await addPartition(own)
    expect(await send(old, 0, 'zombie')).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
    expect(await send(own, 0, 'alive')).toBe(0)
  })

  test('offsets of an epoch that is over', async () => {
    const old = await producer()
    const own = await producer()
    await addOffsets(own)
    expect(await commit(old, 5)).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
    expect(await commit(own, 6)).toBe(0)
  })

  test('records of a producer id that has no transactional id here', async () => {
    expect(await send({ producerId: 4711, producerEpoch: 0 }, 0, 'who?')).toBe(
      ErrorCode.INVALID_PRODUCER_ID_MAPPING,
    )
  })
})

test('a topic that is not there, and one that is, are told apart', async () => {
  const own = await producer()
  await addOffsets(own)
  const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }]
  const topics = [topic, 'nowhere'].map((name) => ({ name, partitions }))
  const request = { transactionalId, groupId: group, ...own, topics }
  const reply = await broker.client.request(txnOffsetCommitApi, 3, request)
  expect(reply.topics.map(({ partitions: [{ errorCode }] }) => errorCode)).toEqual([
    0,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ])
})
