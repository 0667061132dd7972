import { api, array, bool, int16, int32, int8, string, struct, uuid } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

const assignment = struct({
  topicPartitions: array({ topicId: uuid, topicName: string, partitions: array(int32) }),
})

export const consumerGroupDescribeApi = api({
  key: 69,
  name: 'ConsumerGroupDescribe',
  versions: [0, 1],
  flexibleFrom: 0,
  request: {
    groupIds: array(string),
    includeAuthorizedOperations: bool,
  },
  response: {
    throttleTimeMs: int32.default(0),
    groups: array({
      errorCode: int16,
      errorMessage: string.nullable().default(null),
      groupId: string,
      groupState: string,
      groupEpoch: int32,
      assignmentEpoch: int32,
      assignorName: string,
      members: array({
        memberId: string,
        instanceId: string.nullable().default(null),
        rackId: string.nullable().default(null),
        memberEpoch: int32,
        clientId: string,
        clientHost: string,
        subscribedTopicNames: array(string),
        subscribedTopicRegex: string.nullable().default(null),
        assignment,
        targetAssignment: assignment,
        memberType: int8.from(1).default(-1),
      }),
      authorizedOperations: int32.default(-2147483648),
    }),
  },
})

export type ConsumerGroupDescribeRequest = RequestOf<typeof consumerGroupDescribeApi>
export type ConsumerGroupDescribeResponse = ResponseOf<typeof consumerGroupDescribeApi>
