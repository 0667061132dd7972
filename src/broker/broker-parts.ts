/** The parts of a broker, made and joined: what one room needs of another is handed over here. */
import { Controller, type ControllerSettings } from '../controller/controller.ts'
import { tellOfFailedLogDir } from '../controller/log-dir-events.ts'
import type { BrokerChannel, BrokerInfo } from '../controller/metadata.ts'
import { internalTopics } from '../controller/internal-topics.ts'
import { TopicAdmin, type TopicSettings } from '../controller/topic-admin.ts'
import { ClusterTopics } from './group-topics.ts'
import { GroupCoordinator } from '../coordinator/groups/group-coordinator.ts'
import {
  DEFAULT_GROUP_COORDINATOR_CONFIG,
  type GroupCoordinatorConfig,
} from '../coordinator/groups/config.ts'
import { andThen } from '../coordinator/later.ts'
import type { CoordinationSession } from '../env/coordination.ts'
import type { Env } from '../env/env.ts'
import type { LogDirLocks } from '../log/log-dir-locks.ts'
import type { CleanerSettings } from '../log/cleaner/log-cleaner.ts'
import { createLogManager } from '../log/log-manager.ts'
import type { LogManager } from '../log/types.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import { NO_SEQUENCE } from '../protocol/record-batch.ts'
import { ReplicaManager } from '../replication/replica-manager.ts'
import { advertisedApis } from './api-table.ts'
import { buildTransactions, type Transactions } from './build-transactions.ts'
import { validateTopicConfigs, type BrokerConfig } from './config/broker-config.ts'
import { addOrVerify } from './add-partitions-to-txn.ts'
import { ConfigAdmin } from './config/config-admin.ts'
import { GroupConfigs } from './config/group-configs.ts'
import { confirmSession } from './confirm-session.ts'
import { ConnectionOrder } from './connection-order.ts'
import { ControlPlane, localChannel } from './control-plane.ts'
import { ControllerChannel } from './controller-channel.ts'
import { coordinatorLog } from './coordinator-logs.ts'
import { FetchSessionCache } from './fetch-sessions.ts'
import { followerFetchers } from './follower-fetchers.ts'
import { leaderQuota } from './leader-quota.ts'
import { MessageConversions } from './message-conversions.ts'
import { MetadataCache } from './metadata-cache.ts'
import { RACK_AWARE_SELECTOR } from './preferred-replica.ts'
import { ProducerIds } from './producer-ids.ts'
import { RemoteChannel } from './remote-channel.ts'
import type { Services } from './services.ts'
import { TopicConfigs } from './topic-configs.ts'
import { OFFSETS_TOPIC, TRANSACTIONS_TOPIC } from './topic-names.ts'
import { TransactionVersion } from './transaction-version.ts'
import { TxnCoordinatorChannel } from './txn-coordinator-channel.ts'
import { TxnMarkers } from './txn-markers.ts'
import { TxnVerification, type TransactionClient } from './txn-verification.ts'

const UNCLEAN_ELECTION = 'unclean.leader.election.enable'
/** Kafka's socket.connection.setup.timeout.ms, which its brokers take by default. */
const CONNECT_TIMEOUT_MS = 10_000

function committerOf(txnOffsetCommitVersion: number): TransactionClient {
  if (txnOffsetCommitVersion >= 5) return 'adds-by-writing'
  return txnOffsetCommitVersion === 4 ? 'knows-abortable' : 'old'
}

export interface Parts extends Transactions {
  readonly services: Services
  readonly controller: Controller
  readonly toController: ControllerChannel
  readonly toTxnCoordinators: TxnCoordinatorChannel
  readonly topicConfigs: TopicConfigs
  readonly groups: GroupCoordinator
  readonly logs: LogManager
  readonly configAdmin: ConfigAdmin
  readonly internalTopic: TopicSettings['internalTopic']
}

export interface Identity {
  readonly brokerId: number
  readonly clusterId: string
  /** Of its log directories. */
  readonly locks: LogDirLocks
  /** The czxid of its registration; -1 before there is one. */
  readonly brokerEpoch: () => number
  /** No other broker uses the coordination store. */
  readonly isAlone: boolean
}

