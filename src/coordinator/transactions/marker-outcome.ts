/** What a partition's answer to a marker means. Source: coordinators.md 6 (WriteTxnMarkers). */
import { ErrorCode } from '../../protocol/error-codes.ts'

/**
 * `marked`: it has its marker, or can have none. `retry`: it may have it later, or elsewhere. `give-up`: another coordinator, or
 * a newer producer, has taken the transaction over: no marker of it is sent any more.
 */
export type MarkerOutcome = 'marked' | 'retry' | 'give-up'

export function markerOutcome(errorCode: number): MarkerOutcome {
  switch (errorCode) {
    case ErrorCode.NONE:
    // The producer could not write there either.
    case ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT:
    case ErrorCode.UNSUPPORTED_VERSION:
      return 'marked'
    case ErrorCode.INVALID_PRODUCER_EPOCH:
    case ErrorCode.TRANSACTION_COORDINATOR_FENCED:
      return 'give-up'
    // UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS(_AFTER_APPEND), REQUEST_TIMED_OUT,
    // KAFKA_STORAGE_ERROR; and what no partition should answer, for a transaction must not stay open because of it.
    default:
      return 'retry'
  }
}
