import { api, array, bool, int16, int32, int64, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const offsetFetchApi = api({
  key: 9,
  name: 'OffsetFetch',
  versions: [1, 9],
  flexibleFrom: 6,
  request: {
    groupId: string.until(7),
    topics: array({ name: string, partitionIndexes: array(int32) })
      .until(7)
      .nullable(2),
    groups: array({
      groupId: string,
      memberId: string.nullable().from(9).default(null),
      memberEpoch: int32.from(9).default(-1),
      topics: array({ name: string, partitionIndexes: array(int32) }).nullable(),
    }).from(8),
    requireStable: bool.from(7).default(false),
  },
  response: {
    throttleTimeMs: int32.from(3).default(0),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        committedOffset: int64,
        committedLeaderEpoch: int32.from(5).default(-1),
        metadata: string.nullable(),
        errorCode: int16,
      }),
    }).until(7),
    errorCode: int16.from(2).until(7).default(0),
    groups: array({
      groupId: string,
      topics: array({
        name: string,
        partitions: array({
          partitionIndex: int32,
          committedOffset: int64,
          committedLeaderEpoch: int32.default(-1),
          metadata: string.nullable(),
          errorCode: int16,
        }),
      }),
      errorCode: int16.default(0),
    }).from(8),
  },
})

export type OffsetFetchRequest = RequestOf<typeof offsetFetchApi>
export type OffsetFetchResponse = ResponseOf<typeof offsetFetchApi>
