import { api, int16, int32, int64 } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const allocateProducerIdsApi = api({
  key: 67,
  name: 'AllocateProducerIds',
  versions: [0, 0],
  flexibleFrom: 0,
  request: {
    brokerId: int32,
    brokerEpoch: int64.default(-1),
  },
  response: {
    throttleTimeMs: int32.default(0),
    errorCode: int16,
    producerIdStart: int64,
    producerIdLen: int32,
  },
})

export type AllocateProducerIdsRequest = RequestOf<typeof allocateProducerIdsApi>
export type AllocateProducerIdsResponse = ResponseOf<typeof allocateProducerIdsApi>
