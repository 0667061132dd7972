import { api, array, int16, int32, int64, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const txnOffsetCommitApi = api({
  key: 28,
  name: 'TxnOffsetCommit',
  versions: [0, 5],
  flexibleFrom: 3,
  request: {
    transactionalId: string,
    groupId: string,
    producerId: int64,
    producerEpoch: int16,
    generationId: int32.from(3).default(-1),
    memberId: string.from(3).default(''),
    groupInstanceId: string.nullable().from(3).default(null),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        committedOffset: int64,
        committedLeaderEpoch: int32.from(2).default(-1),
        committedMetadata: string.nullable(),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32.default(0),
    topics: array({ name: string, partitions: array({ partitionIndex: int32, errorCode: int16 }) }),
  },
})

export type TxnOffsetCommitRequest = RequestOf<typeof txnOffsetCommitApi>
export type TxnOffsetCommitResponse = ResponseOf<typeof txnOffsetCommitApi>
