import { describe, expect, test } from 'vitest'
import type { Timers } from '../../src/env/env.ts'
import type { LogConfig } from '../../src/log/types.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import type { Partition } from '../../src/replication/partition.ts'
import type { ReadRequest } from '../../src/replication/types.ts'
import { waitForBytes, waitUntilCommitted } from '../../src/replication/wait.ts'
import { BROKER, hosted, readOf, stateOf } from './partition-fixture.ts'

const bytes = Buffer.alloc(10)

describe('Partition', () => {
  test('a leader opens its epoch once and takes no older decision', () => {
    const { log, partition } = hosted()
    expect(log.epochs).toEqual([5])
    expect(partition.makeLeader(stateOf({ leaderEpoch: 6, partitionEpoch: -2 }))).toBe(false)
    expect(log.epochs).toEqual([5])
  })

  test('alone in the in-sync set, its high watermark is its log end', () => {
    const { partition } = hosted()
    partition.append(bytes, 'client', -1)
    expect(partition.highWatermark).toBe(1)
  })

  test('with others in the in-sync set the high watermark waits for them', () => {
    const { partition } = hosted({ isr: [BROKER, 2], replicas: [BROKER, 2] })
    partition.append(bytes, 'client', 1)
    expect(partition.highWatermark).toBe(0)
    partition.makeLeader(stateOf({ leaderEpoch: 6, isr: [BROKER], replicas: [BROKER, 2] }))
    expect(partition.highWatermark).toBe(1)
  })

  test('acks=all below min.insync.replicas is NOT_ENOUGH_REPLICAS and appends nothing, acks=1 is served', () => {
    const { log, partition } = hosted()
    log.config = { minInsyncReplicas: 2 } as LogConfig
    partition.makeLeader(stateOf({ leaderEpoch: 6, replicas: [BROKER, 2] }))
    expect(partition.append(bytes, 'client', -1).error).toBe(ErrorCode.NOT_ENOUGH_REPLICAS)
    expect(log.logEndOffset).toBe(0)
    expect(partition.append(bytes, 'client', 1).error).toBe(ErrorCode.NONE)
  })

  test('who does not lead answers NOT_LEADER_OR_FOLLOWER', () => {
    const { partition } = hosted({ leader: 2, isr: [2], replicas: [BROKER, 2] })
    expect(partition.append(bytes, 'client', 1).error).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    expect(partition.read(readOf()).error).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    expect(partition.deleteRecordsBefore(0).error).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
  })

  test.each([
    ['an epoch below all', { currentLeaderEpoch: -2 }, ErrorCode.FENCED_LEADER_EPOCH],
    ['an older leader epoch', { currentLeaderEpoch: 4 }, ErrorCode.FENCED_LEADER_EPOCH],
    ['a newer leader epoch', { currentLeaderEpoch: 6 }, ErrorCode.UNKNOWN_LEADER_EPOCH],
    ['an offset below the log start', { fetchOffset: 1 }, ErrorCode.OFFSET_OUT_OF_RANGE],
    ['an offset above the log end', { fetchOffset: 9 }, ErrorCode.OFFSET_OUT_OF_RANGE],
    ['a replica that is not assigned', { replicaId: 7, fetchOffset: 3 }, ErrorCode.NOT_LEADER_OR_FOLLOWER],
    ['the same with an epoch', { replicaId: 7, currentLeaderEpoch: 5 }, ErrorCode.UNKNOWN_LEADER_EPOCH],
  ])('reading with %s is refused', (_, change, error) => {
    const { log, partition } = hosted()
    for (let i = 0; i < 4; i++) partition.append(bytes, 'client', 1)
    log.logStartOffset = 2
    const { slice, ...result } = partition.read(readOf(change))
    expect(slice).toBe(null)
    expect(result.error).toBe(error)
    expect(result.highWatermark).toBe(-1)
  })

  test('consumers read to the high watermark, READ_COMMITTED to the last stable offset, debuggers to the end', () => {
    const { log, partition } = hosted()
    for (let i = 0; i < 4; i++) partition.append(bytes, 'client', 1)
    log.unstableFrom = 2
    log.logEndOffset = 6
    const read = (change: Partial<ReadRequest>) => String(partition.read(readOf(change)).slice?.bytes)
    expect(read({})).toBe('0-4')
    expect(read({ readCommitted: true })).toBe('0-2')
    expect(read({ replicaId: -2 })).toBe('0-6')
    expect(partition.read(readOf({ readCommitted: true, fetchOffset: 2 })).slice).toBe(null)
  })

  test('a reader whose log went another way is told where (KIP-595)', () => {
    const { log, partition } = hosted()
    for (let i = 0; i < 4; i++) partition.append(bytes, 'client', 1)
    log.epochEnd = { leaderEpoch: 3, endOffset: 2 }
    const diverged = partition.read(readOf({ lastFetchedEpoch: 4, fetchOffset: 3 }))
    expect(diverged.divergingEpoch).toEqual({ epoch: 3, endOffset: 2 })
    // Also above the log end: the reader learns where to go back to, not merely that it is too far.
    expect(partition.read(readOf({ lastFetchedEpoch: 4, fetchOffset: 9 })).divergingEpoch).not.toBe(null)
    log.epochEnd = { leaderEpoch: -1, endOffset: -1 }
    expect(partition.read(readOf({ lastFetchedEpoch: 4 })).error).toBe(ErrorCode.OFFSET_OUT_OF_RANGE)
  })

  test('records are deleted up to the high watermark and not beyond', () => {
    const { partition } = hosted()
    for (let i = 0; i < 4; i++) partition.append(bytes, 'client', 1)
    expect(partition.deleteRecordsBefore(5).error).toBe(ErrorCode.OFFSET_OUT_OF_RANGE)
    expect(partition.deleteRecordsBefore(-2).error).toBe(ErrorCode.OFFSET_OUT_OF_RANGE)
    expect(partition.deleteRecordsBefore(3)).toMatchObject({ error: 0, lowWatermark: 3 })
    expect(partition.deleteRecordsBefore(-1)).toMatchObject({ error: 0, lowWatermark: 4 })
  })
})

