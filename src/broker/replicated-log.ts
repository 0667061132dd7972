/** `__consumer_offsets` as the group coordinator uses it: replicated partitions of this broker. */
import type { Timers } from '../env/env.ts'
import type { AppendResult, AppendWishes, CoordinatorLog } from '../coordinator/coordinator-log.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import { batchSize, lastOffset } from '../protocol/record-batch.ts'
import type { ReplicaManager } from '../replication/replica-manager.ts'
import { committed } from './committed.ts'

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

  append(index: number, batch: Buffer, wishes: AppendWishes = {}): AppendResult {
    const partition = this.options.replicas.get(this.options.topic, index)
    if (!partition) return { error: ErrorCode.NOT_LEADER_OR_FOLLOWER, baseOffset: -1, committed: null }
    const outcome = partition.append(batch, 'coordinator', -1, wishes.guard)
    if (outcome.error !== ErrorCode.NONE || !('firstOffset' in outcome)) {
      return { error: outcome.error, baseOffset: -1, committed: null }
    }
    const { timers, commitTimeoutMs } = this.options
    const { firstOffset, lastOffset: last } = outcome
    return {
      error: ErrorCode.NONE,
      baseOffset: firstOffset,
      committed: committed(timers, partition, last, wishes.timeoutMs ?? commitTimeoutMs),
    }
  }

  leadsSurely(index: number): boolean {
    return this.options.replicas.get(this.options.topic, index)?.leadsSurely === true
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
}
