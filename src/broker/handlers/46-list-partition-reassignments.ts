/**
 * ListPartitionReassignments 0: the moves under way, of the partitions named or of all (null). What is not moved, or is not
 * there, is left out. timeoutMs is not looked at, as in Kafka 3.9 on ZooKeeper.
 */
import type {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
} from '../../protocol/messages/46-list-partition-reassignments.ts'
import type { Services } from '../services.ts'

export async function handleListPartitionReassignments(
  services: Services,
  request: ListPartitionReassignmentsRequest,
): Promise<ListPartitionReassignmentsResponse> {
  const response = await services.controller.listPartitionReassignments(request)
  // Empty where there is no error: Kafka's default, although null is allowed.
  return { ...response, errorMessage: response.errorMessage ?? '' }
}
