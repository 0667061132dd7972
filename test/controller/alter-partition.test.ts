import { expect, test } from 'vitest'
import { decideIsrChange } from '../../src/controller/decide/alter-partition.ts'
import type { AlterPartitionRequest } from '../../src/protocol/messages/56-alter-partition.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { ZERO_UUID } from '../../src/protocol/schema.ts'
import { SimCluster } from './cluster.ts'

const current = {
  leader: 1,
  leaderEpoch: 5,
  isr: [1, 2],
  controllerEpoch: 3,
  recovering: false,
  partitionEpoch: 10,
}
const wish = { leaderEpoch: 5, isr: [1], recovering: false, partitionEpoch: 10 }
const context = { leader: 1, isLive: (id: number) => id < 9, controllerEpoch: 7 }

test('a leader gets the in-sync set that it asks for, under its leader epoch and the controller epoch of now', () => {
  const state = { leader: 1, leaderEpoch: 5, isr: [1], controllerEpoch: 7, recovering: false }
  expect(decideIsrChange(current, wish, context)).toEqual({ state })
})

test('what is refused, and in which order it is looked at', () => {
  const errorOf = (change: object, now: typeof current | undefined = current, from = context) => {
    const decision = decideIsrChange(now, { ...wish, ...change }, from)
    return decision === 'unchanged' || 'state' in decision ? decision : decision.error
  }
  expect(decideIsrChange(undefined, wish, context)).toEqual({ error: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION })
  expect(errorOf({ partitionEpoch: 11, leaderEpoch: 4 })).toBe(ErrorCode.NOT_CONTROLLER)
  expect(errorOf({ leaderEpoch: 6 })).toBe(ErrorCode.NOT_CONTROLLER)
  expect(errorOf({ leaderEpoch: 4, partitionEpoch: 9 })).toBe(ErrorCode.FENCED_LEADER_EPOCH)
  expect(errorOf({ partitionEpoch: 9 })).toBe(ErrorCode.INVALID_UPDATE_VERSION)
  expect(errorOf({ recovering: true })).toBe(ErrorCode.INVALID_REQUEST)
  const recovering = { ...current, isr: [1], recovering: true }
  expect(errorOf({ isr: [1, 2], recovering: true }, recovering)).toBe(ErrorCode.INVALID_REQUEST)
  expect(errorOf({ isr: [] })).toBe(ErrorCode.INVALID_REQUEST)
  expect(errorOf({}, current, { ...context, leader: 2 })).toBe(ErrorCode.INVALID_REQUEST)
  expect(errorOf({ isr: [1, 9] })).toBe(ErrorCode.INELIGIBLE_REPLICA)
})

test('a request that comes twice is answered as the first time, even with the partition epoch of before', () => {
  expect(decideIsrChange(current, { ...wish, isr: [1, 2], partitionEpoch: 9 }, context)).toBe('unchanged')
  expect(decideIsrChange(current, { ...wish, isr: [2, 1], partitionEpoch: 9 }, context)).toEqual({
    error: ErrorCode.INVALID_UPDATE_VERSION,
  })
})

async function leaderAsks(isr: number[]) {
  const cluster = new SimCluster()
  for (const id of [1, 2, 3]) await cluster.addBroker(id)
  await cluster.createTopic('t', [2, 1, 3])
  const { metadata, controller } = cluster.controller
  const request = (change: Partial<AlterPartitionRequest['topics'][number]['partitions'][number]> = {}) => ({
    brokerId: 2,
    brokerEpoch: metadata.broker(2)!.epoch,
    topics: [
      {
        topicName: 't',
        topicId: metadata.topic('t')!.topicId,
        partitions: [
          {
            partitionIndex: 0,
            leaderEpoch: 0,
            newIsr: isr,
            newIsrWithEpochs: isr.map((brokerId) => ({ brokerId, brokerEpoch: -1 })),
            leaderRecoveryState: 0,
            partitionEpoch: 0,
            ...change,
          },
        ],
      },
    ],
  })
  const ask = (asked: ReturnType<typeof request>, version = 3) =>
    cluster.until(controller.alterPartition(asked, version))
  return { cluster, request, ask }
}

test.each([0, 1, 2, 3])(
  'version %i writes the set, answers with its epoch, and tells all, leaders not',
  async (version) => {
    const { cluster, request, ask } = await leaderAsks([2, 1])
    for (const { calls } of cluster.brokers.values()) calls.length = 0
    const response = await ask(request(), version)
    expect(response.topics[0].partitions[0]).toEqual({
      partitionIndex: 0,
      errorCode: 0,
      leaderId: 2,
      leaderEpoch: 0,
      isr: [2, 1],
      leaderRecoveryState: 0,
      partitionEpoch: 1,
    })
    await cluster.scheduler.settle()
    expect(await cluster.stateOf('t')).toMatchObject({
      leader: 2,
      leaderEpoch: 0,
      isr: [2, 1],
      partitionEpoch: 1,
    })
    for (const { calls, metadata } of cluster.brokers.values()) {
      expect(calls.map(({ type }) => type)).toEqual(['updateMetadata'])
      expect(metadata.partition('t', 0)).toMatchObject({ isr: [2, 1], partitionEpoch: 1 })
    }
    expect((await ask(request(), version)).topics[0].partitions[0].partitionEpoch).toBe(1)
  },
)