export function buildParts(
  config: BrokerConfig,
  env: Env,
  session: CoordinationSession,
  identity: Identity,
): Parts {
  const { brokerId, clusterId, brokerEpoch } = identity
  const listenerName = config.interBrokerListenerName()
  const { timers, clock, logger, random } = env
  const metadata = new MetadataCache(clusterId, timers)
  const conversions = new MessageConversions()
  const topicConfigs = new TopicConfigs(config, (topic) => configAdmin.topicOverrides(topic))
  const configFor = topicConfigs.logConfig.bind(topicConfigs)
  const logs: LogManager = createLogManager({
    env,
    logDirs: config.logDirs(),
    brokerId,
    clusterId,
    configFor,
    settings: logSettings(config),
    locks: identity.locks,
    directoryFailed: (_, partitions) => {
      replicas.goOffline(partitions)
      metadata.replicasFailedHere(brokerId, partitions)
      void tellOfFailedLogDir({ session, timers, logger }, brokerId)
    },
    highWatermarkOf: (topic, partition) => replicas.highWatermarkOf(topic, partition),
  })
  let isSessionSound = true
  const fetchers = followerFetchers(config, env, { brokerId, brokerEpoch, topicConfigs })
  const replicas: ReplicaManager = new ReplicaManager({
    brokerId,
    logs,
    logger,
    timers,
    configFor,
    maxMoveBytesPerSecond: () => config.get('replica.alter.log.dirs.io.max.bytes.per.second'),
    clock,
    leaderAddress: (id) => {
      const endpoint = metadata.broker(id)?.endpoints.get(listenerName)
      return endpoint && { id, ...endpoint }
    },
    isLive: (id) => metadata.broker(id) !== undefined,
    readsFromFollowers: () => config.get('replica.selector.class') === RACK_AWARE_SELECTOR,
    lagTimeMaxMs: () => config.get('replica.lag.time.max.ms'),
    brokerEpoch,
    sessionTimeoutMs: () => config.get('zookeeper.session.timeout.ms'),
    fetchWaitMaxMs: () => config.get('replica.fetch.wait.max.ms'),
    isSessionSound: () => isSessionSound,
    confirmSession: () => confirmSession(session, timers),
    alterPartition: (request) => toController.alterPartition(request),
    fetchers,
    listener: {
      elected: (topic, partition, epoch) => {
        if (topic === OFFSETS_TOPIC) groups.onElected(partition, epoch)
        if (topic === TRANSACTIONS_TOPIC) transactions.onElected(partition, epoch)
      },
      resigned: (topic, partition) => {
        if (topic === OFFSETS_TOPIC) groups.onResigned(partition)
        if (topic === TRANSACTIONS_TOPIC) transactions.onResigned(partition)
      },
    },
  })
  session.onState((state) => {
    isSessionSound = state === 'connected' || state === 'renewed'
    if (state !== 'expired') return
    controlPlane.sessionExpired()
    replicas.sessionExpired()
  })
  const controlPlane: ControlPlane = new ControlPlane({
    brokerEpoch,
    metadata,
    replicas,
    topicConfigs,
    topicsDeleted: (names) => {
      for (const topic of names) {
        topicConfigs.forget(topic)
        conversions.forget(topic)
      }
    },
    partitionsDeleted: (partitions) => groups.onPartitionsDeleted(partitions),
  })
  const controller = new Controller({
    session,
    brokerId,
    clock,
    timers,
    random,
    logger,
    channelTo: channels(config, env, { brokerId, controlPlane }),
    settings: controllerSettings(config),
  })
  metadata.onChange(({ brokersChanged }) => {
    if (brokersChanged) replicas.brokersChanged()
  })
  const toController = new ControllerChannel({
    env,
    brokerId,
    brokerEpoch,
    metadata,
    controller,
    listenerName,
    requestTimeoutMs: config.get('controller.socket.timeout.ms'),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  })
  const settings = topicSettings(config, identity.isAlone)
  const topics = new TopicAdmin({
    session,
    random,
    logger,
    metadata,
    controller,
    validateTopicConfigs,
    settings,
  })
  const toTxnCoordinators = new TxnCoordinatorChannel({
    env,
    brokerId,
    metadata,
    local: {
      partitionFor: (transactionalId) => transactions.partitionFor(transactionalId),
      ask: (addition) => addOrVerify({ transactions, metadata }, addition, true),
    },
    listenerName,
    requestTimeoutMs: config.get('request.timeout.ms'),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  })
  const txnVerification = new TxnVerification({
    clock,
    timers,
    retryBackoffMs: config.get('add.partitions.to.txn.retry.backoff.ms'),
    retryMaxMs: Math.min(
      config.get('add.partitions.to.txn.retry.backoff.max.ms'),
      config.get('request.timeout.ms'),
    ),
    isEnabled: () => config.get('transaction.partition.verification.enable'),
    channel: toTxnCoordinators,
  })
  const groupConfigs = new GroupConfigs(session, config, logger)
  const groups = buildGroups(config, env, { metadata, replicas, topics, txnVerification, groupConfigs })
  const timeoutMs = (): number => config.get('request.timeout.ms')
  const txnMarkers = new TxnMarkers({ clock, timers, replicas, groups, timeoutMs })
  const producerIds = new ProducerIds(() => toController.allocateProducerIds())
  const { transactions, txnMarkerChannels } = buildTransactions(config, env, {
    brokerId,
    timers,
    metadata,
    replicas,
    topics,
    producerIds,
    here: txnMarkers,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  })
  const configAdmin = new ConfigAdmin({
    session,
    groupConfigs,
    config,
    brokerId,
    clock,
    logger,
    topicExists: (topic) => metadata.topic(topic) !== undefined,
    holdsTopicConfig: (topic) => topicConfigs.has(topic),
    onTopicConfigChange: (topic, overrides) => {
      topicConfigs.set(topic, overrides)
      replicas.topicConfigChanged(topic)
      if (overrides[UNCLEAN_ELECTION] === 'true') controller.uncleanElectionEnabled()
    },
    onBrokerConfigChange: (keys) => {
      topicConfigs.brokerChanged()
      replicas.allTopicConfigsChanged()
      fetchers.settingsChanged()
      if (keys.includes(UNCLEAN_ELECTION) && config.get(UNCLEAN_ELECTION)) controller.uncleanElectionEnabled()
    },
  })
  const randomId = (): number => random.bytes(4).readUInt32BE(0) & 0x7fffffff
  const slots = config.get('max.incremental.fetch.session.cache.slots')
  const fetchSessions = new FetchSessionCache(slots, () => clock.monotonicMs(), randomId)
  const services: Services = {
    env,
    brokerId,
    clusterId,
    isAlone: identity.isAlone,
    config,
    configAdmin,
    metadata,
    topics,
    controller,
    controlPlane,
    logs,
    replicas,
    leaderQuota: leaderQuota(config, env, { brokerId, topicConfigs }),
    groups,
    transactions,
    txnMarkers,
    txnVerification,
    transactionVersion: new TransactionVersion({
      session,
      timers,
      logger,
      supported: Number(config.get('odradek.transaction.version')),
    }),
    connectionOrder: new ConnectionOrder(),
    producerIds,
    fetchSessions,
    conversions,
    advertisedApis,
  }
  const { internalTopic } = settings
  return {
    services,
    controller,
    toController,
    toTxnCoordinators,
    txnMarkerChannels,
    topicConfigs,
    groups,
    transactions,
    logs,
    configAdmin,
    internalTopic,
  }
}

