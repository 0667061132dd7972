import { api, array, bool, int8, int16, int32, string, uuid } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const createTopicsApi = api({
  key: 19,
  name: 'CreateTopics',
  versions: [0, 7],
  flexibleFrom: 5,
  request: {
    topics: array({
      name: string,
      numPartitions: int32,
      replicationFactor: int16,
      assignments: array({ partitionIndex: int32, brokerIds: array(int32) }),
      configs: array({ name: string, value: string.nullable() }),
    }),
    timeoutMs: int32.default(60000),
    validateOnly: bool.from(1).default(false),
  },
  response: {
    throttleTimeMs: int32.from(2).default(0),
    topics: array({
      name: string,
      topicId: uuid.from(7),
      errorCode: int16,
      errorMessage: string.nullable().from(1),
      topicConfigErrorCode: int16.tagged(0, 5),
      numPartitions: int32.from(5).default(-1),
      replicationFactor: int16.from(5).default(-1),
      configs: array({
        name: string,
        value: string.nullable(),
        readOnly: bool,
        configSource: int8.default(-1),
        isSensitive: bool,
      })
        .from(5)
        .nullable(),
    }),
  },
})

export type CreateTopicsRequest = RequestOf<typeof createTopicsApi>
export type CreateTopicsResponse = ResponseOf<typeof createTopicsApi>
