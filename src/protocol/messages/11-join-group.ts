import { api, array, bool, bytes, int16, int32, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const joinGroupApi = api({
  key: 11,
  name: 'JoinGroup',
  versions: [0, 9],
  flexibleFrom: 6,
  request: {
    groupId: string,
    sessionTimeoutMs: int32,
    rebalanceTimeoutMs: int32.from(1).default(-1),
    memberId: string,
    groupInstanceId: string.nullable().from(5).default(null),
    protocolType: string,
    protocols: array({ name: string, metadata: bytes }),
    reason: string.nullable().from(8).default(null),
  },
  response: {
    throttleTimeMs: int32.from(2).default(0),
    errorCode: int16,
    generationId: int32.default(-1),
    protocolType: string.nullable().from(7).default(null),
    protocolName: string.nullable(7),
    leader: string,
    skipAssignment: bool.from(9).default(false),
    memberId: string,
    members: array({
      memberId: string,
      groupInstanceId: string.nullable().from(5).default(null),
      metadata: bytes,
    }),
  },
})

export type JoinGroupRequest = RequestOf<typeof joinGroupApi>
export type JoinGroupResponse = ResponseOf<typeof joinGroupApi>