/** The controller's ways to brokers: a function call to its own, a connection to any other. */
function channels(
  config: BrokerConfig,
  env: Env,
  of: { brokerId: number; controlPlane: ControlPlane },
): (broker: BrokerInfo) => BrokerChannel {
  const { brokerId, controlPlane } = of
  const settings = {
    brokerId,
    listenerName: config.interBrokerListenerName(),
    socketTimeoutMs: config.get('controller.socket.timeout.ms'),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  }
  return (broker) => {
    if (broker.id === brokerId) return localChannel(controlPlane, broker.epoch)
    return new RemoteChannel(env, broker, settings)
  }
}

function controllerSettings(config: BrokerConfig): ControllerSettings {
  return {
    deletionEnabled: () => config.get('delete.topic.enable'),
    uncleanElectionEnabled: () => config.get('unclean.leader.election.enable'),
    fastFailoverEnabled: () => config.get('odradek.fast.failover.enable'),
    rebalanceEnabled: () => config.get('auto.leader.rebalance.enable'),
    imbalanceCheckIntervalMs: () => config.get('leader.imbalance.check.interval.seconds') * 1000,
    imbalancePercentage: () => config.get('leader.imbalance.per.broker.percentage'),
  }
}

function topicSettings(config: BrokerConfig, isAlone: boolean): TopicSettings {
  return {
    numPartitions: () => config.get('num.partitions'),
    defaultReplicationFactor: () => config.get('default.replication.factor'),
    deletionEnabled: () => config.get('delete.topic.enable'),
    capInternalReplication: () => isAlone,
    internalTopic: internalTopics({
      offsets: {
        partitions: config.get('offsets.topic.num.partitions'),
        replicationFactor: config.get('offsets.topic.replication.factor'),
        segmentBytes: config.get('offsets.topic.segment.bytes'),
      },
      transactions: {
        partitions: config.get('transaction.state.log.num.partitions'),
        replicationFactor: config.get('transaction.state.log.replication.factor'),
        segmentBytes: config.get('transaction.state.log.segment.bytes'),
        minInsyncReplicas: config.get('transaction.state.log.min.isr'),
      },
    }),
  }
}

