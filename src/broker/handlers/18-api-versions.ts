/**
 * ApiVersions 0-4: what this broker serves, computed from the api-table. v3 carries the client's name and version
 * (checked as Kafka does) and feature tags, of which a broker in ZooKeeper mode has none.
 * An unknown version is answered by the server itself with a version-0 body (KIP-511).
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { ApiVersionsRequest, ApiVersionsResponse } from '../../protocol/messages/18-api-versions.ts'
import type { RequestContext, Services } from '../services.ts'

const SOFTWARE_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

export function handleApiVersions(
  services: Services,
  request: ApiVersionsRequest,
  context: RequestContext,
): ApiVersionsResponse {
  if (context.apiVersion >= 3) {
    const named =
      SOFTWARE_NAME.test(request.clientSoftwareName) && SOFTWARE_NAME.test(request.clientSoftwareVersion)
    if (!named) return { errorCode: ErrorCode.INVALID_REQUEST, apiKeys: [] }
  }
  return { errorCode: ErrorCode.NONE, apiKeys: services.advertisedApis }
}
