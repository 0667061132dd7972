/** `__consumer_offsets` as the group coordinator uses it: replicated partitions of this broker. */
import type { Timers } from '../env/env.ts'
import type { AppendResult, CoordinatorLog } from '../coordinator/coordinator-log.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import { batchSize, lastOffset } from '../protocol/record-batch.ts'
import type { Partition } from '../replication/partition.ts'
import type { ReplicaManager } from '../replication/replica-manager.ts'
import { waitUntilCommitted } from '../replication/wait.ts'

const READ_BYTES = 1 << 20

export interface ReplicatedLogOptions {
  readonly topic: string
  readonly timers: Timers
  readonly replicas: ReplicaManager
  /** offsets.commit.timeout.ms */
  readonly commitTimeoutMs: number
  readonly ensureTopic: () => Promise<number>
}

export class ReplicatedLog implements CoordinatorLog {
  private readonly options: ReplicatedLogOptions

  constructor(options: ReplicatedLogOptions) {
    this.options = options
  }

  ensureTopic(): Promise<number> {
    return this.options.ensureTopic()
  }

  append(index: number, batch: Buffer): AppendResult {
    const partition = this.options.replicas.get(this.options.topic, index)
    if (!partition) return { error: ErrorCode.NOT_LEADER_OR_FOLLOWER, baseOffset: -1, committed: null }
    const outcome = partition.append(batch, 'coordinator', -1)
    if (outcome.error !== ErrorCode.NONE || !('firstOffset' in outcome)) {
      return { error: outcome.error, baseOffset: -1, committed: null }
    }
    return {
      error: ErrorCode.NONE,
      baseOffset: outcome.firstOffset,
      committed: this.committed(partition, outcome.lastOffset),
    }
  }

  *read(index: number): Iterable<Buffer> {
    const partition = this.options.replicas.get(this.options.topic, index)
    if (!partition) return
    const { log } = partition
    let offset = log.logStartOffset
    while (offset < log.logEndOffset) {
      const options = { maxBytes: READ_BYTES, upperBoundOffset: log.logEndOffset, minOneBatch: true }
      const slice = log.read(offset, options)
      if (slice === null || slice.bytes.length === 0) {
        slice?.release()
        return
      }
      try {
        yield slice.bytes
        for (let at = 0; at < slice.bytes.length; at += batchSize(slice.bytes, at))
          offset = lastOffset(slice.bytes, at) + 1
      } finally {
        slice.release()
      }
    }
  }

  /** null when it is committed (and flushed, where the topic asks for it) already. */
  private committed(partition: Partition, last: number): Promise<number> | null {
    const { log } = partition
    if (partition.highWatermark > last && !log.flushDue) return null
    const flushed = log.flushDue
      ? log.flush().then(
          () => ErrorCode.NONE,
          () => ErrorCode.KAFKA_STORAGE_ERROR,
        )
      : Promise.resolve(ErrorCode.NONE)
    // Both at once. The waiting begins now: an epoch later the offset may be that of another record.
    const { timers, commitTimeoutMs } = this.options
    const committed = waitUntilCommitted(timers, partition, last + 1, commitTimeoutMs)
    return Promise.all([flushed, committed]).then(([flushError, error]) => flushError || error)
  }
}
