/**
 * AlterPartitionReassignments 0: begins moves of partitions to other replicas, replaces those under way, and cancels them
 * (null). The answer says what was accepted; ListPartitionReassignments says what is not at its end yet. Unlike Kafka, this
 * broker refuses a wish that would delete all in-sync replicas (docs/decisions/0014-a-move-keeps-the-in-sync-set.md).
 * timeoutMs is not looked at, as in Kafka 3.9 on ZooKeeper: nothing is waited for.
 */
import type {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
} from '../../protocol/messages/45-alter-partition-reassignments.ts'
import type { Services } from '../services.ts'

export async function handleAlterPartitionReassignments(
  services: Services,
  request: AlterPartitionReassignmentsRequest,
): Promise<AlterPartitionReassignmentsResponse> {
  const response = await services.controller.alterPartitionReassignments(request)
  // Empty where there is no error: Kafka's default, although null is allowed.
  return { ...response, errorMessage: response.errorMessage ?? '' }
}
