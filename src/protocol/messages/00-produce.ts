import { api, array, int16, int32, int64, records, string, struct } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const produceApi = api({
  key: 0,
  name: 'Produce',
  versions: [0, 12],
  flexibleFrom: 9,
  request: {
    transactionalId: string.nullable().from(3).default(null),
    acks: int16,
    timeoutMs: int32,
    topicData: array({
      name: string,
      partitionData: array({ index: int32, records: records.nullable() }),
    }),
  },
  response: {
    responses: array({
      name: string,
      partitionResponses: array({
        index: int32,
        errorCode: int16,
        baseOffset: int64,
        logAppendTimeMs: int64.from(2).default(-1),
        logStartOffset: int64.from(5).default(-1),
        recordErrors: array({
          batchIndex: int32,
          batchIndexErrorMessage: string.nullable().default(null),
        }).from(8),
        errorMessage: string.nullable().from(8).default(null),
        currentLeader: struct({
          leaderId: int32.default(-1),
          leaderEpoch: int32.default(-1),
        }).tagged(0, 10),
      }),
    }),
    throttleTimeMs: int32.from(1).default(0),
    nodeEndpoints: array({
      nodeId: int32,
      host: string,
      port: int32,
      rack: string.nullable().default(null),
    }).tagged(0, 10),
  },
})

export type ProduceRequest = RequestOf<typeof produceApi>
export type ProduceResponse = ResponseOf<typeof produceApi>
