import { api, array, bool, int8, int16, int32, int64, string, struct, uuid } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

/** What every broker learns of one partition; the topic's name travels here until version 4 (KIP-380). */
const partitionState = struct({
  topicName: string.until(4),
  partitionIndex: int32,
  controllerEpoch: int32,
  /** -1 none, -2 the partition is being deleted. */
  leader: int32,
  leaderEpoch: int32,
  isr: array(int32),
  /** The partition epoch. */
  zkVersion: int32,
  replicas: array(int32),
  offlineReplicas: array(int32).from(4),
})

export const updateMetadataApi = api({
  key: 6,
  name: 'UpdateMetadata',
  versions: [0, 8],
  flexibleFrom: 6,
  request: {
    controllerId: int32,
    isKRaftController: bool.from(8).default(false),
    /** 0 for all that a ZooKeeper controller sends (KIP-866). */
    type: int8.tagged(0, 8).default(0),
    controllerEpoch: int32,
    brokerEpoch: int64.from(5).default(-1),
    ungroupedPartitionStates: array(partitionState).until(4),
    topicStates: array({
      topicName: string,
      topicId: uuid.from(7),
      partitionStates: array(partitionState),
    }).from(5),
    liveBrokers: array({
      id: int32,
      v0Host: string.until(0),
      v0Port: int32.until(0),
      endpoints: array({
        port: int32,
        host: string,
        listener: string.from(3),
        /** 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL. */
        securityProtocol: int16,
      }).from(1),
      rack: string.nullable().from(2),
    }),
  },
  response: {
    errorCode: int16,
  },
})

export type UpdateMetadataRequest = RequestOf<typeof updateMetadataApi>
export type UpdateMetadataResponse = ResponseOf<typeof updateMetadataApi>
