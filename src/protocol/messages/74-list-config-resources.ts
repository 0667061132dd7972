import { api, array, int16, int32, int8, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const listConfigResourcesApi = api({
  key: 74,
  name: 'ListConfigResources',
  versions: [0, 1],
  flexibleFrom: 0,
  request: {
    resourceTypes: array(int8).from(1),
  },
  response: {
    throttleTimeMs: int32.default(0),
    errorCode: int16,
    configResources: array({
      resourceName: string,
      resourceType: int8.from(1).default(16),
    }),
  },
})

export type ListConfigResourcesRequest = RequestOf<typeof listConfigResourcesApi>
export type ListConfigResourcesResponse = ResponseOf<typeof listConfigResourcesApi>
