import { api, bool, int16, int32, int64, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const endTxnApi = api({
  key: 26,
  name: 'EndTxn',
  versions: [0, 5],
  flexibleFrom: 3,
  request: {
    transactionalId: string,
    producerId: int64,
    producerEpoch: int16,
    committed: bool,
  },
  response: {
    throttleTimeMs: int32.default(0),
    errorCode: int16,
    producerId: int64.from(5).default(-1),
    producerEpoch: int16.from(5).default(-1),
  },
})

export type EndTxnRequest = RequestOf<typeof endTxnApi>
export type EndTxnResponse = ResponseOf<typeof endTxnApi>
