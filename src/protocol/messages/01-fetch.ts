import { api, array, int8, int16, int32, int64, records, string, struct, uuid } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const fetchApi = api({
  key: 1,
  name: 'Fetch',
  versions: [0, 17],
  flexibleFrom: 12,
  request: {
    clusterId: string.nullable().default(null).tagged(0, 12),
    replicaId: int32.until(14).default(-1),
    replicaState: struct({
      replicaId: int32.default(-1),
      replicaEpoch: int64.default(-1),
    }).tagged(1, 15),
    maxWaitMs: int32,
    minBytes: int32,
    maxBytes: int32.from(3).default(0x7fffffff),
    isolationLevel: int8.from(4).default(0),
    sessionId: int32.from(7).default(0),
    sessionEpoch: int32.from(7).default(-1),
    topics: array({
      topic: string.until(12),
      topicId: uuid.from(13),
      partitions: array({
        partition: int32,
        currentLeaderEpoch: int32.from(9).default(-1),
        fetchOffset: int64,
        lastFetchedEpoch: int32.from(12).default(-1),
        logStartOffset: int64.from(5).default(-1),
        partitionMaxBytes: int32,
        replicaDirectoryId: uuid.tagged(0, 17),
      }),
    }),
    forgottenTopicsData: array({
      topic: string.until(12),
      topicId: uuid.from(13),
      partitions: array(int32),
    }).from(7),
    rackId: string.from(11).default(''),
  },
  response: {
    throttleTimeMs: int32.from(1).default(0),
    errorCode: int16.from(7),
    sessionId: int32.from(7).default(0),
    responses: array({
      topic: string.until(12),
      topicId: uuid.from(13),
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        highWatermark: int64,
        lastStableOffset: int64.from(4).default(-1),
        logStartOffset: int64.from(5).default(-1),
        divergingEpoch: struct({
          epoch: int32.default(-1),
          endOffset: int64.default(-1),
        }).tagged(0, 12),
        currentLeader: struct({
          leaderId: int32.default(-1),
          leaderEpoch: int32.default(-1),
        }).tagged(1, 12),
        snapshotId: struct({
          endOffset: int64.default(-1),
          epoch: int32.default(-1),
        }).tagged(2, 12),
        abortedTransactions: array({ producerId: int64, firstOffset: int64 }).nullable().from(4),
        preferredReadReplica: int32.from(11).default(-1),
        records: records.nullable(),
      }),
    }),
    nodeEndpoints: array({
      nodeId: int32,
      host: string,
      port: int32,
      rack: string.nullable().default(null),
    }).tagged(0, 16),
  },
})

export type FetchRequest = RequestOf<typeof fetchApi>
export type FetchResponse = ResponseOf<typeof fetchApi>
