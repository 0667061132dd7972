import { api, array, int16, int32, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const leaveGroupApi = api({
  key: 13,
  name: 'LeaveGroup',
  versions: [0, 5],
  flexibleFrom: 4,
  request: {
    groupId: string,
    memberId: string.until(2),
    members: array({
      memberId: string,
      groupInstanceId: string.nullable().default(null),
      reason: string.nullable().from(5).default(null),
    }).from(3),
  },
  response: {
    throttleTimeMs: int32.from(1).default(0),
    errorCode: int16,
    members: array({
      memberId: string,
      groupInstanceId: string.nullable(),
      errorCode: int16,
    }).from(3),
  },
})

export type LeaveGroupRequest = RequestOf<typeof leaveGroupApi>
export type LeaveGroupResponse = ResponseOf<typeof leaveGroupApi>
