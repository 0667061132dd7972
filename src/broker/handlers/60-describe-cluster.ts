/**
 * DescribeCluster 0-1 (KIP-700): cluster id, controller, and the brokers at the listener that was asked. v1 names the type of
 * endpoint (KIP-919): this is a broker (1), not a controller (2).
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  DescribeClusterRequest,
  DescribeClusterResponse,
} from '../../protocol/messages/60-describe-cluster.ts'
import { CLUSTER_OPERATIONS, NOT_ASKED } from '../authorized-operations.ts'
import type { RequestContext, Services } from '../services.ts'

const BROKER_ENDPOINT = 1
const CONTROLLER_ENDPOINT = 2

export function handleDescribeCluster(
  services: Services,
  request: DescribeClusterRequest,
  context: RequestContext,
): DescribeClusterResponse {
  if (request.endpointType !== BROKER_ENDPOINT) return refused(request.endpointType, context.apiVersion)
  const brokers = []
  for (const broker of services.metadata.brokers()) {
    const endpoint = broker.endpoints.get(context.listenerName)
    if (endpoint) {
      brokers.push({ brokerId: broker.id, host: endpoint.host, port: endpoint.port, rack: broker.rack })
    }
  }
  const { controllerId } = services.metadata
  return {
    errorCode: ErrorCode.NONE,
    endpointType: BROKER_ENDPOINT,
    clusterId: services.clusterId,
    controllerId: brokers.some(({ brokerId }) => brokerId === controllerId) ? controllerId : -1,
    brokers,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? CLUSTER_OPERATIONS : NOT_ASKED,
  }
}

function refused(endpointType: number, apiVersion: number): DescribeClusterResponse {
  const known = endpointType === CONTROLLER_ENDPOINT
  const errorCode = known ? ErrorCode.MISMATCHED_ENDPOINT_TYPE : ErrorCode.UNSUPPORTED_ENDPOINT_TYPE
  return {
    errorCode: apiVersion === 0 ? ErrorCode.INVALID_REQUEST : errorCode,
    errorMessage: known
      ? 'The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER'
      : `Unsupported endpoint type ${endpointType}`,
    clusterId: '',
    brokers: [],
  }
}
