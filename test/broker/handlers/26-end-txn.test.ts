/** Transactions over the wire: the requests that producers, and the tools that look at them, make of one broker. */
import { beforeAll, describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { findCoordinatorApi } from '../../../src/protocol/messages/10-find-coordinator.ts'
import { initProducerIdApi } from '../../../src/protocol/messages/22-init-producer-id.ts'
import { addPartitionsToTxnApi } from '../../../src/protocol/messages/24-add-partitions-to-txn.ts'
import { addOffsetsToTxnApi } from '../../../src/protocol/messages/25-add-offsets-to-txn.ts'
import { endTxnApi } from '../../../src/protocol/messages/26-end-txn.ts'
import { describeTransactionsApi } from '../../../src/protocol/messages/65-describe-transactions.ts'
import { listTransactionsApi } from '../../../src/protocol/messages/66-list-transactions.ts'
import { eventually } from '../eventually.ts'
import { batchOf, createTopic, produce } from '../requests.ts'
import { useBroker } from '../use-broker.ts'

const broker = useBroker({ 'transaction.state.log.num.partitions': '3' })
const TIMEOUT_MS = 60_000

interface Producer {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
}

beforeAll(async () => {
  await createTopic(broker.client, 'ledger', {}, 2)
  await broker.client.request(findCoordinatorApi, 4, { keyType: 1, coordinatorKeys: ['any'] })
})

async function producer(transactionalId: string): Promise<Producer> {
  const request = { transactionalId, transactionTimeoutMs: TIMEOUT_MS }
  const { errorCode, producerId, producerEpoch } = await broker.client.request(initProducerIdApi, 5, request)
  expect(errorCode).toBe(ErrorCode.NONE)
  return { transactionalId, producerId, producerEpoch }
}

/** Error codes by "topic/partition". */
async function add(
  { transactionalId, producerId, producerEpoch }: Producer,
  topics: { name: string; partitions: number[] }[],
  version = 3,
): Promise<Record<string, number>> {
  const request = {
    v3AndBelowTransactionalId: transactionalId,
    v3AndBelowProducerId: producerId,
    v3AndBelowProducerEpoch: producerEpoch,
    v3AndBelowTopics: topics,
  }
  const reply = await broker.client.request(addPartitionsToTxnApi, version, request)
  return byPartition(reply.resultsByTopicV3AndBelow)
}

function byPartition(
  topics: {
    name: string
    resultsByPartition: { partitionIndex: number; partitionErrorCode: number }[]
  }[],
): Record<string, number> {
  const codes: Record<string, number> = {}
  for (const { name, resultsByPartition } of topics) {
    for (const { partitionIndex, partitionErrorCode } of resultsByPartition) {
      codes[`${name}/${partitionIndex}`] = partitionErrorCode
    }
  }
  return codes
}

async function end(from: Producer, committed: boolean, version = 4): Promise<number> {
  return (await broker.client.request(endTxnApi, version, { ...from, committed })).errorCode
}

async function described(transactionalId: string) {
  const request = { transactionalIds: [transactionalId] }
  const { transactionStates } = await broker.client.request(describeTransactionsApi, 0, request)
  return transactionStates[0]
}

async function isComplete(transactionalId: string): Promise<void> {
  const state = async () => (await described(transactionalId)).transactionState
  await eventually(state, (found) => found === 'CompleteCommit')
}

const ledger = [{ name: 'ledger', partitions: [0, 1] }]

describe('a transaction', () => {
  test('is committed: its records stay, its state is told', async () => {
    const from = await producer('committing')
    expect(await add(from, ledger)).toEqual({ 'ledger/0': 0, 'ledger/1': 0 })
    const { producerId, producerEpoch, transactionalId } = from
    const batch = batchOf(['paid'], { producerId, producerEpoch, baseSequence: 0, transactional: true })
    expect((await produce(broker.client, 'ledger', batch, { transactionalId })).errorCode).toBe(
      ErrorCode.NONE,
    )
    expect(await described(transactionalId)).toMatchObject({
      errorCode: ErrorCode.NONE,
      transactionState: 'Ongoing',
      transactionTimeoutMs: TIMEOUT_MS,
      producerId,
      producerEpoch,
      topics: [{ topic: 'ledger', partitions: [0, 1] }],
    })
    expect(await end(from, true)).toBe(ErrorCode.NONE)
    await isComplete(transactionalId)
    expect(await end(from, true)).toBe(ErrorCode.NONE)
    expect(await end(from, false)).toBe(ErrorCode.INVALID_TXN_STATE)
  })

  test('may take no records into a partition that it does not name', async () => {
    const from = await producer('elsewhere')
    expect(await add(from, [{ name: 'ledger', partitions: [1] }])).toEqual({ 'ledger/1': 0 })
    const { producerId, producerEpoch, transactionalId } = from
    const batch = batchOf(['lost'], { producerId, producerEpoch, baseSequence: 0, transactional: true })
    const refused = await produce(broker.client, 'ledger', batch, { transactionalId })
    expect(refused.errorCode).toBe(ErrorCode.TRANSACTION_ABORTABLE)
    expect(await end(from, false)).toBe(ErrorCode.NONE)
  })

  test('includes offsets of a group', async () => {
    const from = await producer('consuming')
    const request = { ...from, groupId: 'readers' }
    await broker.client.request(findCoordinatorApi, 4, { keyType: 0, coordinatorKeys: ['readers'] })
    expect((await broker.client.request(addOffsetsToTxnApi, 4, request)).errorCode).toBe(ErrorCode.NONE)
    const { topics } = await described('consuming')
    expect(topics.map(({ topic }) => topic)).toEqual(['__consumer_offsets'])
    expect(await end(from, true)).toBe(ErrorCode.NONE)
    await isComplete('consuming')
  })
})

describe('who comes too late', () => {
  test('is told in the words of its version', async () => {
    const old = await producer('fenced')
    await producer('fenced')
    expect(await end(old, true, 1)).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
    expect(await end(old, true, 2)).toBe(ErrorCode.PRODUCER_FENCED)
    expect(await add(old, ledger, 1)).toEqual({ 'ledger/0': 47, 'ledger/1': 47 })
    expect(await add(old, ledger, 2)).toEqual({ 'ledger/0': 90, 'ledger/1': 90 })
    const offsets = { ...old, groupId: 'readers' }
    expect((await broker.client.request(addOffsetsToTxnApi, 1, offsets)).errorCode).toBe(47)
    expect((await broker.client.request(addOffsetsToTxnApi, 2, offsets)).errorCode).toBe(90)
  })
})

describe('a client of transaction.version 2', () => {
  const bumped = async (from: Producer, committed: boolean) => {
    const { errorCode, ...next } = await broker.client.request(endTxnApi, 5, { ...from, committed })
    return { errorCode, next: { ...from, producerId: next.producerId, producerEpoch: next.producerEpoch } }
  }
  const write = async (from: Producer, partition: number, version = 12) => {
    const { producerId, producerEpoch, transactionalId } = from
    const batch = batchOf(['paid'], { producerId, producerEpoch, baseSequence: 0, transactional: true })
    const options = { transactionalId, partition, version }
    return (await produce(broker.client, 'ledger', batch, options)).errorCode
  }

  test('adds partitions by writing to them, and has its epoch bumped by the end', async () => {
    let from = await producer('bumping')
    for (const committed of [true, false, true]) {
      expect([await write(from, 0), await write(from, 1)]).toEqual([ErrorCode.NONE, ErrorCode.NONE])
      expect(await described('bumping')).toMatchObject({
        transactionState: 'Ongoing',
        producerEpoch: from.producerEpoch,
        topics: [{ topic: 'ledger', partitions: [0, 1] }],
      })
      const { errorCode, next } = await bumped(from, committed)
      expect(errorCode).toBe(ErrorCode.NONE)
      expect(next).toEqual({ ...from, producerEpoch: from.producerEpoch + 1 })
      // The next one begins at once: whoever is in its way is waited for.
      from = next
    }
    expect(await write(from, 0)).toBe(ErrorCode.NONE)
  })

  test('of an old epoch is refused everywhere, with no id in the answer', async () => {
    const old = await producer('overtaken')
    expect(await write(old, 0)).toBe(ErrorCode.NONE)
    const { next } = await bumped(old, true)
    await isComplete('overtaken')
    expect((await bumped(next, false)).errorCode).toBe(ErrorCode.NONE)
    expect(await write(old, 0)).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
    expect(await write(old, 1)).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
    const refused = await broker.client.request(endTxnApi, 5, { ...old, committed: true })
    expect(refused).toMatchObject({ errorCode: ErrorCode.PRODUCER_FENCED, producerId: -1, producerEpoch: -1 })
  })

  test('adds nothing where its request is of an older version', async () => {
    const from = await producer('adds-nothing')
    expect(await write(from, 0, 11)).toBe(ErrorCode.TRANSACTION_ABORTABLE)
    expect((await described('adds-nothing')).transactionState).toBe('Empty')
  })

  test('that nobody knows is refused', async () => {
    const from = { transactionalId: 'unheard-of', producerId: 77, producerEpoch: 0 }
    expect(await write(from, 0)).toBe(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    expect((await bumped(from, true)).errorCode).toBe(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
  })
})

describe('partitions', () => {
  test('are added all or none', async () => {
    const from = await producer('partitions')
    const { OPERATION_NOT_ATTEMPTED, UNKNOWN_TOPIC_OR_PARTITION, TOPIC_AUTHORIZATION_FAILED } = ErrorCode
    const unknown = [...ledger, { name: 'nowhere', partitions: [0] }, { name: 'ledger', partitions: [2] }]
    expect(await add(from, unknown)).toEqual({
      'ledger/0': OPERATION_NOT_ATTEMPTED,
      'ledger/1': OPERATION_NOT_ATTEMPTED,
      'ledger/2': UNKNOWN_TOPIC_OR_PARTITION,
      'nowhere/0': UNKNOWN_TOPIC_OR_PARTITION,
    })
    const internal = [{ name: '__transaction_state', partitions: [0] }]
    expect(await add(from, internal)).toEqual({ '__transaction_state/0': TOPIC_AUTHORIZATION_FAILED })
    expect((await described('partitions')).transactionState).toBe('Empty')
    const twice = { name: 'ledger', partitions: [1, 0, 1] }
    const { producerId: v3AndBelowProducerId, producerEpoch: v3AndBelowProducerEpoch } = from
    const reply = await broker.client.request(addPartitionsToTxnApi, 3, {
      v3AndBelowTransactionalId: 'partitions',
      v3AndBelowProducerId,
      v3AndBelowProducerEpoch,
      v3AndBelowTopics: [twice],
    })
    const answered = reply.resultsByTopicV3AndBelow[0].resultsByPartition
    expect(answered.map(({ partitionIndex }) => partitionIndex)).toEqual([1, 0, 1])
  })

  test('are added and verified for brokers, of several transactions at once', async () => {
    const [one, two] = [await producer('one'), await producer('two')]
    const ask = async (version: number, verifyOnly: boolean) => {
      const transactions = [one, two].map((from) => ({ ...from, verifyOnly, topics: ledger }))
      const reply = await broker.client.request(addPartitionsToTxnApi, version, { transactions })
      expect(reply.errorCode).toBe(ErrorCode.NONE)
      return reply.resultsByTransaction.map(({ topicResults }) => byPartition(topicResults))
    }
    const { TRANSACTION_ABORTABLE, NONE } = ErrorCode
    expect(await add(one, [{ name: 'ledger', partitions: [0] }])).toEqual({ 'ledger/0': NONE })
    const none = { 'ledger/0': TRANSACTION_ABORTABLE, 'ledger/1': TRANSACTION_ABORTABLE }
    expect(await ask(5, true)).toEqual([{ 'ledger/0': NONE, 'ledger/1': TRANSACTION_ABORTABLE }, none])
    const both = { 'ledger/0': NONE, 'ledger/1': NONE }
    expect(await ask(4, false)).toEqual([both, both])
    expect(await ask(4, true)).toEqual([both, both])
  })
})

describe('lists', () => {
  test('are filtered by state, producer and duration, and name states that are none', async () => {
    const from = await producer('listed')
    await add(from, ledger)
    const list = (filters = {}, version = 1) =>
      broker.client.request(listTransactionsApi, version, {
        stateFilters: [],
        producerIdFilters: [from.producerId],
        ...filters,
      })
    const { producerId } = from
    const listed = { transactionalId: 'listed', producerId, transactionState: 'Ongoing' }
    expect((await list()).transactionStates).toEqual([listed])
    expect((await list({}, 0)).transactionStates).toEqual([listed])
    const all = await list({ producerIdFilters: [], stateFilters: ['Ongoing', 'Odd', 'PrepareEpochFence'] })
    expect(all.unknownStateFilters).toEqual(['Odd'])
    expect(all.transactionStates).toContainEqual(listed)
    expect((await list({ stateFilters: ['Empty'] })).transactionStates).toEqual([])
    expect((await list({ durationFilter: 60_000 })).transactionStates).toEqual([])
    expect((await list({ durationFilter: 0 })).errorCode).toBe(ErrorCode.NONE)
  })

  test('an id that nobody has used, and none, are told as such', async () => {
    expect(await described('nobody')).toMatchObject({ errorCode: ErrorCode.TRANSACTIONAL_ID_NOT_FOUND })
    expect(await described('')).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST })
  })
})
