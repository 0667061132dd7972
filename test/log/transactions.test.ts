import { describe, expect, it, test } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { endMarkerBatch } from '../../src/protocol/end-marker.ts'
import type { AppendOutcome, ReplicaLog } from '../../src/log/types.ts'
import {
  MAX_VERIFICATIONS,
  type FirstAppend,
  type VerificationGuard,
  Verifications,
} from '../../src/log/verifications.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { append, batchOf, openLogs, readAll, START_MS, type BatchShape } from './log-fixture.ts'

const PRODUCER = 9

function simDisk(): SimDisk {
  return new SimDisk({ random: new SeededRandom(1) })
}

const inTransaction = (baseSequence: number, more: Partial<BatchShape> = {}): BatchShape => ({
  values: ['a'],
  producerId: PRODUCER,
  producerEpoch: 0,
  baseSequence,
  transactional: true,
  ...more,
})

function end(
  log: ReplicaLog,
  isAbort: boolean,
  more: { producerEpoch?: number; coordinatorEpoch?: number; producerId?: number } = {},
): AppendOutcome {
  const marker = { producerId: PRODUCER, producerEpoch: 0, coordinatorEpoch: 0, isAbort, ...more }
  return log.appendAsLeader(endMarkerBatch(marker, START_MS), { leaderEpoch: 0, origin: 'coordinator' })
}

function appendVerified(
  log: ReplicaLog,
  shape: BatchShape,
  guard: VerificationGuard | null,
  origin: 'client' | 'coordinator' = 'client',
): AppendOutcome {
  return log.appendAsLeader(batchOf(shape), { leaderEpoch: 0, origin, guard })
}

const firstOf = (producerId: number, more: Partial<FirstAppend> = {}): FirstAppend => {
  return { producerId, producerEpoch: 0, sequence: 0, isBumping: false, ...more }
}

function verify(log: ReplicaLog, sequence: number, producerEpoch = 0, isBumping = false) {
  const guard = log.startVerification(firstOf(PRODUCER, { sequence, producerEpoch, isBumping }))
  if (guard === 'fenced') throw new Error('a newer epoch has been here')
  return guard
}

const refusedAs = (error: number) => ({ error })