/** Timers that fire by hand. */
function handTimers() {
  const due: (() => void)[] = []
  const timers: Timers = {
    after: (_, callback) => {
      due.push(callback)
      return { cancel: () => void due.splice(due.indexOf(callback), 1) }
    },
    soon: (callback) => callback(),
  }
  return { timers, due }
}
const turn = (): Promise<void> => Promise.resolve()

describe('waiting', () => {
  test('for bytes ends when enough have been added to the partitions together', async () => {
    const one = hosted().partition
    const other = hosted().partition
    const { timers, due } = handTimers()
    let done = 0
    waitForBytes(
      timers,
      [one, other],
      { missingBytes: 15, maxWaitMs: 500, bound: 'high-watermark' },
      () => done++,
    )
    one.append(bytes, 'client', 1)
    await turn()
    expect(done).toBe(0)
    other.append(bytes, 'client', 1)
    other.append(bytes, 'client', 1)
    await turn()
    expect([done, due.length]).toEqual([1, 0])
  })

  test('for bytes can be given up: nothing is left behind and nothing runs', async () => {
    const { partition } = hosted()
    const { timers, due } = handTimers()
    let done = 0
    const cancel = waitForBytes(
      timers,
      [partition],
      { missingBytes: 1, maxWaitMs: 500, bound: 'high-watermark' },
      () => done++,
    )
    cancel()
    partition.append(bytes, 'client', 1)
    await turn()
    expect([done, due.length]).toEqual([0, 0])
  })

  test('for bytes ends at the deadline, and when the partition goes away', async () => {
    for (const end of ['deadline', 'gone'] as const) {
      const { partition } = hosted()
      const { timers, due } = handTimers()
      let done = 0
      waitForBytes(
        timers,
        [partition],
        { missingBytes: 1000, maxWaitMs: 500, bound: 'high-watermark' },
        () => done++,
      )
      if (end === 'deadline') due[0]()
      else partition.stop()
      await turn()
      expect([end, done]).toEqual([end, 1])
    }
  })

  test('for the high watermark tells how it ended', async () => {
    const waiting = (end: (partition: Partition, due: (() => void)[]) => void): Promise<number> => {
      const { partition } = hosted({ isr: [BROKER, 2], replicas: [BROKER, 2] })
      const { timers, due } = handTimers()
      partition.append(bytes, 'client', -1)
      const reached = waitUntilCommitted(timers, partition, 1, 1000)
      end(partition, due)
      return reached
    }
    const next = { leaderEpoch: 6, replicas: [BROKER, 2] }
    expect(await waiting((partition) => partition.makeLeader(stateOf({ ...next, isr: [BROKER] })))).toBe(0)
    expect(await waiting((partition) => partition.makeFollower(stateOf({ ...next, leader: 2 })))).toBe(
      ErrorCode.NOT_LEADER_OR_FOLLOWER,
    )
    expect(await waiting((partition) => partition.goOffline())).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
    expect(await waiting((_, due) => due[0]())).toBe(ErrorCode.REQUEST_TIMED_OUT)
  })
})
