import { describe, expect, it } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { ProducerEntry } from '../../src/log/producer-entry.ts'
import { ProducerState } from '../../src/log/producer-state.ts'
import { decodeProducerSnapshot, encodeProducerSnapshot } from '../../src/log/producer-snapshot.ts'
import { batchSize, buildBatch } from '../../src/protocol/record-batch.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { append, openLogs, readAll, type BatchShape } from './log-fixture.ts'

function simDisk(): SimDisk {
  return new SimDisk({ random: new SeededRandom(1) })
}

const produced = (baseSequence: number, more: Partial<BatchShape> = {}): BatchShape => ({
  values: ['a', 'b'],
  producerId: 9,
  producerEpoch: 0,
  baseSequence,
  ...more,
})

/** Written, and nobody knows where any more. */
const leftBehind = { error: 0, duplicate: true, firstOffset: -1 }

describe('an idempotent producer', () => {
  it('has the last five batches answered with their first offset, and written once', () => {
    const log = openLogs({ disk: simDisk() }).log()
    for (let i = 0; i < 7; i++) expect(append(log, produced(2 * i))).toMatchObject({ firstOffset: 2 * i })
    for (let i = 2; i < 7; i++) {
      expect(append(log, produced(2 * i))).toMatchObject({
        error: 0,
        duplicate: true,
        firstOffset: 2 * i,
        lastOffset: 2 * i + 1,
      })
    }
    expect(append(log, produced(2))).toMatchObject({ ...leftBehind, lastOffset: 3 })
    expect(log.logEndOffset).toBe(14)
  })

  it('has an earlier batch known as written, only where there is no doubt of it', async () => {
    const disk = simDisk()
    const first = openLogs({ disk })
    for (let i = 0; i < 9; i++) append(first.log(), produced((2 * i + 2147483640) % 2 ** 31))
    for (const sequence of [2147483640, 2147483646]) {
      expect(append(first.log(), produced(sequence))).toMatchObject({ ...leftBehind, lastOffset: 7 })
    }
    // Two batches as one, or cut otherwise.
    expect(append(first.log(), produced(2147483640, { values: ['a', 'b', 'c'] }))).toMatchObject(leftBehind)
    const refused = { error: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER }
    for (const [sequence, why] of [
      [2147483638, 'before the first that is known'],
      [2147483639, 'partly before it'],
      [2147483647, 'partly among the last five'],
      [1, 'cut otherwise than one of the last five'],
      [12, 'ahead'],
    ] as const) {
      expect(append(first.log(), produced(sequence)), why).toMatchObject(refused)
    }
    expect(append(first.log(), produced(2147483640, { producerEpoch: 1 }))).toMatchObject(refused)
    await first.manager.stop()
    const again = openLogs({ disk }).log()
    expect(append(again, produced(2147483638))).toMatchObject(refused)
    expect(append(again, produced(8))).toMatchObject({ duplicate: true, firstOffset: 16 })
    expect(append(again, produced(10))).toMatchObject({ error: 0, firstOffset: 18 })
  })

  it('is not known by batches before a gap in the log, which compaction has left', () => {
    const [source, copy] = [openLogs({ disk: simDisk() }).log(), openLogs({ disk: simDisk() }).log()]
    for (let i = 0; i < 12; i++) append(source, produced(2 * i))
    const all = readAll(source)
    const size = batchSize(all, 0)
    copy.appendAsFollower(Buffer.concat([all.subarray(0, 3 * size), all.subarray(4 * size)]))
    expect(append(copy, produced(8))).toMatchObject(leftBehind)
    expect(append(copy, produced(4))).toMatchObject({ error: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER })
  })

  it('may begin anywhere, must go on without a gap, and wraps after 2147483647', () => {
    const log = openLogs({ disk: simDisk() }).log()
    expect(append(log, produced(2147483646))).toMatchObject({ error: 0 })
    expect(append(log, produced(5))).toMatchObject({ error: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER })
    expect(append(log, produced(0))).toMatchObject({ error: 0, firstOffset: 2 })
    expect(append(log, produced(2147483646))).toMatchObject({ duplicate: true, firstOffset: 0 })
  })

  it('may wrap in the midst of a batch, which is known again when it is sent again', () => {
    const log = openLogs({ disk: simDisk() }).log()
    const wrapping = produced(2147483646, { values: ['a', 'b', 'c'] })
    expect(append(log, wrapping)).toMatchObject({ error: 0, firstOffset: 0 })
    expect(append(log, wrapping)).toMatchObject({ duplicate: true, firstOffset: 0, lastOffset: 2 })
    expect(append(log, produced(2))).toMatchObject({ error: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER })
    expect(append(log, produced(1))).toMatchObject({ error: 0, firstOffset: 3 })
  })

  it('has no epoch behind 32767', () => {
    const log = openLogs({ disk: simDisk() }).log()
    append(log, produced(0, { producerEpoch: 32_767 }))
    expect(append(log, produced(0, { producerEpoch: 0 }))).toMatchObject({
      error: ErrorCode.INVALID_PRODUCER_EPOCH,
    })
    expect(append(log, produced(2, { producerEpoch: 32_767 }))).toMatchObject({ error: 0 })
  })

  it('is known when all of its records are deleted, until a restart finds nothing of it', async () => {
    const disk = simDisk()
    const { log, manager } = openLogs({ disk })
    append(log(), produced(0))
    log().raiseLogStart(2, 2)
    expect(append(log(), produced(0))).toMatchObject({ duplicate: true, firstOffset: 0 })
    expect(append(log(), produced(4))).toMatchObject({ error: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER })
    await manager.stop()
    expect(append(openLogs({ disk }).log(), produced(4))).toMatchObject({ error: 0, firstOffset: 2 })
  })

  it('is forgotten by a restart when it was idle for producer.id.expiration.ms', async () => {
    const disk = simDisk()
    const first = openLogs({ disk })
    append(first.log(), produced(0))
    append(first.log(), 'others write on')
    await first.manager.stop()
    await first.time.advance(86_400_001)
    const again = openLogs({ disk, time: first.time }).log()
    expect([...again.producers()]).toEqual([])
    expect(append(again, produced(4))).toMatchObject({ error: 0 })
  })

  it('has its last five batches known by the replica that leads next', () => {
    const [leader, next] = [openLogs({ disk: simDisk() }).log(), openLogs({ disk: simDisk() }).log()]
    for (let i = 0; i < 7; i++) append(leader, produced(2 * i))
    next.appendAsFollower(readAll(leader))
    for (let i = 2; i < 7; i++) {
      expect(append(next, produced(2 * i))).toMatchObject({ duplicate: true, firstOffset: 2 * i })
    }
    expect(append(next, produced(2))).toMatchObject(leftBehind)
    expect(append(next, produced(14))).toMatchObject({ error: 0, firstOffset: 14 })
  })

  it('is fenced by a newer epoch, which begins at sequence 0', () => {
    const log = openLogs({ disk: simDisk() }).log()
    append(log, produced(0))
    expect(append(log, produced(2, { producerEpoch: 1 }))).toMatchObject({
      error: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    })
    expect(append(log, produced(0, { producerEpoch: 1 }))).toMatchObject({ error: 0 })
    expect(append(log, produced(2))).toMatchObject({ error: ErrorCode.INVALID_PRODUCER_EPOCH })
  })

  it.each(['stop', 'kill'] as const)('is known again after a %s', async (how) => {
    const disk = simDisk()
    const first = openLogs({ disk, config: { segmentBytes: 300 } })
    for (let i = 0; i < 6; i++) append(first.log(), produced(2 * i))
    if (how === 'stop') await first.manager.stop()
    disk.kill()
    const { log } = openLogs({ disk, config: { segmentBytes: 300 } })
    expect(append(log(), produced(10))).toMatchObject({ duplicate: true, firstOffset: 10 })
    expect(append(log(), produced(14))).toMatchObject({ error: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER })
    expect(append(log(), produced(12))).toMatchObject({ error: 0, firstOffset: 12 })
  })

  it('keeps the unstable offset down while its transaction is open; an abort is listed', () => {
    const log = openLogs({ disk: simDisk() }).log()
    append(log, 'plain')
    append(log, produced(0, { transactional: true }))
    append(log, 'plain')
    expect(log.firstUnstableOffset(3)).toBe(1)
    expect(append(log, produced(2))).toMatchObject({ error: ErrorCode.INVALID_TXN_STATE })
    const key = Buffer.from([0, 0, 0, 0])
    const value = Buffer.from([0, 0, 0, 0, 0, 3])
    const abort = buildBatch({
      records: [{ timestampMs: 1, key, value }],
      producerId: 9,
      producerEpoch: 0,
      transactional: true,
      control: true,
    })
    expect(log.appendAsLeader(abort, { leaderEpoch: 0, origin: 'coordinator' })).toMatchObject({
      firstOffset: 4,
    })
    // The marker at 4 may still be lost with this leader.
    expect([3, 4].map((highWatermark) => log.firstUnstableOffset(highWatermark))).toEqual([1, 1])
    expect(log.firstUnstableOffset(5)).toBe(5)
    expect(log.abortedTransactions(0, 5)).toEqual([{ producerId: 9, firstOffset: 1 }])
    expect(log.abortedTransactions(5, 6)).toEqual([])
  })
})

