/** One transactional id through its life: begun, ended, retried, fenced, aborted by the clock, forgotten. */
import { describe, expect, it, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { add, end, ID, init, logged, settled, state, TIMEOUT_MS, world } from './world.ts'
import type { World } from './world.ts'

const { NONE, CONCURRENT_TRANSACTIONS, PRODUCER_FENCED, INVALID_TXN_STATE, INVALID_PRODUCER_ID_MAPPING } =
  ErrorCode

/** A producer with an open transaction on `orders/0`. */
async function open(w: World, version?: { clientVersion: number }) {
  const producer = await init(w)
  expect(await add(w, producer, ['orders/0'], version)).toBe(NONE)
  return producer
}

describe('InitProducerId', () => {
  it('gives a new id, then a new epoch each time', async () => {
    const w = world()
    expect(await init(w)).toEqual({ errorCode: NONE, producerId: 1, producerEpoch: 0 })
    expect(await init(w)).toEqual({ errorCode: NONE, producerId: 1, producerEpoch: 1 })
    expect(await init(w, { id: 'other' })).toEqual({ errorCode: NONE, producerId: 2, producerEpoch: 0 })
    expect(logged(w)).toEqual(['Empty 1/0', 'Empty 1/1', 'Empty 2/0'])
  })

  it('refuses the empty id, and timeouts that are none or too long', async () => {
    const w = world()
    expect((await init(w, { id: '' })).errorCode).toBe(ErrorCode.INVALID_REQUEST)
    for (const timeoutMs of [0, -1, 900_001]) {
      expect((await init(w, { timeoutMs })).errorCode).toBe(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
    }
    expect((await init(w, { timeoutMs: 900_000 })).errorCode).toBe(NONE)
  })

  it('lets the caller that names its epoch go on, twice if the answer was lost, and nobody else', async () => {
    const w = world()
    await init(w)
    const next = { errorCode: NONE, producerId: 1, producerEpoch: 1 }
    expect(await init(w, { expected: [1, 0] })).toEqual(next)
    expect(await init(w, { expected: [1, 0] })).toEqual(next)
    await init(w)
    for (const expected of [
      [1, 0],
      [1, 1],
      [7, 2],
    ] as [number, number][]) {
      expect((await init(w, { expected })).errorCode).toBe(PRODUCER_FENCED)
    }
    expect(state(w)).toBe('Empty 1/2')
  })

  it('takes any expectation of an id that is not known', async () => {
    expect(await init(world(), { expected: [99, 3] })).toEqual({
      errorCode: 0,
      producerId: 1,
      producerEpoch: 0,
    })
  })

  it('aborts an open transaction in a new epoch first, and has the caller ask again', async () => {
    const w = world()
    const old = await open(w)
    expect((await init(w)).errorCode).toBe(CONCURRENT_TRANSACTIONS)
    await settled()
    expect(w.brokers.sent).toEqual(['abort orders/0 1/1 @5'])
    expect(await init(w)).toEqual({ errorCode: NONE, producerId: 1, producerEpoch: 2 })
    expect(await add(w, old, ['orders/1'])).toBe(PRODUCER_FENCED)
    expect((await end(w, old, true)).errorCode).toBe(PRODUCER_FENCED)
    expect(logged(w).slice(1)).toEqual([
      'Ongoing 1/0 orders/0',
      'PrepareAbort 1/1 orders/0',
      'CompleteAbort 1/1',
      'Empty 1/2',
    ])
  })

  it('gives a new id when the epochs are used up, also to who repeats itself', async () => {
    const w = world()
    let producer = await init(w)
    while (producer.producerEpoch < 32_766)
      producer = await init(w, { expected: [1, producer.producerEpoch] })
    const next = { errorCode: NONE, producerId: 2, producerEpoch: 0 }
    expect(await init(w, { expected: [1, 32_766] })).toEqual(next)
    expect(await init(w, { expected: [1, 32_766] })).toEqual(next)
    expect((await init(w, { expected: [1, 32_765] })).errorCode).toBe(PRODUCER_FENCED)
  })

  it('tells to come again where there is no producer id', async () => {
    const w = world({ ids: { next: null } })
    expect((await init(w)).errorCode).toBe(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    expect(state(w)).toBe(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
  })

  it('refuses more ids than the coordinator may have', async () => {
    const w = world({ config: { maxTransactionalIds: 2 } })
    await init(w, { id: 'a' })
    await init(w, { id: 'b' })
    expect((await init(w, { id: 'c' })).errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    expect((await init(w, { id: 'a' })).errorCode).toBe(NONE)
  })

  it('two at once for an id that is new: one is told to come again', async () => {
    const w = world()
    w.log.late = true
    const both = [init(w), init(w)]
    await settled()
    await w.log.commitNext()
    expect((await Promise.all(both)).map(({ errorCode }) => errorCode)).toEqual([
      NONE,
      CONCURRENT_TRANSACTIONS,
    ])
  })
})

describe('AddPartitionsToTxn', () => {
  it('begins a transaction and adds to it, writing only what is new', async () => {
    const w = world()
    const producer = await open(w)
    expect(await add(w, producer, ['orders/0'])).toBe(NONE)
    expect(await add(w, producer, ['orders/0', 'orders/1', 'clicks/3'])).toBe(NONE)
    expect(logged(w)).toEqual(['Empty 1/0', 'Ongoing 1/0 orders/0', 'Ongoing 1/0 orders/0 orders/1 clicks/3'])
  })

  it('keeps the time when the transaction began', async () => {
    const w = world()
    const producer = await open(w)
    const { transactionStartTimeMs } = w.transactions.describe(ID)
    w.time.advance(1000)
    await add(w, producer, ['orders/1'])
    expect(w.transactions.describe(ID).transactionStartTimeMs).toBe(transactionStartTimeMs)
  })

  it('refuses who has not asked for an id, who has another, and old epochs', async () => {
    const w = world()
    const producer = await init(w)
    expect(await add(w, producer, ['orders/0'], { id: '' })).toBe(ErrorCode.INVALID_REQUEST)
    expect(await add(w, producer, ['orders/0'], { id: 'other' })).toBe(INVALID_PRODUCER_ID_MAPPING)
    expect(await add(w, { ...producer, producerId: 9 }, ['orders/0'])).toBe(INVALID_PRODUCER_ID_MAPPING)
    expect(await add(w, { ...producer, producerEpoch: 1 }, ['orders/0'])).toBe(PRODUCER_FENCED)
    await init(w)
    expect(await add(w, producer, ['orders/0'])).toBe(PRODUCER_FENCED)
  })

  it('waits for nobody: while something is written, or markers are, it is told to come again', async () => {
    const w = world()
    const producer = await open(w)
    w.log.late = true
    const first = add(w, producer, ['orders/1'])
    expect(await add(w, producer, ['orders/2'])).toBe(CONCURRENT_TRANSACTIONS)
    await w.log.commitNext()
    expect(await first).toBe(NONE)
    w.log.late = false
    w.brokers.late = true
    await end(w, producer, true)
    expect(await add(w, producer, ['orders/2'])).toBe(CONCURRENT_TRANSACTIONS)
  })
})

describe('verification', () => {
  const topics = [{ name: 'orders', partitions: [0, 1] }]
  const codes = (w: World, id: string, producer: { producerId: number; producerEpoch: number }) =>
    w.transactions
      .verifyPartitions(id, producer.producerId, producer.producerEpoch, topics)
      .flatMap(({ resultsByPartition }) => resultsByPartition.map((each) => each.partitionErrorCode))

  it('tells which partitions are in the transaction', async () => {
    const w = world()
    const producer = await open(w)
    expect(codes(w, ID, producer)).toEqual([NONE, ErrorCode.TRANSACTION_ABORTABLE])
    expect(codes(w, '', producer)).toEqual([ErrorCode.INVALID_REQUEST, ErrorCode.INVALID_REQUEST])
    expect(codes(w, 'other', producer)).toEqual([INVALID_PRODUCER_ID_MAPPING, INVALID_PRODUCER_ID_MAPPING])
    expect(codes(w, ID, { ...producer, producerEpoch: 9 })).toEqual([PRODUCER_FENCED, PRODUCER_FENCED])
    w.brokers.late = true
    await end(w, producer, false)
    expect(codes(w, ID, producer)).toEqual([CONCURRENT_TRANSACTIONS, CONCURRENT_TRANSACTIONS])
  })

  it('sees what is committed only', async () => {
    const w = world()
    const producer = await open(w)
    w.log.late = true
    void add(w, producer, ['orders/1'])
    expect(codes(w, ID, producer)).toEqual([NONE, ErrorCode.TRANSACTION_ABORTABLE])
    await w.log.commitNext()
    expect(codes(w, ID, producer)).toEqual([NONE, NONE])
  })
})

describe('EndTxn', () => {
  it.each([
    [true, 'commit', 'Commit'],
    [false, 'abort', 'Abort'],
  ])('%s: is answered when it is stored; then the markers, then the end', async (committed, marker, name) => {
    const w = world()
    const producer = await open(w)
    w.brokers.late = true
    expect((await end(w, producer, committed)).errorCode).toBe(NONE)
    expect(state(w)).toBe(`Prepare${name} 1/0 orders/0`)
    expect((await end(w, producer, committed)).errorCode).toBe(CONCURRENT_TRANSACTIONS)
    expect((await init(w)).errorCode).toBe(CONCURRENT_TRANSACTIONS)
    await w.brokers.answerNext()
    expect(w.brokers.sent).toEqual([`${marker} orders/0 1/0 @5`])
    expect(state(w)).toBe(`Complete${name} 1/0`)
    expect((await end(w, producer, committed)).errorCode).toBe(NONE)
    expect((await end(w, producer, !committed)).errorCode).toBe(INVALID_TXN_STATE)
  })

  it('has nothing to end where nothing was begun', async () => {
    const w = world()
    const producer = await init(w)
    expect((await end(w, producer, true)).errorCode).toBe(INVALID_TXN_STATE)
    expect((await end(w, producer, false)).errorCode).toBe(INVALID_TXN_STATE)
    expect((await end(w, producer, false, { id: '' })).errorCode).toBe(ErrorCode.INVALID_REQUEST)
    expect((await end(w, producer, false, { id: 'other' })).errorCode).toBe(INVALID_PRODUCER_ID_MAPPING)
    expect((await end(w, { ...producer, producerId: 5 }, false)).errorCode).toBe(INVALID_PRODUCER_ID_MAPPING)
  })

  it('the next transaction begins with the same producer', async () => {
    const w = world()
    const producer = await open(w)
    await end(w, producer, true)
    await settled()
    expect(await add(w, producer, ['clicks/1'])).toBe(NONE)
    expect(state(w)).toBe('Ongoing 1/0 clicks/1')
  })
})

describe('EndTxn of clients whose epoch is bumped by it (KIP-890)', () => {
  const bumping = { clientVersion: 2 }

  it('gives the epoch of the next transaction; markers carry it', async () => {
    const w = world()
    const producer = await open(w, bumping)
    const next = { errorCode: NONE, producerId: 1, producerEpoch: 1 }
    expect(await end(w, producer, true, bumping)).toEqual(next)
    await settled()
    expect(w.brokers.sent).toEqual(['commit orders/0 1/1 @5'])
    expect(await end(w, producer, true, bumping)).toEqual(next)
    expect((await end(w, producer, false, bumping)).errorCode).toBe(INVALID_TXN_STATE)
    expect((await end(w, next, true, bumping)).errorCode).toBe(INVALID_TXN_STATE)
    expect(await add(w, producer, ['orders/0'], bumping)).toBe(PRODUCER_FENCED)
    expect(await add(w, next, ['orders/0'], bumping)).toBe(NONE)
    expect((await end(w, producer, true, bumping)).errorCode).toBe(PRODUCER_FENCED)
  })

  it('aborts a transaction in which nothing was written, which has no partition', async () => {
    const w = world()
    const producer = await init(w)
    expect((await end(w, producer, true, bumping)).errorCode).toBe(INVALID_TXN_STATE)
    const next = await end(w, producer, false, bumping)
    expect(next).toEqual({ errorCode: NONE, producerId: 1, producerEpoch: 1 })
    await settled()
    expect(state(w)).toBe('CompleteAbort 1/1')
    expect(await end(w, producer, false, bumping)).toEqual(next)
    expect((await end(w, next, false, bumping)).producerEpoch).toBe(2)
  })

  it('gives a new producer id after the last epoch, also to who repeats itself', async () => {
    const w = world()
    let producer = await init(w)
    while (producer.producerEpoch < 32_766)
      producer = await init(w, { expected: [1, producer.producerEpoch] })
    await add(w, producer, ['orders/0'], bumping)
    const next = { errorCode: NONE, producerId: 2, producerEpoch: 0 }
    w.brokers.late = true
    expect(await end(w, producer, true, bumping)).toEqual(next)
    expect((await end(w, producer, true, bumping)).errorCode).toBe(CONCURRENT_TRANSACTIONS)
    await w.brokers.answerNext()
    expect(w.brokers.sent).toEqual(['commit orders/0 1/32767 @5'])
    expect(await end(w, producer, true, bumping)).toEqual(next)
    expect((await end(w, producer, false, bumping)).errorCode).toBe(INVALID_TXN_STATE)
    expect(await add(w, next, ['orders/0'], bumping)).toBe(NONE)
    expect((await end(w, producer, true, bumping)).errorCode).toBe(INVALID_PRODUCER_ID_MAPPING)
  })

  it('keeps what a retry goes by in the log', async () => {
    const before = world()
    const producer = await open(before, bumping)
    const next = await end(before, producer, true, bumping)
    await settled()
    const after = world({ log: before.log })
    expect(await end(after, producer, true, bumping)).toEqual(next)
  })

  it.each([0, 32_764, 32_765])(
    'one that was overtaken in epoch %i commits no more, and goes on after an abort until another begins',
    async (epoch) => {
      const w = world()
      let producer = await init(w)
      while (producer.producerEpoch < epoch)
        producer = await init(w, { expected: [1, producer.producerEpoch] })
      await add(w, producer, ['orders/0'], bumping)
      expect((await init(w)).errorCode).toBe(CONCURRENT_TRANSACTIONS)
      await settled()
      expect(w.brokers.sent).toEqual([`abort orders/0 1/${epoch + 1} @5`])
      expect((await end(w, producer, true, bumping)).errorCode).toBe(INVALID_TXN_STATE)
      const after = { errorCode: NONE, producerId: 1, producerEpoch: epoch + 1 }
      expect(await end(w, producer, false, bumping)).toEqual(after)
      expect(await init(w, { expected: [1, epoch] })).toEqual(after)
      const next = await init(w)
      expect(next.errorCode).toBe(NONE)
      expect(next.producerEpoch).toBeLessThan(32_767)
      for (const committed of [true, false]) {
        expect((await end(w, producer, committed, bumping)).errorCode).not.toBe(NONE)
        expect((await end(w, after, committed, bumping)).errorCode).not.toBe(NONE)
      }
    },
  )

  it('gives the last epoch of all to nobody', async () => {
    const w = world()
    let producer = await init(w)
    while (producer.producerEpoch < 32_766)
      producer = await init(w, { expected: [1, producer.producerEpoch] })
    await add(w, producer, ['orders/0'], bumping)
    expect((await init(w)).errorCode).toBe(CONCURRENT_TRANSACTIONS)
    await settled()
    expect(state(w)).toBe('CompleteAbort 1/32767')
    for (const committed of [true, false]) {
      expect((await end(w, producer, committed, bumping)).errorCode).toBe(PRODUCER_FENCED)
    }
    expect((await init(w, { expected: [1, 32_766] })).errorCode).toBe(PRODUCER_FENCED)
    expect(await init(w)).toEqual({ errorCode: NONE, producerId: 2, producerEpoch: 0 })
  })

  it('tells nobody more than that an end is under way, while it is', async () => {
    const w = world()
    const producer = await open(w, bumping)
    w.brokers.late = true
    const next = await end(w, producer, true, bumping)
    for (const one of [producer, next, { producerId: 9, producerEpoch: 9 }]) {
      expect((await end(w, one, true, bumping)).errorCode).toBe(CONCURRENT_TRANSACTIONS)
      expect(await add(w, one, ['orders/0'], bumping)).toBe(CONCURRENT_TRANSACTIONS)
    }
  })

  it('is not fenced by an abort that is not stored', async () => {
    const w = world()
    const producer = await open(w, bumping)
    w.log.appendError = ErrorCode.NOT_ENOUGH_REPLICAS
    expect((await init(w)).errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    w.log.appendError = 0
    expect(state(w)).toBe('Ongoing 1/0 orders/0')
    expect(await end(w, producer, true, bumping)).toMatchObject({ errorCode: NONE, producerEpoch: 1 })
  })
})

describe('the clock', () => {
  it('aborts what is open for too long, in an epoch that its producer does not have', async () => {
    const w = world()
    const producer = await open(w)
    w.time.advance(TIMEOUT_MS)
    expect(state(w)).toBe('Ongoing 1/0 orders/0')
    w.time.advance(10_000)
    await settled()
    expect(w.brokers.sent).toEqual(['abort orders/0 1/1 @5'])
    expect(state(w)).toBe('CompleteAbort 1/1')
    expect((await end(w, producer, true)).errorCode).toBe(PRODUCER_FENCED)
  })

  it('leaves alone what is being written', async () => {
    const w = world()
    const producer = await open(w)
    w.log.late = true
    const added = add(w, producer, ['orders/1'])
    w.time.advance(TIMEOUT_MS + 20_000)
    expect(w.log.waiting.length).toBe(1)
    await w.log.commitNext()
    expect(await added).toBe(NONE)
  })

  it('forgets ids that are not used, and no others', async () => {
    const w = world({ config: { transactionalIdExpirationMs: 7_200_000 } })
    await init(w, { id: 'idle' })
    await open(w)
    w.brokers.late = true
    w.time.advance(3_600_000)
    await init(w, { id: 'used' })
    w.time.advance(3_600_000)
    await settled()
    expect(state(w, 'idle')).toBe(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
    expect(state(w, 'used')).toBe('Empty 3/0')
    expect(state(w)).toBe('PrepareAbort 2/1 orders/0')
    expect(logged(w).filter((each) => each === 'tombstone').length).toBe(1)
    expect(state(world({ log: w.log, brokers: w.brokers }), 'idle')).toBe(
      ErrorCode.TRANSACTIONAL_ID_NOT_FOUND,
    )
  })

  it('keeps an id whose producer comes back while others are looked at', async () => {
    const w = world({ config: { transactionalIdExpirationMs: 3_600_000 } })
    for (let i = 0; i < 100; i++) await init(w, { id: `id-${i}` })
    // Every look at the clock takes a millisecond: the search goes on in several turns.
    w.time.ticks = true
    w.time.advance(3_600_000)
    expect(w.log.records().length).toBe(100)
    await init(w, { id: 'id-0' })
    for (let turn = 0; turn < 1000; turn++) w.time.advance(1)
    w.time.ticks = false
    expect(state(w, 'id-0')).toBe('Empty 1/1')
    expect(state(w, 'id-1')).toBe(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
    expect(state(w, 'id-99')).toBe(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
  })

  it('keeps an id whose tombstone is not stored', async () => {
    const w = world({ config: { transactionalIdExpirationMs: 3_600_000 } })
    await init(w)
    w.log.late = true
    w.time.advance(3_600_000)
    expect((await init(w)).errorCode).toBe(CONCURRENT_TRANSACTIONS)
    await w.log.commitNext(ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
    w.log.late = false
    expect(await init(w)).toEqual({ errorCode: NONE, producerId: 1, producerEpoch: 1 })
  })
})

describe('a log that does not take it', () => {
  test.each([
    [ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.COORDINATOR_NOT_AVAILABLE],
    [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.COORDINATOR_NOT_AVAILABLE],
    [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_COORDINATOR],
    [ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_COORDINATOR],
    [ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.UNKNOWN_SERVER_ERROR],
  ])('%i is told as %i, and nothing has changed', async (error, told) => {
    const w = world()
    const producer = await open(w)
    w.log.appendError = error
    expect(await add(w, producer, ['orders/1'])).toBe(told)
    expect((await end(w, producer, true)).errorCode).toBe(told)
    w.log.appendError = 0
    expect(state(w)).toBe('Ongoing 1/0 orders/0')
    expect((await end(w, producer, true)).errorCode).toBe(NONE)
  })

  it('does not keep an id of which nothing is stored', async () => {
    const w = world()
    w.log.appendError = ErrorCode.NOT_ENOUGH_REPLICAS
    expect((await init(w)).errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    expect(state(w)).toBe(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
  })

  it('fences all the same, and once only', async () => {
    const w = world()
    const producer = await open(w)
    w.log.appendError = ErrorCode.NOT_ENOUGH_REPLICAS
    for (let tries = 0; tries < 3; tries++) {
      expect((await init(w)).errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
      expect(await add(w, producer, ['orders/0'])).toBe(PRODUCER_FENCED)
    }
    w.log.appendError = 0
    expect((await init(w)).errorCode).toBe(CONCURRENT_TRANSACTIONS)
    await settled()
    expect(state(w)).toBe('CompleteAbort 1/1')
  })

  it('is asked again to take the end of a transaction, until it does', async () => {
    const w = world()
    const producer = await open(w)
    w.brokers.late = true
    await end(w, producer, true)
    w.log.appendError = ErrorCode.NOT_ENOUGH_REPLICAS
    await w.brokers.answerNext()
    w.time.advance(1000)
    expect(state(w)).toBe('PrepareCommit 1/0')
    expect((await init(w)).errorCode).toBe(CONCURRENT_TRANSACTIONS)
    w.log.appendError = 0
    w.time.advance(100)
    expect(state(w)).toBe('CompleteCommit 1/0')
    expect((await init(w)).errorCode).toBe(NONE)
  })
})
