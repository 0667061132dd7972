import { api, array, int16, int32, string, struct, uuid } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const consumerGroupHeartbeatApi = api({
  key: 68,
  name: 'ConsumerGroupHeartbeat',
  versions: [0, 1],
  flexibleFrom: 0,
  request: {
    groupId: string,
    memberId: string,
    memberEpoch: int32,
    instanceId: string.nullable().default(null),
    rackId: string.nullable().default(null),
    rebalanceTimeoutMs: int32.default(-1),
    subscribedTopicNames: array(string).nullable().default(null),
    subscribedTopicRegex: string.nullable(1).from(1).default(null),
    serverAssignor: string.nullable().default(null),
    topicPartitions: array({ topicId: uuid, partitions: array(int32) })
      .nullable()
      .default(null),
  },
  response: {
    throttleTimeMs: int32.default(0),
    errorCode: int16,
    errorMessage: string.nullable().default(null),
    memberId: string.nullable().default(null),
    memberEpoch: int32,
    heartbeatIntervalMs: int32,
    assignment: struct({ topicPartitions: array({ topicId: uuid, partitions: array(int32) }) })
      .nullable()
      .default(null),
  },
})

export type ConsumerGroupHeartbeatRequest = RequestOf<typeof consumerGroupHeartbeatApi>
export type ConsumerGroupHeartbeatResponse = ResponseOf<typeof consumerGroupHeartbeatApi>
