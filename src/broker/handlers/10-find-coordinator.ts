/**
 * FindCoordinator 0-6: the broker that leads the partition of `__consumer_offsets` that a group belongs to, or that of
 * `__transaction_state` for a transactional id (v1); the topic is created on the first call. v4 asks for several keys at once. The empty group has a coordinator too: offsets can be
 * committed to it. Success has a message, too: up to v3 NONE, then an
 * empty one, as in Kafka.
 * Not here: share groups (key type 2): INVALID_REQUEST.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  FindCoordinatorRequest,
  FindCoordinatorResponse,
} from '../../protocol/messages/10-find-coordinator.ts'
import type { RequestContext, Services } from '../services.ts'
import { OFFSETS_TOPIC, TRANSACTIONS_TOPIC } from '../topic-names.ts'

const GROUP = 0
const TRANSACTION = 1

interface Answer {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

const failure = (errorCode: number, errorMessage: string): Answer => {
  return { errorCode, errorMessage, nodeId: -1, host: '', port: -1 }
}

export async function handleFindCoordinator(
  services: Services,
  request: FindCoordinatorRequest,
  context: RequestContext,
): Promise<FindCoordinatorResponse> {
  const batched = context.apiVersion >= 4
  const keys = batched ? request.coordinatorKeys : [request.key]
  if (keys.length > 0) await coordinatorsOf(services, request.keyType)?.coordinator.ensureTopic()
  const answers = keys.map((key) => ({ key, ...find(services, context, request.keyType, key) }))
  if (batched) return { coordinators: answers }
  const [answer] = answers
  return answer.errorCode === ErrorCode.NONE ? { ...answer, errorMessage: 'NONE' } : answer
}

function coordinatorsOf({ groups, transactions }: Services, keyType: number) {
  if (keyType === GROUP) return { topic: OFFSETS_TOPIC, coordinator: groups }
  if (keyType === TRANSACTION) return { topic: TRANSACTIONS_TOPIC, coordinator: transactions }
  return undefined
}

function find(services: Services, context: RequestContext, keyType: number, key: string): Answer {
  const coordinators = coordinatorsOf(services, keyType)
  if (coordinators === undefined) {
    return failure(
      ErrorCode.INVALID_REQUEST,
      `coordinators of type ${keyType} are not served by this version`,
    )
  }
  const { topic, coordinator } = coordinators
  const leader = services.metadata.partition(topic, coordinator.partitionFor(key))?.leader ?? -1
  const endpoint = services.metadata.broker(leader)?.endpoints.get(context.listenerName)
  if (!endpoint) return failure(ErrorCode.COORDINATOR_NOT_AVAILABLE, 'the coordinator has no leader yet')
  return {
    errorCode: ErrorCode.NONE,
    errorMessage: '',
    nodeId: leader,
    host: endpoint.host,
    port: endpoint.port,
  }
}
