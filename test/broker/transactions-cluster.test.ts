/** Transactions on several brokers: markers go to leaders elsewhere, and whoever coordinates next carries on. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { findCoordinatorApi } from '../../src/protocol/messages/10-find-coordinator.ts'
import { apiVersionsApi } from '../../src/protocol/messages/18-api-versions.ts'
import { createTopicsApi } from '../../src/protocol/messages/19-create-topics.ts'
import { initProducerIdApi } from '../../src/protocol/messages/22-init-producer-id.ts'
import { addPartitionsToTxnApi } from '../../src/protocol/messages/24-add-partitions-to-txn.ts'
import { endTxnApi } from '../../src/protocol/messages/26-end-txn.ts'
import { describeTransactionsApi } from '../../src/protocol/messages/65-describe-transactions.ts'
import { ClusterProcesses } from './cluster-processes.ts'
import { eventually } from './eventually.ts'
import { batchOf, produce } from './requests.ts'

const TOPIC = 'ledger'
const PARTITIONS = [0, 1, 2]
const ID = 'cashier'

let cluster: ClusterProcesses

beforeEach(async () => {
  cluster = new ClusterProcesses(3, {
    'transaction.state.log.num.partitions': '1',
    'transaction.state.log.replication.factor': '3',
    'transaction.state.log.min.isr': '1',
    'controlled.shutdown.enable': 'true',
    'controlled.shutdown.retry.backoff.ms': '50',
  })
  await cluster.startAll()
  const client = await cluster.connect(cluster.controllerId)
  const topic = { name: TOPIC, numPartitions: 3, replicationFactor: 3, assignments: [], configs: [] }
  const reply = await client.request(createTopicsApi, 7, { topics: [topic], timeoutMs: 10_000 })
  expect(reply.topics[0].errorCode).toBe(ErrorCode.NONE)
  await eventually(() => PARTITIONS.map((index) => leaderOf(TOPIC, index)), areLeaders)
})
afterEach(async () => {
  await cluster.stopAll()
  expect(cluster.bugs).toEqual([])
})

const areLeaders = (ids: number[]): boolean => ids.every((id) => id > 0)

function leaderOf(topic: string, index: number): number {
  return cluster.ids.find((id) => partitionOf(id, topic, index)?.isLeader) ?? -1
}

function partitionOf(id: number, topic: string, index: number) {
  return cluster.broker(id).parts.services.replicas.get(topic, index)
}

async function coordinator(): Promise<number> {
  const client = await cluster.connect(cluster.ids[0])
  const request = { keyType: 1, coordinatorKeys: [ID] }
  const ask = async () => (await client.request(findCoordinatorApi, 4, request)).coordinators[0]
  return (await eventually(ask, ({ errorCode }) => errorCode === ErrorCode.NONE)).nodeId
}

async function begin(at: number, name = TOPIC, partitions = PARTITIONS) {
  const client = await cluster.connect(at)
  const init = () =>
    client.request(initProducerIdApi, 5, { transactionalId: ID, transactionTimeoutMs: 60_000 })
  const producer = await eventually(init, ({ errorCode }) => errorCode === ErrorCode.NONE)
  const { producerId, producerEpoch } = producer
  const add = () =>
    client.request(addPartitionsToTxnApi, 3, {
      v3AndBelowTransactionalId: ID,
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: [{ name, partitions }],
    })
  const [topic] = (await add()).resultsByTopicV3AndBelow
  const codes = topic.resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode)
  expect(codes).toEqual(partitions.map(() => ErrorCode.NONE))
  for (const partition of partitions) {
    const leader = await cluster.connect(leaderOf(name, partition))
    const batch = batchOf(['paid'], { producerId, producerEpoch, baseSequence: 0, transactional: true })
    const reply = await produce(leader, name, batch, { partition, transactionalId: ID })
    expect(reply.errorCode).toBe(ErrorCode.NONE)
  }
  return { client, producerId, producerEpoch }
}

/** Every partition has one record and one marker, and nothing open. */
async function areEnded(): Promise<void> {
  const ends = () =>
    PARTITIONS.map((index) => {
      const partition = partitionOf(leaderOf(TOPIC, index), TOPIC, index)
      return partition === undefined ? [] : [partition.log.logEndOffset, partition.lastStableOffset]
    })
  await eventually(ends, (found) => found.every(([end, stable]) => end === 2 && stable === 2))
}

const committed = { transactionalId: ID, committed: true }

test('a coordinator has leaders of other brokers write its markers', async () => {
  const { client, producerId, producerEpoch } = await begin(await coordinator())
  expect(new Set(PARTITIONS.map((index) => leaderOf(TOPIC, index))).size).toBe(3)
  const reply = await client.request(endTxnApi, 4, { ...committed, producerId, producerEpoch })
  expect(reply.errorCode).toBe(ErrorCode.NONE)
  await areEnded()
})

