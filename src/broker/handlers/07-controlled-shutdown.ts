/**
 * ControlledShutdown 0-3: the controller takes leaderships off a broker that is about to stop, and answers what is left of
 * them. Version 0 has another header; 2 the broker's epoch (KIP-380). NOT_CONTROLLER from any other broker.
 */
import type {
  ControlledShutdownRequest,
  ControlledShutdownResponse,
} from '../../protocol/messages/07-controlled-shutdown.ts'
import type { Services } from '../services.ts'

export async function handleControlledShutdown(
  { controller }: Services,
  { brokerId, brokerEpoch }: ControlledShutdownRequest,
): Promise<ControlledShutdownResponse> {
  const { error, remaining } = await controller.controlledShutdown(brokerId, brokerEpoch)
  const remainingPartitions = remaining.map(({ topic, partition }) => {
    return { topicName: topic, partitionIndex: partition }
  })
  return { errorCode: error, remainingPartitions }
}
