/** The transaction coordinator of a broker, made of its other parts. */
import { DEFAULT_TRANSACTION_COORDINATOR_CONFIG } from '../coordinator/transactions/config.ts'
import type { TransactionCoordinatorConfig } from '../coordinator/transactions/config.ts'
import { TransactionCoordinator } from '../coordinator/transactions/transaction-coordinator.ts'
import type { Env } from '../env/env.ts'
import type { BrokerConfig } from './config/broker-config.ts'
import { coordinatorLog, type CoordinatorLogParts } from './coordinator-logs.ts'
import type { ProducerIds } from './producer-ids.ts'
import { TRANSACTIONS_TOPIC } from './topic-names.ts'
import { TxnMarkerChannels, type TxnMarkerChannelsOptions } from './txn-marker-channels.ts'

export interface TransactionParts
  extends CoordinatorLogParts, Pick<TxnMarkerChannelsOptions, 'brokerId' | 'here' | 'connectTimeoutMs'> {
  readonly producerIds: ProducerIds
}

export interface Transactions {
  readonly transactions: TransactionCoordinator
  readonly txnMarkerChannels: TxnMarkerChannels
}

export function buildTransactions(config: BrokerConfig, env: Env, parts: TransactionParts): Transactions {
  const { metadata, brokerId, here, connectTimeoutMs, producerIds } = parts
  const requestTimeoutMs = config.get('request.timeout.ms')
  const txnMarkerChannels = new TxnMarkerChannels({
    env,
    brokerId,
    metadata,
    here,
    listenerName: config.interBrokerListenerName(),
    requestTimeoutMs,
    connectTimeoutMs,
  })
  const transactions = new TransactionCoordinator({
    clock: env.clock,
    timers: env.timers,
    logger: env.logger,
    log: coordinatorLog(TRANSACTIONS_TOPIC, requestTimeoutMs, parts),
    config: transactionConfig(config),
    brokers: txnMarkerChannels,
    newProducerId: () => producerIds.allocate(),
    metadata: { partitionCount: (topic) => metadata.topic(topic)?.partitions.length },
  })
  metadata.onChange(({ brokersChanged }) => {
    if (brokersChanged) txnMarkerChannels.brokersChanged()
    transactions.metadataChanged()
  })
  return { transactions, txnMarkerChannels }
}

function transactionConfig(config: BrokerConfig): TransactionCoordinatorConfig {
  return {
    ...DEFAULT_TRANSACTION_COORDINATOR_CONFIG,
    transactionMaxTimeoutMs: config.get('transaction.max.timeout.ms'),
    transactionalIdExpirationMs: config.get('transactional.id.expiration.ms'),
    abortTimedOutIntervalMs: config.get('transaction.abort.timed.out.transaction.cleanup.interval.ms'),
    removeExpiredIntervalMs: config.get('transaction.remove.expired.transaction.cleanup.interval.ms'),
    stateLogPartitions: config.get('transaction.state.log.num.partitions'),
  }
}
