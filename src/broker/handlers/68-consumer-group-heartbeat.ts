/**
 * ConsumerGroupHeartbeat 0-1 (KIP-848): a member joins (epoch 0), says what it has, leaves (-1, or -2 for a static member that
 * will be back), and is told what to have; the coordinator assigns. v1 brings subscriptions by regular expression, and
 * members make their ids themselves (KIP-1082). Where group.coordinator.rebalance.protocols has no `consumer`:
 * UNSUPPORTED_VERSION.
 */
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
} from '../../protocol/messages/68-consumer-group-heartbeat.ts'
import type { Handler } from '../services.ts'

export const handleConsumerGroupHeartbeat: Handler<
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse
> = (services, request, context) => services.groups.consumers.heartbeat(request, context)
