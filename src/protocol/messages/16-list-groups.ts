import { api, array, int16, int32, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const listGroupsApi = api({
  key: 16,
  name: 'ListGroups',
  versions: [0, 5],
  flexibleFrom: 3,
  request: {
    statesFilter: array(string).from(4),
    typesFilter: array(string).from(5),
  },
  response: {
    throttleTimeMs: int32.from(1).default(0),
    errorCode: int16,
    groups: array({
      groupId: string,
      protocolType: string,
      groupState: string.from(4),
      groupType: string.from(5),
    }),
  },
})

export type ListGroupsRequest = RequestOf<typeof listGroupsApi>
export type ListGroupsResponse = ResponseOf<typeof listGroupsApi>
