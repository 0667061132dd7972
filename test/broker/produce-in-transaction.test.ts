import { describe, expect, test } from 'vitest'
import { ConnectionOrder } from '../../src/broker/connection-order.ts'
import {
  appendVerified,
  transactionOf,
  verificationRefusal,
  type Verdicts,
} from '../../src/broker/produce-in-transaction.ts'
import type { RequestContext, Services } from '../../src/broker/services.ts'
import type { FirstBatch, Transaction, Verified } from '../../src/broker/txn-verification.ts'
import type { Later } from '../../src/coordinator/later.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import type { ProduceRequest } from '../../src/protocol/messages/00-produce.ts'
import { batchOf } from './requests.ts'

const PRODUCER = 7

function requestOf(
  batches: Record<number, Buffer>,
  transactionalId: string | null = 'copier',
): ProduceRequest {
  const partitionData = Object.entries(batches).map(([index, records]) => ({ index: Number(index), records }))
  return { transactionalId, acks: -1, timeoutMs: 1000, topicData: [{ name: 't', partitionData }] }
}

const batchFrom = (baseSequence: number, producerId = PRODUCER, producerEpoch = 0): Buffer =>
  batchOf(['a'], { producerId, producerEpoch, baseSequence, transactional: true })

/** Verdicts come when the test says so, unless they are `atOnce`. Partitions are hosted but for number 9. */
function world(atOnce = false) {
  const asked: { sequences: number[]; answer: (error?: number) => void }[] = []
  const verify = (_: Transaction, batches: readonly FirstBatch[]): Later<readonly Verified[]> => {
    const verdicts = (error = 0): Verified[] => batches.map(() => ({ error, guard: null }))
    if (atOnce) return verdicts()
    return new Promise((resolve) => {
      const sequences = batches.map(({ sequence }) => sequence)
      asked.push({ sequences, answer: (error) => resolve(verdicts(error)) })
    })
  }
  const services = {
    connectionOrder: new ConnectionOrder(),
    txnVerification: { verifyPatiently: verify },
    replicas: { get: (_: string, index: number) => (index === 9 ? undefined : { index }) },
  } as unknown as Services
  const appended: { records: Buffer; verdict: Verified | undefined }[] = []
  const replies: Promise<null>[] = []
  const append = (of: ProduceRequest, verdicts?: Verdicts): null | Promise<null> => {
    for (const { records } of of.topicData[0].partitionData)
      appended.push({ records: records!, verdict: verdicts?.get(records) })
    return replies.shift() ?? null
  }
  const produce = (request: ProduceRequest, connectionId = 1) => {
    const context = { connectionId, apiVersion: 9 } as RequestContext
    const transaction = transactionOf(request) as Transaction
    return appendVerified(services, { request, context, transaction }, (_, of, __, verdicts) =>
      append(of, verdicts),
    )
  }
  return { produce, asked, appended, replies }
}

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

describe('a transactional Produce', () => {
  test('whose verdicts are there is appended at once, from the bytes that came', () => {
    const { produce, appended } = world(true)
    const records = batchFrom(0)
    expect(produce(requestOf({ 0: records }))).toBe(null)
    expect(appended).toEqual([{ records, verdict: { error: 0, guard: null } }])
    expect(appended[0].records).toBe(records)
  })

  test('that waits for them keeps its bytes', async () => {
    const { produce, asked, appended } = world()
    const records = batchFrom(0)
    const before = Buffer.from(records)
    void produce(requestOf({ 0: records }))
    records.fill(0)
    asked[0].answer()
    await turns()
    expect(appended).toEqual([{ records: before, verdict: { error: 0, guard: null } }])
  })

  test('is not overtaken by the next one of its connection, nor does that wait for its reply', async () => {
    const { produce, asked, appended, replies } = world()
    replies.push(new Promise(() => undefined))
    void produce(requestOf({ 0: batchFrom(0) }))
    const second = batchFrom(1)
    const reply = produce(requestOf({ 0: second }))
    second.fill(0)
    void produce(requestOf({ 0: batchFrom(9) }), 2)
    await turns()
    // The other connection does not wait.
    expect(asked.map(({ sequences }) => sequences)).toEqual([[0], [9]])
    asked[0].answer()
    await turns()
    asked[2].answer()
    expect(await reply).toBe(null)
    expect(appended.map(({ records }) => records.readInt32BE(53))).toEqual([0, 1])
  })

  test('is asked for at once again when nothing waits any more', async () => {
    const { produce, asked } = world()
    void produce(requestOf({ 0: batchFrom(0) }))
    asked[0].answer()
    await turns()
    void produce(requestOf({ 0: batchFrom(1) }))
    expect(asked).toHaveLength(2)
  })

  test('to a partition that is hosted later than it was asked for is refused there', async () => {
    const { produce, asked, appended } = world()
    void produce(requestOf({ 0: batchFrom(0), 9: batchFrom(0) }))
    asked[0].answer()
    await turns()
    expect(appended.map(({ verdict }) => verdict?.error)).toEqual([0, undefined])
    expect(verificationRefusal(new Map(), batchFrom(0), 11)?.error).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
  })
})

describe('the producer of a request', () => {
  test('is that of its transactional batches', () => {
    const plain = batchOf(['not of a producer'])
    expect(transactionOf(requestOf({ 0: plain, 1: batchFrom(0, 5, 3) }))).toEqual({
      transactionalId: 'copier',
      producerId: 5,
      producerEpoch: 3,
    })
  })

  test.each([
    ['another producer', batchFrom(0, 8)],
    ['another epoch', batchFrom(0, PRODUCER, 1)],
  ])('is one: not with %s', (_, other) => {
    const request = requestOf({ 0: batchFrom(0), 1: other })
    expect(transactionOf(request)).toBe(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
  })

  test('has a transactional id', () => {
    expect(transactionOf(requestOf({ 0: batchFrom(0) }, null))).toBe(
      ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    )
  })
})

test.each([
  ...[13, 14, 15, 16].map((error) => [error, ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.NOT_ENOUGH_REPLICAS]),
  [ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.CONCURRENT_TRANSACTIONS],
  ...[
    ErrorCode.INVALID_TXN_STATE,
    ErrorCode.INVALID_PRODUCER_EPOCH,
    ErrorCode.TRANSACTION_ABORTABLE,
    ErrorCode.INVALID_PRODUCER_ID_MAPPING,
  ].map((error) => [error, error, error]),
])('a verdict of %i is told a producer as %i, from version 12 on as %i', (error, told, toldLater) => {
  const records = batchFrom(0)
  const verdicts = new Map([[records, { error, guard: null }]])
  expect(verificationRefusal(verdicts, records, 11)?.error).toBe(told)
  expect(verificationRefusal(verdicts, records, 12)?.error).toBe(toldLater)
})
