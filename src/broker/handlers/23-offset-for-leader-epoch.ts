/**
 * OffsetForLeaderEpoch 0-4 (KIP-101, 279, 320): where a leader epoch ends in this leader's log, so that clients and
 * followers find out whether their position still exists. v2 checks the caller's idea of the current epoch.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponse,
} from '../../protocol/messages/23-offset-for-leader-epoch.ts'
import type { Services } from '../services.ts'

export function handleOffsetForLeaderEpoch(
  services: Services,
  request: OffsetForLeaderEpochRequest,
): OffsetForLeaderEpochResponse {
  const topics = request.topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition, currentLeaderEpoch, leaderEpoch }) => {
      const refused = (errorCode: number) => ({ errorCode, partition, leaderEpoch: -1, endOffset: -1 })
      if (!services.metadata.partition(topic, partition)) return refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      const hosted = services.replicas.get(topic, partition)
      if (!hosted) return refused(ErrorCode.NOT_LEADER_OR_FOLLOWER)
      const error = hosted.checkLeaderEpoch(currentLeaderEpoch)
      if (error !== ErrorCode.NONE) return refused(error)
      const refusal = request.replicaId < 0 ? hosted.refusalToClient(leaderEpoch) : ErrorCode.NONE
      if (refusal !== ErrorCode.NONE) return refused(refusal)
      const end = hosted.log.endOffsetForEpoch(leaderEpoch)
      return { errorCode: ErrorCode.NONE, partition, leaderEpoch: end.leaderEpoch, endOffset: end.endOffset }
    }),
  }))
  return { topics }
}
