/**
 * AlterPartition 0-3: a leader asks the controller to change the in-sync sets of its partitions (KIP-497). Versions: 1 leader
 * recovery state (KIP-704); 2 topic ids; 3 epochs of the in-sync brokers (KIP-903), which a controller on ZooKeeper does not
 * look at. NOT_CONTROLLER from any other broker.
 */
import type {
  AlterPartitionRequest,
  AlterPartitionResponse,
} from '../../protocol/messages/56-alter-partition.ts'
import type { RequestContext, Services } from '../services.ts'

export function handleAlterPartition(
  { controller }: Services,
  request: AlterPartitionRequest,
  context: RequestContext,
): Promise<AlterPartitionResponse> {
  return controller.alterPartition(request, context.apiVersion)
}
