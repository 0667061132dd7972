import { api, array, bool, int8, int16, int32, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const describeClusterApi = api({
  key: 60,
  name: 'DescribeCluster',
  versions: [0, 1],
  flexibleFrom: 0,
  request: {
    includeClusterAuthorizedOperations: bool,
    endpointType: int8.from(1).default(1),
  },
  response: {
    throttleTimeMs: int32.default(0),
    errorCode: int16,
    errorMessage: string.nullable().default(null),
    endpointType: int8.from(1).default(1),
    clusterId: string,
    controllerId: int32.default(-1),
    brokers: array({
      brokerId: int32,
      host: string,
      port: int32,
      rack: string.nullable().default(null),
    }),
    clusterAuthorizedOperations: int32.default(-2147483648),
  },
})

export type DescribeClusterRequest = RequestOf<typeof describeClusterApi>
export type DescribeClusterResponse = ResponseOf<typeof describeClusterApi>
