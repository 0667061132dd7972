import { api, array, int16, int32, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const deleteGroupsApi = api({
  key: 42,
  name: 'DeleteGroups',
  versions: [0, 2],
  flexibleFrom: 2,
  request: {
    groupsNames: array(string),
  },
  response: {
    throttleTimeMs: int32.default(0),
    results: array({ groupId: string, errorCode: int16 }),
  },
})

export type DeleteGroupsRequest = RequestOf<typeof deleteGroupsApi>
export type DeleteGroupsResponse = ResponseOf<typeof deleteGroupsApi>
