/** What a Fetch of a partition reads of its log, once it is known that it may. */
import type { ReplicaLog } from '../log/types.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import { readError, type ReadRequest, type ReadResult } from './types.ts'

export interface Marks {
  readonly highWatermark: number
  readonly lastStableOffset: number
}

const NOTHING: ReadResult['slice'] = null

/**
 * Why the log cannot be read from where the request begins, or where it went another way than the reader's (KIP-595); null:
 * it can be read.
 */
export function positionFault(log: ReplicaLog, marks: Marks, request: ReadRequest): ReadResult | null {
  const { fetchOffset, lastFetchedEpoch } = request
  const { logStartOffset } = log
  if (fetchOffset < logStartOffset) return readError(ErrorCode.OFFSET_OUT_OF_RANGE)
  if (lastFetchedEpoch >= 0) {
    const end = log.endOffsetForEpoch(lastFetchedEpoch)
    if (end.leaderEpoch < 0 || end.endOffset < 0) return readError(ErrorCode.OFFSET_OUT_OF_RANGE)
    // Also above the log end: the reader learns where to go back to, not merely that it is too far.
    if (end.leaderEpoch < lastFetchedEpoch || end.endOffset < fetchOffset) {
      const divergingEpoch = { epoch: end.leaderEpoch, endOffset: end.endOffset }
      return { ...found(log, marks), divergingEpoch }
    }
  }
  return fetchOffset > log.logEndOffset ? readError(ErrorCode.OFFSET_OUT_OF_RANGE) : null
}

/** Whole batches from `fetchOffset`. Throws DiskError. */
export function readLog(log: ReplicaLog, marks: Marks, request: ReadRequest): ReadResult {
  const { fetchOffset, readCommitted, maxBytes, minOneBatch } = request
  let upperBoundOffset = readCommitted ? marks.lastStableOffset : marks.highWatermark
  if (request.replicaId !== -1) upperBoundOffset = log.logEndOffset
  const mayGive = maxBytes > 0 || minOneBatch
  const slice =
    mayGive && fetchOffset < upperBoundOffset
      ? log.read(fetchOffset, { maxBytes, upperBoundOffset, minOneBatch })
      : NOTHING
  // Of no more than what is read, be it a small part: there may be very many in the rest of the log.
  const abortedTransactions = readCommitted
    ? log.abortedTransactions(fetchOffset, slice?.endOffset ?? fetchOffset)
    : null
  return { ...found(log, marks), slice, abortedTransactions }
}

/** Nothing is read: what is told of the log all the same. */
export function found(log: ReplicaLog, { highWatermark, lastStableOffset }: Marks): ReadResult {
  return {
    error: ErrorCode.NONE,
    highWatermark,
    lastStableOffset,
    logStartOffset: log.logStartOffset,
    slice: NOTHING,
    abortedTransactions: null,
    divergingEpoch: null,
  }
}