function logSettings(config: BrokerConfig) {
  return {
    flushCheckpointIntervalMs: config.get('log.flush.offset.checkpoint.interval.ms'),
    logStartCheckpointIntervalMs: config.get('log.flush.start.offset.checkpoint.interval.ms'),
    highWatermarkCheckpointIntervalMs: config.get('replica.high.watermark.checkpoint.interval.ms'),
    retentionCheckIntervalMs: config.get('log.retention.check.interval.ms'),
    get producerIdExpirationMs() {
      return config.get('producer.id.expiration.ms')
    },
    producerIdExpirationCheckIntervalMs: config.get('producer.id.expiration.check.interval.ms'),
    cleaner: cleanerSettings(config),
  }
}

/** All but the first change while running. */
function cleanerSettings(config: BrokerConfig): CleanerSettings {
  return {
    enabled: config.get('log.cleaner.enable'),
    get threads() {
      return config.get('log.cleaner.threads')
    },
    get dedupeBufferBytes() {
      return config.get('log.cleaner.dedupe.buffer.size')
    },
    get ioBufferBytes() {
      return config.get('log.cleaner.io.buffer.size')
    },
    get loadFactor() {
      return config.get('log.cleaner.io.buffer.load.factor')
    },
    get maxBytesPerSecond() {
      return config.get('log.cleaner.io.max.bytes.per.second')
    },
    get backoffMs() {
      return config.get('log.cleaner.backoff.ms')
    },
  }
}

function groupConfig(config: BrokerConfig): GroupCoordinatorConfig {
  return {
    ...DEFAULT_GROUP_COORDINATOR_CONFIG,
    groupMinSessionTimeoutMs: config.get('group.min.session.timeout.ms'),
    groupMaxSessionTimeoutMs: config.get('group.max.session.timeout.ms'),
    groupInitialRebalanceDelayMs: config.get('group.initial.rebalance.delay.ms'),
    groupMaxSize: config.get('group.max.size'),
    offsetMetadataMaxBytes: config.get('offset.metadata.max.bytes'),
    offsetsRetentionMs: config.get('offsets.retention.minutes') * 60_000,
    offsetsRetentionCheckIntervalMs: config.get('offsets.retention.check.interval.ms'),
    offsetsTopicPartitions: config.get('offsets.topic.num.partitions'),
    rebalanceProtocols: config.get('group.coordinator.rebalance.protocols'),
    consumerGroupSessionTimeoutMs: config.get('group.consumer.session.timeout.ms'),
    consumerGroupHeartbeatIntervalMs: config.get('group.consumer.heartbeat.interval.ms'),
    consumerGroupMaxSize: config.get('group.consumer.max.size'),
    consumerGroupAssignors: config.get('group.consumer.assignors'),
    consumerGroupMigrationPolicy: config.get('group.consumer.migration.policy'),
    consumerGroupRegexRefreshIntervalMs: config.get('group.consumer.regex.refresh.interval.ms'),
  }
}

function buildGroups(
  config: BrokerConfig,
  env: Env,
  parts: {
    metadata: MetadataCache
    replicas: ReplicaManager
    topics: TopicAdmin
    txnVerification: TxnVerification
    groupConfigs: GroupConfigs
  },
): GroupCoordinator {
  const { metadata, replicas, topics, txnVerification, groupConfigs } = parts
  const { timers } = env
  const commitTimeoutMs = config.get('offsets.commit.timeout.ms')
  const log = coordinatorLog(OFFSETS_TOPIC, commitTimeoutMs, { timers, metadata, replicas, topics })
  const groups = new GroupCoordinator({
    clock: env.clock,
    timers,
    random: env.random,
    logger: env.logger,
    log,
    config: { ...groupConfig(config), ofGroup: (groupId) => groupConfigs.timesOf(groupId) },
    metadata: { partitionCount: (topic) => metadata.topic(topic)?.partitions.length },
    verifyTransaction: (index, transaction, apiVersion) => {
      const partition = replicas.get(OFFSETS_TOPIC, index)
      if (partition === undefined) return { error: ErrorCode.NOT_LEADER_OR_FOLLOWER, guard: null }
      const batches = [{ partition, sequence: NO_SEQUENCE }]
      return andThen(txnVerification.verify(transaction, batches, committerOf(apiVersion)), ([one]) => one)
    },
    topics: new ClusterTopics(metadata),
  })
  metadata.onChange(({ topics: changed, brokersChanged }) => {
    groups.consumers.onTopicsChanged(changed, brokersChanged)
  })
  return groups
}
