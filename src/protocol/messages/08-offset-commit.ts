import { api, array, int16, int32, int64, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const offsetCommitApi = api({
  key: 8,
  name: 'OffsetCommit',
  versions: [1, 9],
  flexibleFrom: 8,
  request: {
    groupId: string,
    generationIdOrMemberEpoch: int32.default(-1),
    memberId: string,
    groupInstanceId: string.nullable().from(7).default(null),
    retentionTimeMs: int64.from(2).until(4).default(-1),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        committedOffset: int64,
        committedLeaderEpoch: int32.from(6).default(-1),
        commitTimestamp: int64.until(1).default(-1),
        committedMetadata: string.nullable(),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32.from(3).default(0),
    topics: array({
      name: string,
      partitions: array({ partitionIndex: int32, errorCode: int16 }),
    }),
  },
})

export type OffsetCommitRequest = RequestOf<typeof offsetCommitApi>
export type OffsetCommitResponse = ResponseOf<typeof offsetCommitApi>