describe('a producer snapshot', () => {
  const entry = new ProducerEntry(77)
  entry.add({
    producerId: 77,
    producerEpoch: 3,
    firstSequence: 4,
    lastSequence: 6,
    firstOffset: 10,
    lastOffset: 12,
    maxTimestampMs: 1234,
    isTransactional: true,
  })

  it('comes back as it was', () => {
    const [back] = decodeProducerSnapshot(encodeProducerSnapshot([entry]))!
    expect(back).toEqual(entry)
  })

  it('has 46 bytes an entry after a header of 10', () => {
    const bytes = encodeProducerSnapshot([entry])
    expect(bytes.length).toBe(56)
    expect(bytes.readInt16BE(0)).toBe(1)
    expect(bytes.readInt32BE(6)).toBe(1)
    expect(bytes.readInt32BE(20)).toBe(6)
    expect(bytes.readBigInt64BE(48)).toBe(10n)
  })

  it.each([0, 3, 8, 30])('is refused when byte %i has changed', (at) => {
    const bytes = encodeProducerSnapshot([entry])
    bytes[at] ^= 1
    expect(decodeProducerSnapshot(bytes)).toBe(null)
  })
})

describe('transactions that have ended and are not replicated', () => {
  const transaction = (state: ProducerState, producerId: number, firstOffset: number): void => {
    const numbers = { producerEpoch: 0, firstSequence: 0, lastSequence: 0, maxTimestampMs: 0 }
    state.record({
      ...numbers,
      producerId,
      firstOffset,
      lastOffset: firstOffset,
      isTransactional: true,
    })
    const marker = { producerId, producerEpoch: 0, coordinatorEpoch: 0, isAbort: false, timestampMs: 0 }
    state.recordMarker({ ...marker, offset: firstOffset + 1 })
  }

  it('keep the unstable offset down one by one, and the oldest of them first', () => {
    const state = new ProducerState()
    transaction(state, 1, 0)
    transaction(state, 2, 10)
    const at = (highWatermark: number): number => state.firstUnstableOffset(highWatermark)
    expect([at(0), at(1), at(2), at(11), at(12)]).toEqual([0, 0, 10, 10, -1])
  })

  it('are taken together where they are very many: none is forgotten before all are replicated', () => {
    const state = new ProducerState()
    for (let i = 0; i < 1500; i++) transaction(state, i, 10 * i)
    expect(state.firstUnstableOffset(10 * 1400)).toBe(10 * 999)
    expect(state.firstUnstableOffset(10 * 1499 + 2)).toBe(-1)
  })
})
