/**
 * InitProducerId 0-5: a new producer id with epoch 0 for an idempotent producer; for a transactional id the coordinator's, which
 * fences the producer before. v2 is flexible; v3 may carry the current id and epoch, which matter to transactions only (KIP-360);
 * v4 knows PRODUCER_FENCED, v5 is of clients that know TRANSACTION_ABORTABLE.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../protocol/messages/22-init-producer-id.ts'
import type { RequestContext, Services } from '../services.ts'

/** Of ids and epochs. */
const NONE = -1
const KNOWS_PRODUCER_FENCED = 4

const refused = (errorCode: number): InitProducerIdResponse => ({
  errorCode,
  producerId: NONE,
  producerEpoch: NONE,
})

export async function handleInitProducerId(
  services: Services,
  request: InitProducerIdRequest,
  { apiVersion }: RequestContext,
): Promise<InitProducerIdResponse> {
  const { transactionalId, producerId: currentId, producerEpoch: currentEpoch } = request
  if ((currentId === NONE) !== (currentEpoch === NONE)) return refused(ErrorCode.INVALID_REQUEST)
  if (transactionalId !== null) {
    const expected = currentId === NONE ? null : { producerId: currentId, producerEpoch: currentEpoch }
    const call = { timeoutMs: request.transactionTimeoutMs, expected }
    const answer = await services.transactions.initProducerId(transactionalId, call)
    const isUnknown = apiVersion < KNOWS_PRODUCER_FENCED && answer.errorCode === ErrorCode.PRODUCER_FENCED
    return isUnknown ? refused(ErrorCode.INVALID_PRODUCER_EPOCH) : answer
  }
  const id = await services.producerIds.allocate()
  // As Kafka while its broker waits for the controller: producers ask again.
  if (id === null) return refused(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
  return { errorCode: ErrorCode.NONE, producerId: id, producerEpoch: 0 }
}
