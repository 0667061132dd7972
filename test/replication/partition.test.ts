import { describe, expect, test } from 'vitest'
import type { LogConfig, ReplicaLog } from '../../src/log/types.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { Partition } from '../../src/replication/partition.ts'
import type { PartitionState, ReadRequest } from '../../src/replication/types.ts'
import { waitForBytes, waitForHighWatermark } from '../../src/replication/wait.ts'
import type { Timers } from '../../src/env/env.ts'

/** A log that counts: every append is one record of `records.length` bytes. */
class CountingLog {
  readonly topic = 't'
  readonly partition = 0
  readonly topicId = 'AAAAAAAAAAAAAAAAAAAAAA'
  logStartOffset = 0
  logEndOffset = 0
  firstUnstableOffset = Infinity
  epochs: number[] = []
  config = { minInsyncReplicas: 1 } as LogConfig
  epochEnd = { leaderEpoch: -1, endOffset: -1 }
  appendAsLeader(records: Buffer) {
    const firstOffset = this.logEndOffset
    this.logEndOffset += 1
    return {
      error: 0 as const,
      firstOffset,
      lastOffset: firstOffset,
      logAppendTimeMs: -1,
      duplicate: false,
      size: records.length,
    }
  }
  startLeaderEpoch(epoch: number): void {
    this.epochs.push(epoch)
  }
  read(offset: number, options: { upperBoundOffset: number }) {
    return { bytes: Buffer.from(`${offset}-${options.upperBoundOffset}`), release: () => undefined }
  }
  abortedTransactions(): [] {
    return []
  }
  endOffsetForEpoch() {
    return this.epochEnd
  }
  raiseLogStart(offset: number): void {
    this.logStartOffset = Math.max(this.logStartOffset, offset)
  }
}

const BROKER = 1
const stateOf = (change: Partial<PartitionState> = {}): PartitionState => ({
  topic: 't',
  topicId: 'AAAAAAAAAAAAAAAAAAAAAA',
  partition: 0,
  leader: BROKER,
  leaderEpoch: 5,
  isr: [BROKER],
  replicas: [BROKER],
  partitionEpoch: 0,
  isNew: false,
  ...change,
})
const readOf = (change: Partial<ReadRequest> = {}): ReadRequest => ({
  fetchOffset: 0,
  currentLeaderEpoch: -1,
  lastFetchedEpoch: -1,
  maxBytes: 100,
  minOneBatch: true,
  readCommitted: false,
  replicaId: -1,
  ...change,
})

function led(change: Partial<PartitionState> = {}) {
  const log = new CountingLog()
  const partition = new Partition(BROKER, log as unknown as ReplicaLog, 0)
  const state = stateOf(change)
  if (state.leader === BROKER) partition.makeLeader(state)
  else partition.makeFollower(state)
  return { log, partition }
}
const bytes = Buffer.alloc(10)

