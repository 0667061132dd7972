/** Waiting on partitions: for bytes to read, or for the high watermark. */
import type { Timers } from '../env/env.ts'
import type { Partition } from './partition.ts'
import type { PartitionWaiter } from './types.ts'

/**
 * Runs `done` once: when `missingBytes` more readable bytes have been added to the partitions together, when one of
 * them changed its leader or went away, or after `maxWaitMs`. `done` runs in a later turn than the append that ended
 * the waiting, so that one turn's appends are answered together. The function returned gives the waiting up.
 */
export function waitForBytes(
  timers: Timers,
  partitions: readonly Partition[],
  limits: { missingBytes: number; maxWaitMs: number },
  done: () => void,
): () => void {
  let missing = limits.missingBytes
  let finished = false
  const cancel = (): void => {
    finished = true
    timer.cancel()
    for (const partition of partitions) partition.removeWaiter(waiter)
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
  for (const partition of partitions) partition.addWaiter(waiter)
  return cancel
}

/** Resolves true when the high watermark has reached `offset`, false on time-out or when this broker no longer leads. */
export function waitForHighWatermark(
  timers: Timers,
  partition: Partition,
  offset: number,
  timeoutMs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const epoch = partition.leaderEpoch
    const finish = (reached: boolean): void => {
      timer.cancel()
      partition.removeWaiter(waiter)
      resolve(reached)
    }
    const check = (): void => {
      if (partition.highWatermark >= offset) finish(true)
      else if (!partition.isLeader || partition.leaderEpoch !== epoch) finish(false)
    }
    const waiter: PartitionWaiter = { grew: check, changed: check }
    const timer = timers.after(timeoutMs, () => finish(false))
    partition.addWaiter(waiter)
  })
}
