/**
 * ElectLeaders 0-2: elects the preferred replicas, or any that is online where no in-sync one is (unclean), and answers when
 * this broker knows the new leaders. v0 knows preferred elections alone, v1 says which and has an error of its own, v2 is
 * flexible. Where all partitions are asked for (null), those that need no election are left out.
 *
 * A broker that is not the controller says so of each partition, as Kafka does: v0 has no other place for it. What has been
 * elected but is not known here after timeoutMs is REQUEST_TIMED_OUT.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { ElectLeadersRequest, ElectLeadersResponse } from '../../protocol/messages/43-elect-leaders.ts'
import type { Services } from '../services.ts'

const ELECTION_TYPES = [0, 1]

export async function handleElectLeaders(
  services: Services,
  request: ElectLeadersRequest,
): Promise<ElectLeadersResponse> {
  if (!ELECTION_TYPES.includes(request.electionType))
    return refused(services, request, ErrorCode.INVALID_REQUEST)
  const response = await services.controller.electLeaders(request)
  if (response.errorCode !== ErrorCode.NOT_CONTROLLER) return response
  return { ...refused(services, request, ErrorCode.NOT_CONTROLLER), errorCode: ErrorCode.NONE }
}

function refused(
  { metadata }: Services,
  { topicPartitions }: ElectLeadersRequest,
  errorCode: number,
): ElectLeadersResponse {
  const all =
    topicPartitions ??
    [...metadata.topics()].map(({ name, partitions }) => {
      return { topic: name, partitions: partitions.map(({ index }) => index) }
    })
  const replicaElectionResults = all.map(({ topic, partitions }) => {
    const partitionResult = partitions.map((partitionId) => ({ partitionId, errorCode, errorMessage: null }))
    return { topic, partitionResult }
  })
  return { errorCode, replicaElectionResults }
}