test('a transaction that is open when its coordinator stops is ended by the next one', async () => {
  const first = await coordinator()
  const { producerId, producerEpoch } = await begin(first)
  await cluster.stop(first)
  const isOther = (id: number): boolean => id !== first
  const next = await cluster.connect(await eventually(coordinator, isOther))
  const end = () => next.request(endTxnApi, 4, { ...committed, producerId, producerEpoch })
  await eventually(end, ({ errorCode }) => errorCode === ErrorCode.NONE)
  await eventually(() => PARTITIONS.map((index) => leaderOf(TOPIC, index)), areLeaders)
  await areEnded()
})

test('markers that a coordinator leaves unwritten when it is killed are written by the next one', async () => {
  const first = await coordinator()
  const [gone, last] = cluster.ids.filter((id) => id !== first)
  const admin = await cluster.connect(cluster.controllerId)
  const assignments = [{ partitionIndex: 0, brokerIds: [gone] }]
  const topic = { name: 'stuck', numPartitions: -1, replicationFactor: -1, assignments, configs: [] }
  await admin.request(createTopicsApi, 7, { topics: [topic], timeoutMs: 10_000 })
  await eventually(
    () => leaderOf('stuck', 0),
    (id) => id === gone,
  )
  const { client, producerId, producerEpoch } = await begin(first, 'stuck', [0])
  const stateAt = async (id: number): Promise<string> => {
    const asked = await cluster.connect(id)
    const reply = await asked.request(describeTransactionsApi, 0, { transactionalIds: [ID] })
    return reply.transactionStates[0].transactionState
  }
  await cluster.kill(gone)()
  const end = () => client.request(endTxnApi, 4, { ...committed, producerId, producerEpoch })
  await eventually(end, ({ errorCode }) => errorCode === ErrorCode.NONE)
  expect(await stateAt(first)).toBe('PrepareCommit')
  await cluster.kill(first)()
  await eventually(coordinator, (id) => id === last)
  await eventually(
    () => stateAt(last),
    (state) => state === 'PrepareCommit',
  )
  await cluster.start(gone)
  await eventually(
    () => stateAt(last),
    (state) => state === 'CompleteCommit',
  )
  const { log, lastStableOffset } = partitionOf(gone, 'stuck', 0)!
  expect([log.logEndOffset, lastStableOffset]).toEqual([2, 2])
})

/** transaction.version 2: one record in each partition, by whom the leaders themselves add these. */
async function write(of: { producerId: number; producerEpoch: number }): Promise<number[]> {
  const codes: number[] = []
  for (const partition of PARTITIONS) {
    const leader = await cluster.connect(leaderOf(TOPIC, partition))
    const batch = batchOf(['paid'], { ...of, baseSequence: 0, transactional: true })
    const options = { partition, transactionalId: ID, version: 12 }
    codes.push((await produce(leader, TOPIC, batch, options)).errorCode)
  }
  return codes
}

test('leaders of other brokers add their partitions to a transaction, whose end bumps the epoch', async () => {
  const client = await cluster.connect(await coordinator())
  const init = () =>
    client.request(initProducerIdApi, 5, { transactionalId: ID, transactionTimeoutMs: 60_000 })
  const { producerId, producerEpoch } = await eventually(init, ({ errorCode }) => errorCode === 0)
  expect(await write({ producerId, producerEpoch })).toEqual([0, 0, 0])
  const ended = await client.request(endTxnApi, 5, { ...committed, producerId, producerEpoch })
  expect(ended).toMatchObject({ errorCode: 0, producerId, producerEpoch: producerEpoch + 1 })
  await areEnded()
  // While that is noted down, the next one waits.
  const next = () => write({ producerId, producerEpoch: producerEpoch + 1 })
  await eventually(next, (codes) => codes.every((code) => code === 0))
  expect(await write({ producerId, producerEpoch })).toEqual([47, 47, 47])
})

async function offered(id: number): Promise<string> {
  const client = await cluster.connect(id)
  const request = { clientSoftwareName: 'a', clientSoftwareVersion: '1' }
  const reply = await client.request(apiVersionsApi, 4, request)
  const levels = reply.finalizedFeatures.map(({ name, maxVersionLevel }) => `${name} ${maxVersionLevel}`)
  return [...levels, reply.finalizedFeaturesEpoch].join(' ')
}

test('transaction.version 2 is offered as long as every broker serves it', async () => {
  const all = () => Promise.all(cluster.ids.map(offered))
  const isBy = (what: string) => (found: string[]) => found.every((each) => each === what)
  await eventually(all, isBy('transaction.version 2 0'))
  const [first, ...others] = cluster.ids
  await cluster.stop(first)
  await cluster.start(first, { 'odradek.transaction.version': '0' })
  await eventually(all, isBy('1'))
  await cluster.stop(first)
  const rest = () => Promise.all(others.map(offered))
  await eventually(rest, isBy('transaction.version 2 0'))
})