describe('the first record of a transaction', () => {
  it('needs the guard that is held for its producer, whoever writes it', () => {
    const log = openLogs({ disk: simDisk() }).log()
    const refusal = refusedAs(ErrorCode.INVALID_TXN_STATE)
    expect(appendVerified(log, inTransaction(0), null)).toMatchObject(refusal)
    expect(appendVerified(log, inTransaction(0), null, 'coordinator')).toMatchObject(refusal)
    const guard = verify(log, 0)
    expect(appendVerified(log, inTransaction(0), { producerId: PRODUCER })).toMatchObject(refusal)
    expect(appendVerified(log, inTransaction(0), guard)).toMatchObject({ error: 0, firstOffset: 0 })
  })

  it('opens the transaction for those that follow: these need none', () => {
    const log = openLogs({ disk: simDisk() }).log()
    appendVerified(log, inTransaction(0), verify(log, 0))
    expect(verify(log, 1)).toBe(null)
    expect(appendVerified(log, inTransaction(1), null)).toMatchObject({ error: 0 })
    end(log, false)
    expect(appendVerified(log, inTransaction(2), null)).toMatchObject(refusedAs(ErrorCode.INVALID_TXN_STATE))
  })

  it('is not let in by what was confirmed before a marker came', () => {
    const log = openLogs({ disk: simDisk() }).log()
    const guard = verify(log, 0)
    end(log, true)
    expect(verify(log, 0)).not.toBe(guard)
    expect(appendVerified(log, inTransaction(0), guard)).toMatchObject(refusedAs(ErrorCode.INVALID_TXN_STATE))
  })

  it('is answered as before when it comes again after the transaction has ended', () => {
    const log = openLogs({ disk: simDisk() }).log()
    appendVerified(log, inTransaction(0), verify(log, 0))
    end(log, false)
    const again = appendVerified(log, inTransaction(0), null)
    expect(again).toMatchObject({ error: 0, duplicate: true, firstOffset: 0 })
  })

  it('does not overtake one of a lower sequence that is tried again', () => {
    const log = openLogs({ disk: simDisk() }).log()
    const guard = verify(log, 3)
    expect(verify(log, 4)).toBe(guard)
    expect(appendVerified(log, inTransaction(4), guard)).toMatchObject(
      refusedAs(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
    )
    expect(appendVerified(log, inTransaction(3), guard)).toMatchObject({ error: 0 })
    expect(appendVerified(log, inTransaction(4), null)).toMatchObject({ error: 0 })
  })

  it('begins anew with a newer epoch', () => {
    const log = openLogs({ disk: simDisk() }).log()
    const guard = verify(log, 3)
    expect(verify(log, 5, 1)).toBe(guard)
    expect(appendVerified(log, inTransaction(5, { producerEpoch: 1 }), guard)).toMatchObject({ error: 0 })
  })
})

describe('the first record of a transaction whose producer has an epoch for each', () => {
  const next = (sequence: number) => inTransaction(sequence, { producerEpoch: 1 })

  it('is not of the transaction before, which has not ended here yet', () => {
    const log = openLogs({ disk: simDisk() }).log()
    appendVerified(log, inTransaction(0), verify(log, 0, 0, true))
    expect(appendVerified(log, next(0), null)).toMatchObject(refusedAs(ErrorCode.INVALID_TXN_STATE))
    const guard = verify(log, 0, 1, true)
    expect(guard).not.toBe(null)
    // The marker is of the epoch that it brings: what is asked meanwhile is of the next transaction.
    end(log, false, { producerEpoch: 1 })
    expect(appendVerified(log, next(0), guard)).toMatchObject({ error: 0 })
    expect(verify(log, 1, 1, true)).toBe(null)
  })

  it('is not let in by what was confirmed before the marker of its own end', () => {
    const log = openLogs({ disk: simDisk() }).log()
    const guard = verify(log, 0, 0, true)
    end(log, true, { producerEpoch: 1 })
    expect(log.startVerification(firstOf(PRODUCER, { isBumping: true }))).toBe('fenced')
    expect(appendVerified(log, inTransaction(0), guard)).toMatchObject(refusedAs(ErrorCode.INVALID_TXN_STATE))
  })

  it('has sequence 0 where nothing is known of the producer', () => {
    const log = openLogs({ disk: simDisk() }).log()
    const refusal = refusedAs(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    expect(appendVerified(log, inTransaction(3), verify(log, 3, 0, true))).toMatchObject(refusal)
    expect(appendVerified(log, inTransaction(0), verify(log, 0, 0, true))).toMatchObject({ error: 0 })
    const other = openLogs({ disk: simDisk() }).log()
    expect(appendVerified(other, inTransaction(3), verify(other, 3))).toMatchObject({ error: 0 })
  })
})

test('a batch of a coordinator is not larger than max.message.bytes either', () => {
  const log = openLogs({ disk: simDisk(), config: { maxMessageBytes: 200 } }).log()
  const commit = (value: string): AppendOutcome =>
    log.appendAsLeader(batchOf(value), { leaderEpoch: 0, origin: 'coordinator' })
  expect(commit('x'.repeat(200))).toMatchObject(refusedAs(ErrorCode.MESSAGE_TOO_LARGE))
  expect(commit('x'.repeat(100))).toMatchObject({ error: 0, firstOffset: 0 })
})

describe('what is being verified', () => {
  it('is forgotten with producer.id.expiration.ms', async () => {
    const fixture = openLogs({ disk: simDisk(), manager: {} })
    const log = fixture.log()
    append(log, 'a record, so that there is a log')
    const guard = verify(log, 0)
    await fixture.time.advance(86_400_000 + 600_000)
    expect(appendVerified(log, inTransaction(0), guard)).toMatchObject(refusedAs(ErrorCode.INVALID_TXN_STATE))
  })

  it('is bounded: the oldest one goes', () => {
    const verifications = new Verifications()
    const first = verifications.start(firstOf(0), START_MS)
    const second = verifications.start(firstOf(1), START_MS)
    for (let id = 2; id <= MAX_VERIFICATIONS; id++) verifications.start(firstOf(id), START_MS)
    expect(verifications.size).toBe(MAX_VERIFICATIONS)
    expect([verifications.isHeld(0, first), verifications.isHeld(1, second)]).toEqual([false, true])
  })
})

describe('a marker', () => {
  it('is refused from a coordinator, or for a producer, that is of yesterday', () => {
    const log = openLogs({ disk: simDisk() }).log()
    append(log, inTransaction(0, { producerEpoch: 2 }))
    expect(end(log, true, { producerEpoch: 1 })).toMatchObject(refusedAs(ErrorCode.INVALID_PRODUCER_EPOCH))
    expect(end(log, false, { producerEpoch: 2, coordinatorEpoch: 5 })).toMatchObject({ error: 0 })
    expect(end(log, true, { producerEpoch: 2, coordinatorEpoch: 4 })).toMatchObject(
      refusedAs(ErrorCode.TRANSACTION_COORDINATOR_FENCED),
    )
    expect(log.logEndOffset).toBe(2)
  })

  it('of a newer epoch fences the producer, whose new epoch begins at sequence 0', () => {
    const log = openLogs({ disk: simDisk() }).log()
    append(log, inTransaction(0))
    expect(end(log, true, { producerEpoch: 1 })).toMatchObject({ error: 0 })
    expect(append(log, inTransaction(1))).toMatchObject(refusedAs(ErrorCode.INVALID_PRODUCER_EPOCH))
    expect(append(log, inTransaction(1, { producerEpoch: 1 }))).toMatchObject(
      refusedAs(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
    )
    expect(append(log, inTransaction(0, { producerEpoch: 1 }))).toMatchObject({ error: 0 })
  })

  it('goes into a log that has no record of its transaction, and aborts nothing', () => {
    const log = openLogs({ disk: simDisk() }).log()
    expect(end(log, true)).toMatchObject({ error: 0, firstOffset: 0 })
    expect(log.abortedTransactions(0, 1)).toEqual([])
    expect(log.firstUnstableOffset(1)).toBe(1)
  })
})

describe('a follower', () => {
  it('records what its leader has let in, and refuses nothing', () => {
    const [leader, follower] = [openLogs({ disk: simDisk() }).log(), openLogs({ disk: simDisk() }).log()]
    append(leader, inTransaction(0, { producerEpoch: 3 }))
    follower.appendAsFollower(readAll(leader))
    const stale = batchOf(inTransaction(77, { producerEpoch: 1, baseSequence: 77 }))
    stale.writeBigInt64BE(1n, 0)
    follower.appendAsFollower(stale)
    expect(follower.logEndOffset).toBe(2)
    expect(follower.firstUnstableOffset(2)).toBe(0)
  })

  it('that leads then knows the transaction, its fences and its aborts', () => {
    const [leader, follower] = [openLogs({ disk: simDisk() }).log(), openLogs({ disk: simDisk() }).log()]
    append(leader, inTransaction(0))
    end(leader, true, { coordinatorEpoch: 6 })
    append(leader, inTransaction(1))
    follower.appendAsFollower(readAll(leader))
    expect(follower.firstUnstableOffset(3)).toBe(2)
    expect(follower.abortedTransactions(0, 3)).toEqual([{ producerId: PRODUCER, firstOffset: 0 }])
    expect(append(follower, inTransaction(1))).toMatchObject({ duplicate: true, firstOffset: 2 })
    expect(verify(follower, 2)).toBe(null)
    expect(end(follower, true, { coordinatorEpoch: 5 })).toMatchObject(
      refusedAs(ErrorCode.TRANSACTION_COORDINATOR_FENCED),
    )
    expect(end(follower, false, { coordinatorEpoch: 6 })).toMatchObject({ error: 0 })
  })
})

describe('a producer', () => {
  const idempotent = (baseSequence: number): BatchShape =>
    inTransaction(baseSequence, { transactional: false })

  it('is forgotten when it was idle for producer.id.expiration.ms, and may begin anywhere then', async () => {
    const { log, time } = openLogs({ disk: simDisk() })
    append(log(), idempotent(0))
    await time.advance(86_400_000 - 600_000)
    expect(append(log(), idempotent(5))).toMatchObject(refusedAs(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER))
    await time.advance(1_200_000)
    expect([...log().producers()]).toEqual([])
    expect(append(log(), idempotent(5))).toMatchObject({ error: 0 })
  })

  it('is kept as long as its transaction is open', async () => {
    const { log, time } = openLogs({ disk: simDisk() })
    append(log(), inTransaction(0))
    await time.advance(10 * 86_400_000)
    expect([...log().producers()].map(({ producerId }) => producerId)).toEqual([PRODUCER])
    expect(append(log(), inTransaction(5))).toMatchObject(refusedAs(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER))
  })

  it('is known after its records have gone by retention, and after a restart', async () => {
    const disk = simDisk()
    const config = { segmentBytes: 200, retentionBytes: 200 }
    const { log, manager, time } = openLogs({ disk, config })
    for (let i = 0; i < 3; i++) append(log(), idempotent(i))
    for (let i = 0; i < 9; i++) append(log(), 'others write on')
    expect(log().applyRetention(time.clock.nowMs(), log().logEndOffset)).toBeGreaterThan(3)
    expect(log().logStartOffset).toBeGreaterThan(3)
    expect(append(log(), idempotent(9))).toMatchObject(refusedAs(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER))
    await manager.stop()
    const after = openLogs({ disk, config }).log()
    expect(append(after, idempotent(9))).toMatchObject(refusedAs(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER))
    expect(append(after, idempotent(3))).toMatchObject({ error: 0 })
  })

  it('has a transaction open after a restart, the oldest one first', async () => {
    const disk = simDisk()
    const before = openLogs({ disk })
    for (const producerId of [5, 3, 8]) append(before.log(), inTransaction(0, { producerId }))
    end(before.log(), false, { producerId: 5 })
    await before.manager.stop()
    const log = openLogs({ disk }).log()
    expect(log.firstUnstableOffset(log.logEndOffset)).toBe(1)
    end(log, false, { producerId: 3 })
    expect(log.firstUnstableOffset(log.logEndOffset)).toBe(2)
  })
})

describe('the first unstable offset', () => {
  it('is not below the log start', () => {
    const log = openLogs({ disk: simDisk() }).log()
    append(log, inTransaction(0))
    append(log, 'plain')
    append(log, 'plain')
    log.raiseLogStart(2, 3)
    expect(log.firstUnstableOffset(3)).toBe(2)
  })
})
