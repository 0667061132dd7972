import { api, int16, int32, int64, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const addOffsetsToTxnApi = api({
  key: 25,
  name: 'AddOffsetsToTxn',
  versions: [0, 4],
  flexibleFrom: 3,
  request: {
    transactionalId: string,
    producerId: int64,
    producerEpoch: int16,
    groupId: string,
  },
  response: {
    throttleTimeMs: int32.default(0),
    errorCode: int16,
  },
})

export type AddOffsetsToTxnRequest = RequestOf<typeof addOffsetsToTxnApi>
export type AddOffsetsToTxnResponse = ResponseOf<typeof addOffsetsToTxnApi>
