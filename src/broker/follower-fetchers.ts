/** The fetchers of this broker's followers, by its configuration. */
import type { Env } from '../env/env.ts'
import { ReplicaFetchers } from '../replication/follower/replica-fetchers.ts'
import { ReplicationQuota } from '../replication/replication-quota.ts'
import type { BrokerConfig } from './config/broker-config.ts'
import { leaderChannels } from './leader-channel.ts'
import type { TopicConfigs } from './topic-configs.ts'

/** Kafka's socket.connection.setup.timeout.ms, which its followers take by default. */
const CONNECT_TIMEOUT_MS = 10_000
const MAX_RESPONSE_BYTES = 0x7fffffff

export interface FollowerFetchersParts {
  readonly brokerId: number
  /** As this broker is registered now; -1: not yet. */
  readonly brokerEpoch: () => number
  readonly topicConfigs: TopicConfigs
}

export function followerFetchers(config: BrokerConfig, env: Env, parts: FollowerFetchersParts) {
  const { brokerId, brokerEpoch, topicConfigs } = parts
  const { clock, timers, logger } = env
  return new ReplicaFetchers({
    brokerId,
    brokerEpoch,
    clock,
    timers,
    logger,
    settings: fetchSettings(config),
    fetchersPerLeader: () => Math.max(1, config.get('num.replica.fetchers')),
    quota: new ReplicationQuota({
      clock,
      maxBytesPerSecond: () => config.get('follower.replication.throttled.rate'),
      isThrottled: (topic, partition) =>
        topicConfigs.isThrottled('follower.replication.throttled.replicas', { topic, partition, brokerId }),
      windows: config.get('replication.quota.window.num'),
      windowMs: config.get('replication.quota.window.size.seconds') * 1000,
    }),
    channelTo: leaderChannels(env, {
      brokerId,
      socketTimeoutMs: config.get('replica.socket.timeout.ms'),
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      // What a leader sends is as large as its largest batch, whatever was asked for (KIP-74).
      maxResponseBytes: MAX_RESPONSE_BYTES,
    }),
  })
}

function fetchSettings(config: BrokerConfig) {
  return {
    maxWaitMs: config.get('replica.fetch.wait.max.ms'),
    minBytes: config.get('replica.fetch.min.bytes'),
    maxBytes: config.get('replica.fetch.response.max.bytes'),
    partitionMaxBytes: config.get('replica.fetch.max.bytes'),
    backoffMs: config.get('replica.fetch.backoff.ms'),
  }
}
