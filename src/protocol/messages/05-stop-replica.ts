import { api, array, bool, int16, int32, int64, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const stopReplicaApi = api({
  key: 5,
  name: 'StopReplica',
  versions: [0, 4],
  flexibleFrom: 2,
  request: {
    controllerId: int32,
    isKRaftController: bool.from(4).default(false),
    controllerEpoch: int32,
    brokerEpoch: int64.from(1).default(-1),
    /** For all of them; from version 3 on each partition says it (KIP-570). */
    deletePartitions: bool.until(2),
    ungroupedPartitions: array({ topicName: string, partitionIndex: int32 }).until(0),
    topics: array({ name: string, partitionIndexes: array(int32) })
      .from(1)
      .until(2),
    topicStates: array({
      topicName: string,
      partitionStates: array({
        partitionIndex: int32,
        /** -1 not known, -2 the topic is being deleted: both pass any fencing. */
        leaderEpoch: int32.default(-1),
        deletePartition: bool,
      }),
    }).from(3),
  },
  response: {
    errorCode: int16,
    partitionErrors: array({ topicName: string, partitionIndex: int32, errorCode: int16 }),
  },
})

export type StopReplicaRequest = RequestOf<typeof stopReplicaApi>
export type StopReplicaResponse = ResponseOf<typeof stopReplicaApi>
