import { api, array, int8, int16, int32, int64, string, uuid } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const alterPartitionApi = api({
  key: 56,
  name: 'AlterPartition',
  versions: [0, 3],
  flexibleFrom: 0,
  request: {
    brokerId: int32,
    brokerEpoch: int64.default(-1),
    topics: array({
      topicName: string.until(1),
      topicId: uuid.from(2),
      partitions: array({
        partitionIndex: int32,
        leaderEpoch: int32,
        newIsr: array(int32).until(2),
        /** Each with the epoch its replica fetched with, -1 not known (KIP-903). */
        newIsrWithEpochs: array({ brokerId: int32, brokerEpoch: int64.default(-1) }).from(3),
        /** 0 recovered, 1 recovering: elected out of the in-sync set (KIP-704). */
        leaderRecoveryState: int8.from(1).default(0),
        partitionEpoch: int32,
      }),
    }),
  },
  response: {
    throttleTimeMs: int32.default(0),
    errorCode: int16,
    topics: array({
      topicName: string.until(1),
      topicId: uuid.from(2),
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        leaderId: int32,
        leaderEpoch: int32,
        isr: array(int32),
        leaderRecoveryState: int8.from(1).default(0),
        partitionEpoch: int32,
      }),
    }),
  },
})

export type AlterPartitionRequest = RequestOf<typeof alterPartitionApi>
export type AlterPartitionResponse = ResponseOf<typeof alterPartitionApi>
