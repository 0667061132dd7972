/**
 * DescribeLogDirs 0-4: the data directories of this broker, the partitions in them and their sizes. v4 adds the size and the
 * free space of the file system. A null list of topics means all. A partition that moves to another directory
 * (AlterReplicaLogDirs) is in both, in the other as a future replica that lags. A directory that has failed has an error.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  DescribeLogDirsRequest,
  DescribeLogDirsResponse,
} from '../../protocol/messages/35-describe-log-dirs.ts'
import type { ReplicaLog } from '../../log/types.ts'
import type { Services } from '../services.ts'

type Result = DescribeLogDirsResponse['results'][number]

export function handleDescribeLogDirs(
  services: Services,
  request: DescribeLogDirsRequest,
): DescribeLogDirsResponse {
  const wanted = wantedPartitions(request)
  const byDirectory = new Map<string, ReplicaLog[]>()
  for (const log of [...services.logs.all(), ...services.logs.futures()]) {
    if (!wanted(log.topic, log.partition)) continue
    const logs = byDirectory.get(log.logDirectory)
    if (logs) logs.push(log)
    else byDirectory.set(log.logDirectory, [log])
  }
  const results = services.logs.logDirectories().map(({ path, online, totalBytes, usableBytes }): Result => {
    if (!online) return { errorCode: ErrorCode.KAFKA_STORAGE_ERROR, logDir: path, topics: [] }
    const topics = topicsOf(services, byDirectory.get(path) ?? [])
    return { errorCode: ErrorCode.NONE, logDir: path, topics, totalBytes, usableBytes }
  })
  return { errorCode: ErrorCode.NONE, results }
}

function wantedPartitions({ topics }: DescribeLogDirsRequest): (topic: string, partition: number) => boolean {
  if (topics === null) return () => true
  const partitionsOf = new Map(topics.map(({ topic, partitions }) => [topic, new Set(partitions)]))
  return (topic, partition) => partitionsOf.get(topic)?.has(partition) ?? false
}

function topicsOf(services: Services, logs: readonly ReplicaLog[]): Result['topics'] {
  const byTopic = new Map<string, Result['topics'][number]['partitions'][number][]>()
  for (const log of logs) {
    const partitions = byTopic.get(log.topic) ?? []
    byTopic.set(log.topic, partitions)
    const current = services.logs.get(log.topic, log.partition)
    const isFutureKey = log !== current
    // How far a future log lies behind the current one; a leader's own log never lies behind its high watermark.
    const offsetLag = isFutureKey ? (current?.logEndOffset ?? log.logEndOffset) - log.logEndOffset : 0
    const { partition: partitionIndex, sizeBytes: partitionSize } = log
    partitions.push({ partitionIndex, partitionSize, offsetLag, isFutureKey })
  }
  return [...byTopic].map(([name, partitions]) => ({ name, partitions }))
}
