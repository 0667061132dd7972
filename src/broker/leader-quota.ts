/** What this broker gives to throttled followers (KIP-73), by its configuration and that of topics. */
import type { Env } from '../env/env.ts'
import type { Partition } from '../replication/partition.ts'
import { ReplicationQuota } from '../replication/replication-quota.ts'
import type { BrokerConfig } from './config/broker-config.ts'
import type { TopicConfigs } from './topic-configs.ts'

export function leaderQuota(
  config: BrokerConfig,
  env: Env,
  parts: { readonly brokerId: number; readonly topicConfigs: TopicConfigs },
): ReplicationQuota {
  const { brokerId, topicConfigs } = parts
  return new ReplicationQuota({
    clock: env.clock,
    maxBytesPerSecond: () => config.get('leader.replication.throttled.rate'),
    isThrottled: (topic, partition) =>
      topicConfigs.isThrottled('leader.replication.throttled.replicas', { topic, partition, brokerId }),
    windows: config.get('replication.quota.window.num'),
    windowMs: config.get('replication.quota.window.size.seconds') * 1000,
  })
}

/** Whether a follower gets nothing now: the quota is used up, and it is not in sync, so that nobody waits for it. */
export function isHeldBack(quota: ReplicationQuota, partition: Partition, replicaId: number): boolean {
  if (replicaId < 0 || !quota.isThrottled(partition.topic, partition.index)) return false
  return !partition.isr.includes(replicaId) && quota.exceededForMs() > 0
}
