import { api, array, int8, int16, int32, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const findCoordinatorApi = api({
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 6],
  flexibleFrom: 3,
  request: {
    key: string.until(3),
    keyType: int8.from(1).default(0),
    coordinatorKeys: array(string).from(4),
  },
  response: {
    throttleTimeMs: int32.from(1).default(0),
    errorCode: int16.until(3),
    errorMessage: string.nullable().from(1).until(3),
    nodeId: int32.until(3),
    host: string.until(3),
    port: int32.until(3),
    coordinators: array({
      key: string,
      nodeId: int32,
      host: string,
      port: int32,
      errorCode: int16,
      errorMessage: string.nullable(),
    }).from(4),
  },
})

export type FindCoordinatorRequest = RequestOf<typeof findCoordinatorApi>
export type FindCoordinatorResponse = ResponseOf<typeof findCoordinatorApi>
