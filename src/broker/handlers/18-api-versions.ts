/**
 * ApiVersions 0-4: what this broker serves, computed from the api-table. v3 carries the client's name and version
 * (checked as Kafka does) and feature tags: of Kafka's features `transaction.version` alone, the others are KRaft's. Ranges that
 * begin at 0 are told from v4 on only: older clients cannot read them.
 * An unknown version is answered by the server itself with a version-0 body (KIP-511).
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type { ApiVersionsRequest, ApiVersionsResponse } from '../../protocol/messages/18-api-versions.ts'
import type { RequestContext, Services } from '../services.ts'

const SOFTWARE_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/
const FIRST_VERSION_OF_RANGES_FROM_0 = 4

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
  const { supported, finalized } = services.transactionVersion
  const { epoch, transactionVersion: level } = finalized
  const name = 'transaction.version'
  const tellsRange = supported > 0 && context.apiVersion >= FIRST_VERSION_OF_RANGES_FROM_0
  return {
    errorCode: ErrorCode.NONE,
    apiKeys: services.advertisedApis,
    supportedFeatures: tellsRange ? [{ name, minVersion: 0, maxVersion: supported }] : [],
    finalizedFeaturesEpoch: epoch,
    finalizedFeatures: level > 0 ? [{ name, maxVersionLevel: level, minVersionLevel: level }] : [],
  }
}
