/** How coordinators write: appended at once, applied when it is committed. */
import { ErrorCode } from '../protocol/error-codes.ts'
import * as batch from '../protocol/record-batch.ts'
import type { CoordinatorLog } from './coordinator-log.ts'
import type { Later } from './later.ts'

export interface CommittedWrite {
  readonly partition: number
  readonly records: readonly { readonly key: Buffer; readonly value: Buffer | null }[]
  readonly timestampMs: number
  /** Whether the partition is still the one that was written to. Where it is not, nothing is applied. */
  isCurrent(): boolean
  /** `baseOffset` is that of the first record. */
  apply(baseOffset: number): void
}

/**
 * Appends the records as one batch and applies them once they are committed. Gives the log's error code, at once where the
 * log commits at once, or did not take them; NOT_LEADER_OR_FOLLOWER where the partition has gone meanwhile.
 */
export function writeCommitted(log: CoordinatorLog, write: CommittedWrite): Later<number> {
  const { partition, timestampMs } = write
  const records = write.records.map(({ key, value }) => ({ timestampMs, key, value }))
  const { error, baseOffset, committed } = log.append(partition, batch.buildBatch({ records }))
  if (error !== ErrorCode.NONE) return error
  if (committed === null) {
    write.apply(baseOffset)
    return ErrorCode.NONE
  }
  return committed.then((outcome) => {
    if (!write.isCurrent()) return ErrorCode.NOT_LEADER_OR_FOLLOWER
    if (outcome === ErrorCode.NONE) write.apply(baseOffset)
    return outcome
  })
}
