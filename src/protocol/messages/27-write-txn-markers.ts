import { api, array, bool, int16, int32, int64, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const writeTxnMarkersApi = api({
  key: 27,
  name: 'WriteTxnMarkers',
  versions: [0, 1],
  flexibleFrom: 1,
  request: {
    markers: array({
      producerId: int64,
      producerEpoch: int16,
      /** True: the transaction is committed. */
      transactionResult: bool,
      topics: array({ name: string, partitionIndexes: array(int32) }),
      coordinatorEpoch: int32,
    }),
  },
  response: {
    markers: array({
      producerId: int64,
      topics: array({ name: string, partitions: array({ partitionIndex: int32, errorCode: int16 }) }),
    }),
  },
})

export type WriteTxnMarkersRequest = RequestOf<typeof writeTxnMarkersApi>
export type WriteTxnMarkersResponse = ResponseOf<typeof writeTxnMarkersApi>
