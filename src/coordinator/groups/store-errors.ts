/** Where the log of `__consumer_offsets` does not take a record, classic groups and commits are told some things of their own. */
import { ErrorCode } from '../../protocol/error-codes.ts'
import { storeError } from '../store-error.ts'

/** For the records of joins, syncs and removals. */
export function classicStoreError(error: number): number {
  return error === ErrorCode.REQUEST_TIMED_OUT ? ErrorCode.REBALANCE_IN_PROGRESS : storeError(error)
}

/** For the records of offset commits. */
export function commitStoreError(error: number): number {
  switch (error) {
    case ErrorCode.NETWORK_EXCEPTION:
      return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    case ErrorCode.REQUEST_TIMED_OUT:
      return error
    case ErrorCode.MESSAGE_TOO_LARGE:
    case ErrorCode.RECORD_LIST_TOO_LARGE:
    case ErrorCode.INVALID_FETCH_SIZE:
      return ErrorCode.INVALID_COMMIT_OFFSET_SIZE
    default:
      return storeError(error)
  }
}
