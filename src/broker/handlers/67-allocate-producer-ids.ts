/** AllocateProducerIds 0: a block of producer ids for a broker (KIP-730). NOT_CONTROLLER from any other broker. */
import type {
  AllocateProducerIdsRequest,
  AllocateProducerIdsResponse,
} from '../../protocol/messages/67-allocate-producer-ids.ts'
import type { Services } from '../services.ts'

export async function handleAllocateProducerIds(
  { controller }: Services,
  { brokerId, brokerEpoch }: AllocateProducerIdsRequest,
): Promise<AllocateProducerIdsResponse> {
  const { error, firstId, count } = await controller.allocateProducerIds(brokerId, brokerEpoch)
  return { throttleTimeMs: 0, errorCode: error, producerIdStart: firstId, producerIdLen: count }
}
