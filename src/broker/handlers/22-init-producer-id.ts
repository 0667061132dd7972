/**
 * InitProducerId 0-5: a new producer id with epoch 0 for an idempotent producer. v3 may carry the current id and epoch,
 * which matter to transactions only.
 * Not here: transactional ids (INVALID_REQUEST until transactions are served).
 */
import { CoordinationError } from '../../env/coordination.ts'
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
  try {
    const producerId = await services.producerIds.allocate()
    return { errorCode: ErrorCode.NONE, producerId, producerEpoch: 0 }
  } catch (error) {
    if (!(error instanceof CoordinationError)) throw error
    return refused(ErrorCode.COORDINATOR_NOT_AVAILABLE)
  }
}