describe('Partition', () => {
  test('a leader opens its epoch once and takes no older decision', () => {
    const { log, partition } = led()
    expect(log.epochs).toEqual([5])
    expect(partition.makeLeader(stateOf({ leaderEpoch: 6, partitionEpoch: -2 }))).toBe(false)
    expect(log.epochs).toEqual([5])
  })

  test('alone in the in-sync set, its high watermark is its log end', () => {
    const { partition } = led()
    partition.append(bytes, 'client', -1)
    expect(partition.highWatermark).toBe(1)
  })

  test('with others in the in-sync set the high watermark waits for them', () => {
    const { partition } = led({ isr: [BROKER, 2], replicas: [BROKER, 2] })
    partition.append(bytes, 'client', 1)
    expect(partition.highWatermark).toBe(0)
    partition.makeLeader(stateOf({ leaderEpoch: 6, isr: [BROKER], replicas: [BROKER, 2] }))
    expect(partition.highWatermark).toBe(1)
  })

  test('acks=all below min.insync.replicas is NOT_ENOUGH_REPLICAS and appends nothing, acks=1 is served', () => {
    const { log, partition } = led()
    log.config = { minInsyncReplicas: 2 } as LogConfig
    expect(partition.append(bytes, 'client', -1).error).toBe(ErrorCode.NOT_ENOUGH_REPLICAS)
    expect(log.logEndOffset).toBe(0)
    expect(partition.append(bytes, 'client', 1).error).toBe(ErrorCode.NONE)
  })

  test('who does not lead answers NOT_LEADER_OR_FOLLOWER', () => {
    const { partition } = led({ leader: 2, isr: [2], replicas: [BROKER, 2] })
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
    const { log, partition } = led()
    for (let i = 0; i < 4; i++) partition.append(bytes, 'client', 1)
    log.logStartOffset = 2
    const { slice, ...result } = partition.read(readOf(change))
    expect(slice).toBe(null)
    expect(result.error).toBe(error)
    expect(result.highWatermark).toBe(-1)
  })

  test('consumers read to the high watermark, READ_COMMITTED to the last stable offset, debuggers to the end', () => {
    const { log, partition } = led()
    for (let i = 0; i < 4; i++) partition.append(bytes, 'client', 1)
    log.firstUnstableOffset = 2
    log.logEndOffset = 6
    const read = (change: Partial<ReadRequest>) => String(partition.read(readOf(change)).slice?.bytes)
    expect(read({})).toBe('0-4')
    expect(read({ readCommitted: true })).toBe('0-2')
    expect(read({ replicaId: -2 })).toBe('0-6')
    expect(partition.read(readOf({ readCommitted: true, fetchOffset: 2 })).slice).toBe(null)
  })

  test('a reader whose log went another way is told where (KIP-595)', () => {
    const { log, partition } = led()
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
    const { partition } = led()
    for (let i = 0; i < 4; i++) partition.append(bytes, 'client', 1)
    expect(partition.deleteRecordsBefore(5).error).toBe(ErrorCode.OFFSET_OUT_OF_RANGE)
    expect(partition.deleteRecordsBefore(-2).error).toBe(ErrorCode.OFFSET_OUT_OF_RANGE)
    expect(partition.deleteRecordsBefore(3)).toEqual({ error: 0, lowWatermark: 3 })
    expect(partition.deleteRecordsBefore(-1)).toEqual({ error: 0, lowWatermark: 4 })
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
    const one = led().partition
    const other = led().partition
    const { timers, due } = handTimers()
    let done = 0
    waitForBytes(timers, [one, other], { missingBytes: 15, maxWaitMs: 500 }, () => done++)
    one.append(bytes, 'client', 1)
    await turn()
    expect(done).toBe(0)
    other.append(bytes, 'client', 1)
    other.append(bytes, 'client', 1)
    await turn()
    expect([done, due.length]).toEqual([1, 0])
  })

  test('for bytes can be given up: nothing is left behind and nothing runs', async () => {
    const { partition } = led()
    const { timers, due } = handTimers()
    let done = 0
    const cancel = waitForBytes(timers, [partition], { missingBytes: 1, maxWaitMs: 500 }, () => done++)
    cancel()
    partition.append(bytes, 'client', 1)
    await turn()
    expect([done, due.length]).toEqual([0, 0])
  })

  test('for bytes ends at the deadline, and when the partition goes away', async () => {
    for (const end of ['deadline', 'gone'] as const) {
      const { partition } = led()
      const { timers, due } = handTimers()
      let done = 0
      waitForBytes(timers, [partition], { missingBytes: 1000, maxWaitMs: 500 }, () => done++)
      if (end === 'deadline') due[0]()
      else partition.stop()
      await turn()
      expect([end, done]).toEqual([end, 1])
    }
  })

  test('for the high watermark tells whether it was reached', async () => {
    const waiting = (end: (partition: Partition, due: (() => void)[]) => void): Promise<boolean> => {
      const { partition } = led({ isr: [BROKER, 2], replicas: [BROKER, 2] })
      const { timers, due } = handTimers()
      partition.append(bytes, 'client', -1)
      const reached = waitForHighWatermark(timers, partition, 1, 1000)
      end(partition, due)
      return reached
    }
    expect(await waiting((partition) => partition.makeLeader(stateOf({ isr: [BROKER] })))).toBe(true)
    expect(await waiting((partition) => partition.makeFollower(stateOf({ leader: 2, leaderEpoch: 6 })))).toBe(
      false,
    )
    expect(await waiting((_, due) => due[0]())).toBe(false)
  })
})
