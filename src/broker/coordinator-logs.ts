/** The topics of the coordinators, as these use them. */
import type { TopicAdmin } from '../controller/topic-admin.ts'
import type { Timers } from '../env/env.ts'
import { errorName } from '../protocol/error-codes.ts'
import type { ReplicaManager } from '../replication/replica-manager.ts'
import type { MetadataCache } from './metadata-cache.ts'
import { ReplicatedLog } from './replicated-log.ts'

export interface CoordinatorLogParts {
  readonly timers: Timers
  readonly metadata: MetadataCache
  readonly replicas: ReplicaManager
  readonly topics: TopicAdmin
}

export function coordinatorLog(
  topic: string,
  commitTimeoutMs: number,
  { timers, metadata, replicas, topics }: CoordinatorLogParts,
): ReplicatedLog {
  const ensureTopic = async (): Promise<number> => {
    const known = metadata.topic(topic)
    if (known) return known.partitions.length
    const { error } = await topics.autoCreateTopic(topic)
    const made = metadata.topic(topic)
    if (!made) throw new Error(`${topic} cannot be created: ${errorName(error)}`)
    return made.partitions.length
  }
  return new ReplicatedLog({ topic, timers, replicas, commitTimeoutMs, ensureTopic })
}
