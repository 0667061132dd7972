/**
 * DescribeLogDirs 0-4: the data directories of this broker, the partitions in them and their sizes. v4 adds the size and the
 * free space of the file system. A null list of topics means all.
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
  for (const log of services.logs.all()) {
    if (!wanted(log.topic, log.partition)) continue
    const logs = byDirectory.get(log.logDirectory)
    if (logs) logs.push(log)
    else byDirectory.set(log.logDirectory, [log])
  }
  const results = services.logs.logDirectories().map(({ path, online, totalBytes, usableBytes }): Result => {
    if (!online) return { errorCode: ErrorCode.KAFKA_STORAGE_ERROR, logDir: path, topics: [] }
    const topics = topicsOf(byDirectory.get(path) ?? [])
    return { errorCode: ErrorCode.NONE, logDir: path, topics, totalBytes, usableBytes }
  })
  return { errorCode: ErrorCode.NONE, results }
}

function wantedPartitions({ topics }: DescribeLogDirsRequest): (topic: string, partition: number) => boolean {
  if (topics === null) return () => true
  const partitionsOf = new Map(topics.map(({ topic, partitions }) => [topic, new Set(partitions)]))
  return (topic, partition) => partitionsOf.get(topic)?.has(partition) ?? false
}

function topicsOf(logs: readonly ReplicaLog[]): Result['topics'] {
  const byTopic = new Map<string, Result['topics'][number]['partitions'][number][]>()
  for (const log of logs) {
    const partitions = byTopic.get(log.topic) ?? []
    byTopic.set(log.topic, partitions)
    // How far the log lies behind the high watermark: a leader's own log never does (KIP-113).
    const offsetLag = 0
    partitions.push({
      partitionIndex: log.partition,
      partitionSize: log.sizeBytes,
      offsetLag,
      isFutureKey: false,
    })
  }
  return [...byTopic].map(([name, partitions]) => ({ name, partitions }))
}
