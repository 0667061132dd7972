import { api, array, bytes, int16, int32, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const syncGroupApi = api({
  key: 14,
  name: 'SyncGroup',
  versions: [0, 5],
  flexibleFrom: 4,
  request: {
    groupId: string,
    generationId: int32,
    memberId: string,
    groupInstanceId: string.nullable().from(3).default(null),
    protocolType: string.nullable().from(5).default(null),
    protocolName: string.nullable().from(5).default(null),
    assignments: array({ memberId: string, assignment: bytes }),
  },
  response: {
    throttleTimeMs: int32.from(1).default(0),
    errorCode: int16,
    protocolType: string.nullable().from(5).default(null),
    protocolName: string.nullable().from(5).default(null),
    assignment: bytes,
  },
})

export type SyncGroupRequest = RequestOf<typeof syncGroupApi>
export type SyncGroupResponse = ResponseOf<typeof syncGroupApi>
