/** How coordinators write: appended at once, applied when it is committed. */
import { ErrorCode } from '../protocol/error-codes.ts'
import * as batch from '../protocol/record-batch.ts'
import type { AppendWishes, CoordinatorLog } from './coordinator-log.ts'
import type { Later } from './later.ts'

interface Target {
  readonly partition: number
  readonly wishes?: AppendWishes
  /** Whether the partition is still the one that was written to. Where it is not, nothing is applied. */
  isCurrent(): boolean
  /**
   * What was appended and is not known to be committed in time will be: it is in the log, and this broker leads it. True: it
   * is applied then, so that what is known is what the log says.
   */
  readonly appliesUnsure?: boolean
  /** `baseOffset` is that of the first record. */
  apply(baseOffset: number): void
}

export interface CommittedWrite extends Target {
  readonly records: readonly { readonly key: Buffer; readonly value: Buffer | null }[]
  readonly timestampMs: number
}

/** Appends the records as one batch: see `appendCommitted`. */
export function writeCommitted(log: CoordinatorLog, write: CommittedWrite): Later<number> {
  const { timestampMs } = write
  const records = write.records.map(({ key, value }) => ({ timestampMs, key, value }))
  return appendCommitted(log, batch.buildBatch({ records }), write)
}

/**
 * Appends a batch and applies it once it is committed. Gives the log's error code, at once where the log commits at once, or
 * did not take it; NOT_LEADER_OR_FOLLOWER where the partition has gone meanwhile.
 */
export function appendCommitted(log: CoordinatorLog, bytes: Buffer, target: Target): Later<number> {
  const { error, baseOffset, committed } = log.append(target.partition, bytes, target.wishes)
  if (error !== ErrorCode.NONE) return error
  if (committed === null) {
    target.apply(baseOffset)
    return ErrorCode.NONE
  }
  return committed.then((outcome) => {
    if (!target.isCurrent()) return ErrorCode.NOT_LEADER_OR_FOLLOWER
    if (outcome === ErrorCode.NONE || target.appliesUnsure === true) target.apply(baseOffset)
    return outcome
  })
}
