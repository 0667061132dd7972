import { api, array, bool, bytes, int16, int32, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const describeGroupsApi = api({
  key: 15,
  name: 'DescribeGroups',
  versions: [0, 5],
  flexibleFrom: 5,
  request: {
    groups: array(string),
    includeAuthorizedOperations: bool.from(3),
  },
  response: {
    throttleTimeMs: int32.from(1).default(0),
    groups: array({
      errorCode: int16,
      groupId: string,
      groupState: string,
      protocolType: string,
      protocolData: string,
      members: array({
        memberId: string,
        groupInstanceId: string.nullable().from(4).default(null),
        clientId: string,
        clientHost: string,
        memberMetadata: bytes,
        memberAssignment: bytes,
      }),
      authorizedOperations: int32.from(3).default(-2147483648),
    }),
  },
})

export type DescribeGroupsRequest = RequestOf<typeof describeGroupsApi>
export type DescribeGroupsResponse = ResponseOf<typeof describeGroupsApi>
