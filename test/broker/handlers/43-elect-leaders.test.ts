import { expect, test } from 'vitest'
import { handleElectLeaders } from '../../../src/broker/handlers/43-elect-leaders.ts'
import type { Services } from '../../../src/broker/services.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { createTopicsApi } from '../../../src/protocol/messages/19-create-topics.ts'
import { electLeadersApi } from '../../../src/protocol/messages/43-elect-leaders.ts'
import { useBroker } from '../use-broker.ts'

const PREFERRED = 0
const UNCLEAN = 1
const broker = useBroker()

test('a partition that its preferred replica leads needs no election, one that is not there is unknown', async () => {
  const topics = [{ name: 'led', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }]
  await broker.client.request(createTopicsApi, 7, { topics, timeoutMs: 5000, validateOnly: false })
  for (const version of [0, 1, 2]) {
    for (const electionType of version === 0 ? [PREFERRED] : [PREFERRED, UNCLEAN]) {
      const reply = await broker.client.request(electLeadersApi, version, {
        electionType,
        topicPartitions: [{ topic: 'led', partitions: [0, 9] }],
      })
      expect(reply.errorCode).toBe(ErrorCode.NONE)
      expect(reply.replicaElectionResults.map(({ topic }) => topic)).toEqual(['led'])
      const results = reply.replicaElectionResults[0].partitionResult
      expect(results.map(({ partitionId, errorCode }) => [partitionId, errorCode])).toEqual([
        [0, ErrorCode.ELECTION_NOT_NEEDED],
        [9, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
      ])
    }
  }
})

test('of all partitions those that need no election are left out', async () => {
  const reply = await broker.client.request(electLeadersApi, 2, { topicPartitions: null })
  expect(reply).toMatchObject({ errorCode: ErrorCode.NONE, replicaElectionResults: [] })
})

test('a kind of election that there is not is refused', async () => {
  const asked = { electionType: 2, topicPartitions: [{ topic: 'led', partitions: [0] }] }
  const reply = await broker.client.request(electLeadersApi, 2, asked)
  expect(reply).toMatchObject({
    errorCode: ErrorCode.INVALID_REQUEST,
    replicaElectionResults: [{ topic: 'led', partitionResult: [{ errorCode: ErrorCode.INVALID_REQUEST }] }],
  })
})

test('who is not the controller says so of each partition, of all where all are asked for', async () => {
  const services = {
    controller: {
      electLeaders: async () => ({ errorCode: ErrorCode.NOT_CONTROLLER, replicaElectionResults: [] }),
    },
    metadata: { topics: () => [{ name: 'a', partitions: [{ index: 0 }, { index: 1 }] }] },
  } as unknown as Services
  const result = (partitionId: number) => ({
    partitionId,
    errorCode: ErrorCode.NOT_CONTROLLER,
    errorMessage: null,
  })
  const ask = { electionType: PREFERRED, timeoutMs: 1000 }
  const one = [{ topic: 'b', partitions: [7] }]
  expect(await handleElectLeaders(services, { ...ask, topicPartitions: one })).toEqual({
    errorCode: ErrorCode.NONE,
    replicaElectionResults: [{ topic: 'b', partitionResult: [result(7)] }],
  })
  expect(await handleElectLeaders(services, { ...ask, topicPartitions: null })).toEqual({
    errorCode: ErrorCode.NONE,
    replicaElectionResults: [{ topic: 'a', partitionResult: [result(0), result(1)] }],
  })
})
