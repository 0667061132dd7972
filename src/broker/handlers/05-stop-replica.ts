/**
 * StopReplica: host these partitions no more; with `deletePartition` nothing of them is left on disk. Sent by the controller
 * alone. Versions: 1 broker epoch, topics grouped (KIP-380); 3 leader epoch and deletion by partition (KIP-570); 4
 * isKRaftController, which is not served (KIP-866).
 */
import type { ReplicaToStop } from '../../controller/metadata.ts'
import type { StopReplicaRequest, StopReplicaResponse } from '../../protocol/messages/05-stop-replica.ts'
import { NO_LEADER_EPOCH } from '../../replication/types.ts'
import type { RequestContext, Services } from '../services.ts'

export async function handleStopReplica(
  services: Services,
  request: StopReplicaRequest,
  context: RequestContext,
): Promise<StopReplicaResponse> {
  const answer = await services.controlPlane.stopReplicas(request, replicasOf(request, context.apiVersion))
  const partitionErrors = answer.partitions.map(({ topic, partition, error }) => {
    return { topicName: topic, partitionIndex: partition, errorCode: error }
  })
  return { errorCode: answer.error, partitionErrors }
}

function replicasOf(request: StopReplicaRequest, version: number): ReplicaToStop[] {
  if (version >= 3) {
    return request.topicStates.flatMap(({ topicName: topic, partitionStates }) => {
      return partitionStates.map(({ partitionIndex: partition, leaderEpoch, deletePartition: deleteLog }) => {
        return { topic, partition, leaderEpoch, deleteLog }
      })
    })
  }
  const common = { leaderEpoch: NO_LEADER_EPOCH, deleteLog: request.deletePartitions }
  if (version === 0) {
    return request.ungroupedPartitions.map(({ topicName: topic, partitionIndex: partition }) => {
      return { topic, partition, ...common }
    })
  }
  return request.topics.flatMap(({ name: topic, partitionIndexes }) => {
    return partitionIndexes.map((partition) => ({ topic, partition, ...common }))
  })
}
