/**
 * DeleteRecords 0-2 (KIP-107): raises the log start of partitions; -1 means up to the high watermark.
 * It answers when the live followers have done the same, or with REQUEST_TIMED_OUT. A topic that is only compacted refuses with POLICY_VIOLATION, internal topics with INVALID_TOPIC_EXCEPTION.
 */
import { DiskError } from '../../env/disk.ts'
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  DeleteRecordsRequest,
  DeleteRecordsResponse,
} from '../../protocol/messages/21-delete-records.ts'
import { waitForLowWatermark } from '../../replication/wait.ts'
import type { RequestContext, Services } from '../services.ts'
import { isInternalTopic, mayWriteInternalTopics } from '../topic-names.ts'

export function handleDeleteRecords(
  services: Services,
  request: DeleteRecordsRequest,
  context: RequestContext,
): DeleteRecordsResponse | Promise<DeleteRecordsResponse> {
  const { timeoutMs } = request
  const pending: Promise<void>[] = []
  const topics = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: lastOfEach(partitions).map(([partitionIndex, offset]) => {
      const wanted = { topic: name, partitionIndex, offset }
      const deleted = deleteRecords(services, context, wanted)
      const response = { partitionIndex, lowWatermark: deleted.lowWatermark, errorCode: deleted.error }
      const { wantedOffset, lowWatermark } = deleted
      if (deleted.error !== ErrorCode.NONE || lowWatermark >= wantedOffset) return response
      const partition = services.replicas.get(name, partitionIndex)!
      const followed = waitForLowWatermark(services.env.timers, partition, wantedOffset, timeoutMs)
      pending.push(
        followed.then((end) => {
          response.errorCode = end.error
          response.lowWatermark = end.lowWatermark
        }),
      )
      return response
    }),
  }))
  return pending.length === 0 ? { topics } : Promise.all(pending).then(() => ({ topics }))
}

/** Of a partition that is named twice the last offset counts. */
function lastOfEach(
  partitions: readonly { partitionIndex: number; offset: number }[],
): (readonly [number, number])[] {
  return [...new Map(partitions.map(({ partitionIndex, offset }) => [partitionIndex, offset] as const))]
}

function deleteRecords(
  services: Services,
  context: RequestContext,
  wanted: { topic: string; partitionIndex: number; offset: number },
): { error: number; lowWatermark: number; wantedOffset: number } {
  const { topic, partitionIndex, offset } = wanted
  const refused = (error: number) => ({ error, lowWatermark: -1, wantedOffset: -1 })
  if (!services.metadata.partition(topic, partitionIndex))
    return refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  if (isInternalTopic(topic) && !mayWriteInternalTopics(context))
    return refused(ErrorCode.INVALID_TOPIC_EXCEPTION)
  const partition = services.replicas.get(topic, partitionIndex)
  if (!partition) return refused(ErrorCode.NOT_LEADER_OR_FOLLOWER)
  if (!partition.log.config.cleanupPolicy.includes('delete')) return refused(ErrorCode.POLICY_VIOLATION)
  try {
    return partition.deleteRecordsBefore(offset)
  } catch (error) {
    if (error instanceof DiskError) return refused(ErrorCode.KAFKA_STORAGE_ERROR)
    throw error
  }
}
