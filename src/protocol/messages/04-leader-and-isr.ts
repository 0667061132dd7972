import { api, array, bool, int8, int16, int32, int64, string, struct, uuid } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

/** What the controller tells a broker of one partition; the topic's name travels here until version 1 (KIP-380). */
const partitionState = struct({
  topicName: string.until(1),
  partitionIndex: int32,
  controllerEpoch: int32,
  leader: int32,
  leaderEpoch: int32,
  isr: array(int32),
  partitionEpoch: int32,
  replicas: array(int32),
  addingReplicas: array(int32).from(3),
  removingReplicas: array(int32).from(3),
  isNew: bool.from(1).default(false),
  /** 0 recovered, 1 recovering: elected out of the in-sync set (KIP-704). */
  leaderRecoveryState: int8.from(6).default(0),
})

const partitionError = struct({
  topicName: string.until(4),
  partitionIndex: int32,
  errorCode: int16,
})

export const leaderAndIsrApi = api({
  key: 4,
  name: 'LeaderAndIsr',
  versions: [0, 7],
  flexibleFrom: 4,
  request: {
    controllerId: int32,
    // Directly behind the id, whatever came first in time (KIP-866).
    isKRaftController: bool.from(7).default(false),
    controllerEpoch: int32,
    brokerEpoch: int64.from(2).default(-1),
    /** 0 for all that a ZooKeeper controller sends (KIP-516). */
    type: int8.from(5),
    ungroupedPartitionStates: array(partitionState).until(1),
    topicStates: array({
      topicName: string,
      topicId: uuid.from(5),
      partitionStates: array(partitionState),
    }).from(2),
    liveLeaders: array({ brokerId: int32, hostName: string, port: int32 }),
  },
  response: {
    errorCode: int16,
    partitionErrors: array(partitionError).until(4),
    topics: array({ topicId: uuid, partitionErrors: array(partitionError) }).from(5),
  },
})

export type LeaderAndIsrRequest = RequestOf<typeof leaderAndIsrApi>
export type LeaderAndIsrResponse = ResponseOf<typeof leaderAndIsrApi>
