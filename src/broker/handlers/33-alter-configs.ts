/**
 * AlterConfigs 0-2: makes the given settings the whole of what a topic, a group or this broker sets itself. Old: clients use
 * IncrementalAlterConfigs (KIP-339).
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { AlterConfigsRequest, AlterConfigsResponse } from '../../protocol/messages/33-alter-configs.ts'
import type { Services } from '../services.ts'

const SET = 0

export async function handleAlterConfigs(
  services: Services,
  request: AlterConfigsRequest,
): Promise<AlterConfigsResponse> {
  const changes = request.resources.map(({ resourceType, resourceName, configs }) => ({
    resourceType,
    resourceName,
    replace: true,
    operations: configs.map(({ name, value }) => ({ name, value, configOperation: SET })),
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
