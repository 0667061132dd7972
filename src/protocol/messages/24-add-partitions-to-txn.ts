import { api, array, bool, int16, int32, int64, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

const topics = array({ name: string, partitions: array(int32) })
const topicResults = array({
  name: string,
  resultsByPartition: array({ partitionIndex: int32, partitionErrorCode: int16 }),
})

/** Up to version 3 for clients, one transaction each; from version 4 on for brokers. */
export const addPartitionsToTxnApi = api({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [0, 5],
  flexibleFrom: 3,
  request: {
    transactions: array({
      transactionalId: string,
      producerId: int64,
      producerEpoch: int16,
      verifyOnly: bool.default(false),
      topics,
    }).from(4),
    v3AndBelowTransactionalId: string.until(3),
    v3AndBelowProducerId: int64.until(3),
    v3AndBelowProducerEpoch: int16.until(3),
    v3AndBelowTopics: topics.until(3),
  },
  response: {
    throttleTimeMs: int32.default(0),
    errorCode: int16.from(4).default(0),
    resultsByTransaction: array({ transactionalId: string, topicResults }).from(4),
    resultsByTopicV3AndBelow: topicResults.until(3),
  },
})

export type AddPartitionsToTxnRequest = RequestOf<typeof addPartitionsToTxnApi>
export type AddPartitionsToTxnResponse = ResponseOf<typeof addPartitionsToTxnApi>
