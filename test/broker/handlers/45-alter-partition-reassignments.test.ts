/** AlterPartitionReassignments and ListPartitionReassignments on a single broker: what is refused, and moves that end at once. */
import { beforeAll, expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { createTopicsApi } from '../../../src/protocol/messages/19-create-topics.ts'
import { alterPartitionReassignmentsApi } from '../../../src/protocol/messages/45-alter-partition-reassignments.ts'
import { listPartitionReassignmentsApi } from '../../../src/protocol/messages/46-list-partition-reassignments.ts'
import { useBroker } from '../use-broker.ts'

const broker = useBroker()

beforeAll(async () => {
  const topics = [{ name: 'moved', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }]
  await broker.client.request(createTopicsApi, 7, { topics, timeoutMs: 5000, validateOnly: false })
})

async function reassign(name: string, partitionIndex: number, replicas: number[] | null): Promise<number> {
  const topics = [{ name, partitions: [{ partitionIndex, replicas }] }]
  const reply = await broker.client.request(alterPartitionReassignmentsApi, 0, { topics })
  expect(reply).toMatchObject({ errorCode: ErrorCode.NONE, errorMessage: '', responses: [{ name }] })
  expect(reply.responses[0].partitions.map((one) => one.partitionIndex)).toEqual([partitionIndex])
  return reply.responses[0].partitions[0].errorCode
}

test('a move to where the partition is ends at once', async () => {
  expect(await reassign('moved', 0, [1])).toBe(ErrorCode.NONE)
})

test('a move to nowhere, to one broker twice, or to a broker that is not there is refused', async () => {
  for (const replicas of [[], [1, 1], [-1], [1, 7]])
    expect(await reassign('moved', 0, replicas)).toBe(ErrorCode.INVALID_REPLICA_ASSIGNMENT)
})

test('what is not moved cannot be cancelled, and what is not there not be moved', async () => {
  expect(await reassign('moved', 0, null)).toBe(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
  expect(await reassign('moved', 2, [1])).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  expect(await reassign('missing', 0, [1])).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
})

test('each partition of a request is answered on its own', async () => {
  const partitions = [
    { partitionIndex: 1, replicas: [1] },
    { partitionIndex: 0, replicas: [7] },
  ]
  const { responses } = await broker.client.request(alterPartitionReassignmentsApi, 0, {
    topics: [{ name: 'moved', partitions }],
  })
  expect(responses[0].partitions.map((one) => [one.partitionIndex, one.errorCode])).toEqual([
    [1, ErrorCode.NONE],
    [0, ErrorCode.INVALID_REPLICA_ASSIGNMENT],
  ])
})

test('nothing is listed that is not under way', async () => {
  const named = [{ name: 'moved', partitionIndexes: [0, 9] }]
  for (const topics of [null, [], named]) {
    const reply = await broker.client.request(listPartitionReassignmentsApi, 0, { topics })
    expect(reply).toMatchObject({ errorCode: ErrorCode.NONE, errorMessage: '', topics: [] })
  }
})
