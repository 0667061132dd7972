import { api, array, int16, int32, string, uuid } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const deleteTopicsApi = api({
  key: 20,
  name: 'DeleteTopics',
  versions: [0, 6],
  flexibleFrom: 4,
  request: {
    topics: array({ name: string.nullable().default(null), topicId: uuid }).from(6),
    topicNames: array(string).until(5),
    timeoutMs: int32,
  },
  response: {
    throttleTimeMs: int32.from(1).default(0),
    responses: array({
      name: string.nullable(6),
      topicId: uuid.from(6),
      errorCode: int16,
      errorMessage: string.nullable().from(5).default(null),
    }),
  },
})

export type DeleteTopicsRequest = RequestOf<typeof deleteTopicsApi>
export type DeleteTopicsResponse = ResponseOf<typeof deleteTopicsApi>
