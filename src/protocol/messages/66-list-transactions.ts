import { api, array, int16, int32, int64, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const listTransactionsApi = api({
  key: 66,
  name: 'ListTransactions',
  versions: [0, 1],
  flexibleFrom: 0,
  request: {
    stateFilters: array(string),
    producerIdFilters: array(int64),
    durationFilter: int64.from(1).default(-1),
  },
  response: {
    throttleTimeMs: int32.default(0),
    errorCode: int16,
    unknownStateFilters: array(string),
    transactionStates: array({ transactionalId: string, producerId: int64, transactionState: string }),
  },
})

export type ListTransactionsRequest = RequestOf<typeof listTransactionsApi>
export type ListTransactionsResponse = ResponseOf<typeof listTransactionsApi>
