/** Settings and limits of the transaction coordinator. */

export interface TransactionCoordinatorConfig {
  /** transaction.max.timeout.ms. Longer: INVALID_TRANSACTION_TIMEOUT. */
  readonly transactionMaxTimeoutMs: number
  /** transactional.id.expiration.ms */
  readonly transactionalIdExpirationMs: number
  /** transaction.abort.timed.out.transaction.cleanup.interval.ms */
  readonly abortTimedOutIntervalMs: number
  /** transaction.remove.expired.transaction.cleanup.interval.ms */
  readonly removeExpiredIntervalMs: number
  /** transaction.state.log.num.partitions: used until the topic's own count is known. */
  readonly stateLogPartitions: number
  /** Transactional ids of one coordinator. Reached: a new one's InitProducerId gets COORDINATOR_NOT_AVAILABLE. */
  readonly maxTransactionalIds: number
}

/** Kafka 3.9's defaults, and the limits that are this broker's own. */
export const DEFAULT_TRANSACTION_COORDINATOR_CONFIG: TransactionCoordinatorConfig = {
  transactionMaxTimeoutMs: 900_000,
  transactionalIdExpirationMs: 604_800_000,
  abortTimedOutIntervalMs: 10_000,
  removeExpiredIntervalMs: 3_600_000,
  stateLogPartitions: 50,
  maxTransactionalIds: 1_000_000,
}

/** Tombstones are written in batches of at most this many bytes of keys. */
export const MAX_TOMBSTONE_BATCH_BYTES = 256 * 1024
