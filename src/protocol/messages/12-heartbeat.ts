import { api, int16, int32, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const heartbeatApi = api({
  key: 12,
  name: 'Heartbeat',
  versions: [0, 4],
  flexibleFrom: 4,
  request: {
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: string.nullable().from(3).default(null),
  },
  response: {
    throttleTimeMs: int32.from(1).default(0),
    errorCode: int16,
  },
})

export type HeartbeatRequest = RequestOf<typeof heartbeatApi>
export type HeartbeatResponse = ResponseOf<typeof heartbeatApi>
