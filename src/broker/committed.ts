/** What was appended, and has to be everywhere before it counts. */
import type { Timers } from '../env/env.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import type { Partition } from '../replication/partition.ts'
import { waitUntilCommitted } from '../replication/wait.ts'

/**
 * Resolves with a Kafka error code when all up to `last` is committed, and flushed where the topic asks for it, or will not be
 * in time; null: it is already.
 */
export function committed(
  timers: Timers,
  partition: Partition,
  last: number,
  timeoutMs: number,
): Promise<number> | null {
  const { log } = partition
  if (partition.highWatermark > last && !log.flushDue) return null
  const flushed = log.flushDue
    ? log.flush().then(
        () => ErrorCode.NONE,
        () => ErrorCode.KAFKA_STORAGE_ERROR,
      )
    : Promise.resolve(ErrorCode.NONE)
  // Both at once. The waiting begins now: an epoch later the offset may be that of another record.
  const replicated = waitUntilCommitted(timers, partition, last + 1, timeoutMs)
  return Promise.all([flushed, replicated]).then(([flushError, error]) => flushError || error)
}
