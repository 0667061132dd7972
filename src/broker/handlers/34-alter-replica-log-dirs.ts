/**
 * AlterReplicaLogDirs 0-2 (KIP-113): moves partitions of this broker to another of its `log.dirs`. Answered when the moves
 * have begun; DescribeLogDirs shows how far they are. The directory where a partition lies ends a move of it; for a partition
 * that is not there yet, it is where it will be made (REPLICA_NOT_AVAILABLE all the same). v1 throttles first, v2 is flexible.
 * A partition that is named twice goes where it was named last.
 */
import { DiskError } from '../../env/disk.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  AlterReplicaLogDirsRequest,
  AlterReplicaLogDirsResponse,
} from '../../protocol/messages/34-alter-replica-log-dirs.ts'
import type { Services } from '../services.ts'

export function handleAlterReplicaLogDirs(
  services: Services,
  request: AlterReplicaLogDirsRequest,
): AlterReplicaLogDirsResponse {
  const targets = new Map<string, Map<number, string>>()
  for (const { path, topics } of request.dirs) {
    for (const { name, partitions } of topics) {
      if (partitions.length === 0) continue
      const ofTopic = targets.get(name) ?? new Map<number, string>()
      targets.set(name, ofTopic)
      for (const partition of partitions) ofTopic.set(partition, path)
    }
  }
  const directories = new Map(services.logs.logDirectories().map(({ path, online }) => [path, online]))
  const results = [...targets].map(([topicName, ofTopic]) => ({
    topicName,
    partitions: [...ofTopic].map(([partitionIndex, path]) => {
      const refused = refusal(services, topicName, partitionIndex, directories.get(path))
      return { partitionIndex, errorCode: refused ?? move(services, topicName, partitionIndex, path) }
    }),
  }))
  return { results }
}

/** `online`: of the directory; undefined: there is no such one. */
function refusal(services: Services, topic: string, partition: number, online?: boolean): number | null {
  if (!services.logs.canMove(topic, partition)) return ErrorCode.INVALID_TOPIC_EXCEPTION
  if (online === undefined) return ErrorCode.LOG_DIR_NOT_FOUND
  return online ? null : ErrorCode.KAFKA_STORAGE_ERROR
}

function move(services: Services, topic: string, partition: number, path: string): number {
  const { replicas, metadata, env } = services
  try {
    if (replicas.moveTo(topic, partition, path)) return ErrorCode.NONE
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
    env.logger.log('error', 'a move cannot begin', { path: error.path, error: error.message })
    return ErrorCode.KAFKA_STORAGE_ERROR
  }
  return metadata.partition(topic, partition)
    ? ErrorCode.REPLICA_NOT_AVAILABLE
    : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
}
