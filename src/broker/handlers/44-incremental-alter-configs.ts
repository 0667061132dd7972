/**
 * IncrementalAlterConfigs 0-1 (KIP-339): sets, deletes, appends to or subtracts from single settings of topics, of groups,
 * of this broker, or (with an empty name) of all brokers.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from '../../protocol/messages/44-incremental-alter-configs.ts'
import type { Services } from '../services.ts'

export async function handleIncrementalAlterConfigs(
  services: Services,
  request: IncrementalAlterConfigsRequest,
): Promise<IncrementalAlterConfigsResponse> {
  const changes = request.resources.map(({ resourceType, resourceName, configs }) => ({
    resourceType,
    resourceName,
    replace: false,
    operations: configs,
  }))
  const outcomes = await services.configAdmin.alter(changes, request.validateOnly)
  return {
    responses: changes.map(({ resourceType, resourceName }, index) => ({
      errorCode: outcomes[index]?.errorCode ?? ErrorCode.NONE,
      errorMessage: outcomes[index]?.errorMessage ?? null,
      resourceType,
      resourceName,
    })),
  }
}
