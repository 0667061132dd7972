/** Waiting on partitions: for bytes to read, for the high watermark, for the low watermark. */
import type { Timers } from '../env/env.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import type { Partition } from './partition.ts'
import type { PartitionWaiter, ReadBound } from './types.ts'

/**
 * Runs `done` once: when `missingBytes` more bytes, readable up to `bound`, have been added to the partitions together, when
 * one of them changed its leader or went away, or after `maxWaitMs`. `done` runs in a later turn than the append that ended
 * the waiting, so that one turn's appends are answered together. The function returned gives the waiting up.
 */
export function waitForBytes(
  timers: Timers,
  partitions: readonly Partition[],
  limits: { missingBytes: number; maxWaitMs: number; bound: ReadBound },
  done: () => void,
): () => void {
  let missing = limits.missingBytes
  let finished = false
  const cancel = (): void => {
    finished = true
    timer.cancel()
    for (const partition of partitions) partition.removeWaiter(waiter, limits.bound)
  }
  const finish = (): void => {
    if (finished) return
    cancel()
    queueMicrotask(done)
  }
  const waiter: PartitionWaiter = {
    grew(bytes) {
      missing -= bytes
      if (missing <= 0) finish()
    },
    changed: finish,
  }
  const timer = timers.after(limits.maxWaitMs, finish)
  for (const partition of partitions) partition.addWaiter(waiter, limits.bound)
  return cancel
}

/**
 * Resolves with a Kafka error code: NONE when all below `offset` is committed, NOT_ENOUGH_REPLICAS_AFTER_APPEND when it is, by
 * fewer than `min.insync.replicas`, REQUEST_TIMED_OUT, or why this broker does not lead any more.
 */
export function waitUntilCommitted(
  timers: Timers,
  partition: Partition,
  offset: number,
  timeoutMs: number,
): Promise<number> {
  if (!partition.isLeader) return Promise.resolve(ErrorCode.NOT_LEADER_OR_FOLLOWER)
  return new Promise((resolve) => {
    const timer = timers.after(timeoutMs, () => {
      ack.gone = true
      resolve(ErrorCode.REQUEST_TIMED_OUT)
    })
    const ack = partition.whenCommitted(offset, (error) => {
      timer.cancel()
      resolve(error)
    })
  })
}

/** Resolves when the low watermark has reached `offset` (DeleteRecords, KIP-107), after `timeoutMs`, or without leadership. */
export function waitForLowWatermark(
  timers: Timers,
  partition: Partition,
  offset: number,
  timeoutMs: number,
): Promise<{ error: number; lowWatermark: number }> {
  return new Promise((resolve) => {
    const finish = (error: number): void => {
      timer.cancel()
      remove()
      resolve({ error, lowWatermark: partition.lowWatermark })
    }
    const remove = partition.addLowWatermarkWaiter(() => {
      if (!partition.isLeader) finish(ErrorCode.NOT_LEADER_OR_FOLLOWER)
      else if (partition.lowWatermark >= offset) finish(ErrorCode.NONE)
    })
    const timer = timers.after(timeoutMs, () => finish(ErrorCode.REQUEST_TIMED_OUT))
  })
}