test('a broker of another life, one that is unknown, and one that asks another broker are refused as a whole', async () => {
  const { cluster, request, ask } = await leaderAsks([2, 1])
  expect((await ask({ ...request(), brokerEpoch: 1 })).errorCode).toBe(ErrorCode.STALE_BROKER_EPOCH)
  expect((await ask({ ...request(), brokerId: 7 })).errorCode).toBe(ErrorCode.STALE_BROKER_EPOCH)
  const other = cluster.brokers.get(3)!.controller
  expect((await cluster.until(other.alterPartition(request(), 3))).errorCode).toBe(ErrorCode.NOT_CONTROLLER)
})

test('unknown topics and partitions are refused alone, and a member that is gone by the code of the version', async () => {
  const { cluster, request, ask } = await leaderAsks([2, 1])
  const asked = request()
  const [topic] = asked.topics
  const codeOf = async (topics: typeof asked.topics, version: number) => {
    return (await ask({ ...asked, topics }, version)).topics[0].partitions[0].errorCode
  }
  expect(await codeOf([{ ...topic, topicId: ZERO_UUID }], 2)).toBe(ErrorCode.UNKNOWN_TOPIC_ID)
  expect(await codeOf([{ ...topic, topicName: 'none' }], 1)).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  expect(await codeOf(request({ partitionIndex: 4 }).topics, 3)).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  await cluster.removeBroker(3)
  const now = { leaderEpoch: 1, partitionEpoch: 1 }
  const withGone = [2, 1, 3]
  const change = {
    ...now,
    newIsr: withGone,
    newIsrWithEpochs: withGone.map((brokerId) => ({ brokerId, brokerEpoch: -1 })),
  }
  expect(await codeOf(request(change).topics, 3)).toBe(ErrorCode.INELIGIBLE_REPLICA)
  expect(await codeOf(request(change).topics, 1)).toBe(ErrorCode.OPERATION_NOT_ATTEMPTED)
})

test('a replica that has come back since it fetched is not taken in: it may have lost what it had (KIP-903)', async () => {
  const { cluster, request, ask } = await leaderAsks([2, 1, 3])
  const epochOf = (id: number): number => cluster.controller.metadata.broker(id)!.epoch
  const fetchedIn = epochOf(3)
  await cluster.removeBroker(3)
  await cluster.addBroker(3)
  expect(epochOf(3)).toBeGreaterThan(fetchedIn)
  const wishWith = (brokerEpoch: number) => {
    const newIsrWithEpochs = [2, 1, 3].map((brokerId) => {
      return { brokerId, brokerEpoch: brokerId === 3 ? brokerEpoch : -1 }
    })
    return request({ leaderEpoch: 1, partitionEpoch: 1, newIsrWithEpochs })
  }
  const codeOf = async (brokerEpoch: number) =>
    (await ask(wishWith(brokerEpoch))).topics[0].partitions[0].errorCode
  expect(await codeOf(fetchedIn)).toBe(ErrorCode.INELIGIBLE_REPLICA)
  expect(await codeOf(epochOf(3))).toBe(ErrorCode.NONE)
})

test('a state that another hand has written meanwhile is not overwritten', async () => {
  const { cluster, request, ask } = await leaderAsks([2, 1])
  const session = await cluster.connect()
  const path = '/brokers/topics/t/partitions/0/state'
  const { data } = await cluster.until(session.get(path))
  await cluster.until(session.set(path, data))
  expect((await ask(request())).topics[0].partitions[0].errorCode).toBe(ErrorCode.INVALID_UPDATE_VERSION)
  expect((await ask(request({ partitionEpoch: 1 }))).topics[0].partitions[0]).toMatchObject({
    errorCode: 0,
    partitionEpoch: 2,
  })
})

test('thousands of sets are written in parts that an ensemble takes; one that another hand has written stands alone', async () => {
  const cluster = new SimCluster()
  for (const id of [1, 2]) await cluster.addBroker(id)
  await cluster.createTopic('t', ...Array.from({ length: 1500 }, () => [2, 1]))
  const { metadata, controller, session } = cluster.controller
  const path = '/brokers/topics/t/partitions/1200/state'
  const { data } = await cluster.until(session.get(path))
  await cluster.until(session.set(path, data))
  const sizes: number[] = []
  const multi = session.multi.bind(session)
  session.multi = (operations) => {
    sizes.push(operations.length)
    return multi(operations)
  }
  const partitions = Array.from({ length: 1500 }, (_, partitionIndex) => ({
    partitionIndex,
    leaderEpoch: 0,
    newIsr: [],
    newIsrWithEpochs: [{ brokerId: 2, brokerEpoch: -1 }],
    leaderRecoveryState: 0,
    partitionEpoch: 0,
  }))
  const { topicId } = metadata.topic('t')!
  const topics = [{ topicName: '', topicId, partitions }]
  const request = { brokerId: 2, brokerEpoch: metadata.broker(2)!.epoch, topics }
  const answers = (await cluster.until(controller.alterPartition(request, 3))).topics[0].partitions
  const refused = answers.filter(({ errorCode }) => errorCode !== ErrorCode.NONE)
  expect(refused.map(({ partitionIndex, errorCode }) => [partitionIndex, errorCode])).toEqual([
    [1200, ErrorCode.INVALID_UPDATE_VERSION],
  ])
  expect(await cluster.stateOf('t', 1499)).toMatchObject({ isr: [2], partitionEpoch: 1 })
  expect(Math.max(...sizes)).toBeLessThanOrEqual(1001)
})
