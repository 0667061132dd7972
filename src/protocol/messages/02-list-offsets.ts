import { api, array, int8, int16, int32, int64, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const listOffsetsApi = api({
  key: 2,
  name: 'ListOffsets',
  versions: [0, 9],
  flexibleFrom: 6,
  request: {
    replicaId: int32,
    isolationLevel: int8.from(2),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        currentLeaderEpoch: int32.from(4).default(-1),
        timestamp: int64,
        maxNumOffsets: int32.until(0).default(1),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32.from(2).default(0),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        oldStyleOffsets: array(int64).until(0),
        timestamp: int64.from(1).default(-1),
        offset: int64.from(1).default(-1),
        leaderEpoch: int32.from(4).default(-1),
      }),
    }),
  },
})

export type ListOffsetsRequest = RequestOf<typeof listOffsetsApi>
export type ListOffsetsResponse = ResponseOf<typeof listOffsetsApi>
