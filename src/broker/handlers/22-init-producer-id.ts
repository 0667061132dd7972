/**
 * InitProducerId 0-5: a new producer id with epoch 0 for an idempotent producer. v3 may carry the current id and epoch,
 * which matter to transactions only.
 * Not here: transactional ids (INVALID_REQUEST until transactions are served).
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../protocol/messages/22-init-producer-id.ts'
import type { Services } from '../services.ts'

/** Of ids and epochs. */
const NONE = -1

const refused = (errorCode: number): InitProducerIdResponse => ({
  errorCode,
  producerId: NONE,
  producerEpoch: NONE,
})

export async function handleInitProducerId(
  services: Services,
  request: InitProducerIdRequest,
): Promise<InitProducerIdResponse> {
  const { transactionalId, producerId: currentId, producerEpoch: currentEpoch } = request
  if ((currentId === NONE) !== (currentEpoch === NONE)) return refused(ErrorCode.INVALID_REQUEST)
  if (transactionalId !== null) return refused(ErrorCode.INVALID_REQUEST)
  const id = await services.producerIds.allocate()
  // As Kafka while its broker waits for the controller: producers ask again.
  if (id === null) return refused(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
  return { errorCode: ErrorCode.NONE, producerId: id, producerEpoch: 0 }
}
