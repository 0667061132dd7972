/** Moves of partitions, as the controller does them: asked for by the handlers, told to brokers that only remember. */
import { describe, expect, test } from 'vitest'
import { handleAlterPartitionReassignments } from '../../src/broker/handlers/45-alter-partition-reassignments.ts'
import { handleListPartitionReassignments } from '../../src/broker/handlers/46-list-partition-reassignments.ts'
import type { Services } from '../../src/broker/services.ts'
import { decodeTopic } from '../../src/controller/znodes.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { SimCluster } from './cluster.ts'
import type { SimBroker } from './cluster.ts'
import { setIsr } from './in-sync-sets.ts'

async function clusterOf(...ids: number[]): Promise<SimCluster> {
  const cluster = new SimCluster()
  for (const id of ids) await cluster.addBroker(id)
  return cluster
}

const servicesOf = ({ controller }: SimBroker): Services => ({ controller }) as unknown as Services

/** Asks the controller for a move; the error code of the partition. */
async function move(
  cluster: SimCluster,
  replicas: number[] | null,
  topic = 't',
  partition = 0,
): Promise<number> {
  const topics = [{ name: topic, partitions: [{ partitionIndex: partition, replicas }] }]
  const request = { timeoutMs: 1000, topics }
  const services = servicesOf(cluster.controller)
  const response = await cluster.until(handleAlterPartitionReassignments(services, request))
  await cluster.scheduler.settle()
  expect(response.errorCode).toBe(ErrorCode.NONE)
  return response.responses[0].partitions[0].errorCode
}

/** What ListPartitionReassignments says: `t-0: 4 5 6 1 2 3, adding 4 5 6, removing 1 2 3`. */
async function underWay(
  cluster: SimCluster,
  topics: { name: string; partitionIndexes: number[] }[] | null = null,
) {
  const services = servicesOf(cluster.controller)
  const response = await cluster.until(
    handleListPartitionReassignments(services, { timeoutMs: 1000, topics }),
  )
  return response.topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partitionIndex, replicas, addingReplicas, removingReplicas }) => {
      const parts = [replicas, addingReplicas, removingReplicas].map((ids) => ids.join(' '))
      return `${name}-${partitionIndex}: ${parts[0]}, adding ${parts[1]}, removing ${parts[2]}`
    }),
  )
}

/** The topic's znode. */
async function written(cluster: SimCluster, topic = 't') {
  const { data } = await cluster.until(cluster.controller.session.get(`/brokers/topics/${topic}`))
  const { partitions, addingReplicas, removingReplicas } = decodeTopic(data)!
  return { partitions, addingReplicas, removingReplicas }
}

const settledAs = (...partitions: number[][]) => ({ partitions, addingReplicas: {}, removingReplicas: {} })

/** What a broker was told of the partition by LeaderAndIsr, last. */
const told = ({ calls }: SimBroker, topic = 't') =>
  calls
    .flatMap((call) => (call.type === 'leaderAndIsr' ? call.states! : []))
    .findLast((state) => state.topic === topic)

/** What a broker was told to stop, since it began. */
const stopped = ({ calls }: SimBroker) =>
  calls.flatMap((call) => (call.type === 'stopReplicas' ? call.partitions! : []))

const broker = (cluster: SimCluster, id: number): SimBroker => cluster.brokers.get(id)!

describe('a partition that moves from three brokers to three others', () => {
  async function moving(): Promise<SimCluster> {
    const cluster = await clusterOf(1, 2, 3, 4, 5, 6)
    await cluster.createTopic('t', [1, 2, 3])
    expect(await move(cluster, [4, 5, 6])).toBe(ErrorCode.NONE)
    return cluster
  }

  test('is listed, written with all six replicas, and told to the old ones and, as new, to the added ones', async () => {
    const cluster = await moving()
    expect(await underWay(cluster)).toEqual(['t-0: 4 5 6 1 2 3, adding 4 5 6, removing 1 2 3'])
    expect(await written(cluster)).toEqual({
      partitions: [[4, 5, 6, 1, 2, 3]],
      addingReplicas: { 0: [4, 5, 6] },
      removingReplicas: { 0: [1, 2, 3] },
    })
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 1, leaderEpoch: 1, isr: [1, 2, 3] })
    for (const id of [1, 2, 3, 4, 5, 6]) {
      expect(told(broker(cluster, id))).toMatchObject({
        leader: 1,
        leaderEpoch: 1,
        isr: [1, 2, 3],
        replicas: [4, 5, 6, 1, 2, 3],
        addingReplicas: [4, 5, 6],
        removingReplicas: [1, 2, 3],
        isNew: id > 3,
      })
    }
  })

  test('is where it was until the last of the added replicas is in sync', async () => {
    const cluster = await moving()
    await setIsr(cluster, [1, 2, 3, 4, 5])
    expect(await underWay(cluster)).toHaveLength(1)
    for (const id of [1, 2, 3]) expect(stopped(broker(cluster, id))).toEqual([])
  })

  test('is where it was meant to be then: new leader and set, old replicas stopped and deleted, nothing left to do', async () => {
    const cluster = await moving()
    await setIsr(cluster, [1, 2, 3, 4, 5, 6])
    const state = { leader: 4, leaderEpoch: 2, isr: [4, 5, 6] }
    expect(await cluster.stateOf('t')).toMatchObject(state)
    expect(await written(cluster)).toEqual(settledAs([4, 5, 6]))
    expect(await underWay(cluster)).toEqual([])
    for (const id of [4, 5, 6]) {
      const settled = { ...state, replicas: [4, 5, 6], addingReplicas: [], removingReplicas: [] }
      expect(told(broker(cluster, id))).toMatchObject(settled)
      expect(stopped(broker(cluster, id))).toEqual([])
    }
    for (const id of [1, 2, 3]) {
      const gone = { topic: 't', partition: 0, leaderEpoch: 2, deleteLog: true }
      expect(stopped(broker(cluster, id))).toEqual([gone])
      expect(broker(cluster, id).metadata.partition('t', 0)).toMatchObject({ leader: 4, replicas: [4, 5, 6] })
    }
  })

  test('is finished by the next controller', async () => {
    const cluster = await moving()
    const first = cluster.controller.id
    await cluster.removeBroker(first)
    expect(cluster.controller.id).not.toBe(first)
    expect(await underWay(cluster)).toEqual(['t-0: 4 5 6 1 2 3, adding 4 5 6, removing 1 2 3'])
    await setIsr(cluster, [2, 3, 4, 5, 6])
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 4, isr: [4, 5, 6] })
    expect(await written(cluster)).toEqual(settledAs([4, 5, 6]))
    expect(stopped(broker(cluster, 2))).toMatchObject([{ topic: 't', deleteLog: true }])
  })

  test('comes back when it is cancelled, and what was added is deleted', async () => {
    const cluster = await moving()
    await setIsr(cluster, [1, 2, 3, 4])
    expect(await move(cluster, null)).toBe(ErrorCode.NONE)
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 1, isr: [1, 2, 3] })
    expect(await written(cluster)).toEqual(settledAs([1, 2, 3]))
    expect(await underWay(cluster)).toEqual([])
    for (const id of [4, 5, 6]) expect(stopped(broker(cluster, id))).toMatchObject([{ deleteLog: true }])
    for (const id of [1, 2, 3]) expect(stopped(broker(cluster, id))).toEqual([])
    expect(await move(cluster, null)).toBe(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
  })

  test('goes elsewhere when another target replaces the first, without what that alone had', async () => {
    const cluster = await moving()
    await setIsr(cluster, [1, 2, 3, 4])
    expect(await move(cluster, [1, 5])).toBe(ErrorCode.NONE)
    expect(await underWay(cluster)).toEqual(['t-0: 1 5 2 3, adding 5, removing 2 3'])
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 1, isr: [1, 2, 3] })
    for (const id of [4, 6]) expect(stopped(broker(cluster, id))).toMatchObject([{ deleteLog: true }])
    await setIsr(cluster, [1, 2, 3, 5])
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 1, isr: [1, 5] })
    expect(await written(cluster)).toEqual(settledAs([1, 5]))
  })

  test('is not brought back while only an added replica is in sync', async () => {
    const cluster = await moving()
    await setIsr(cluster, [1, 4])
    // The controller itself may be among those that go.
    for (const id of [1, 2, 3]) await cluster.removeBroker(id)
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 4, isr: [4] })
    expect(await move(cluster, null)).toBe(ErrorCode.INVALID_REPLICA_ASSIGNMENT)
    expect(stopped(broker(cluster, 4))).toEqual([])
    await setIsr(cluster, [4, 5, 6])
    expect(await written(cluster)).toEqual(settledAs([4, 5, 6]))
  })

  test('goes on when a broker of the target was away and is back', async () => {
    const cluster = await moving()
    await cluster.removeBroker(6)
    await setIsr(cluster, [1, 2, 3, 4, 5])
    expect(await underWay(cluster)).toHaveLength(1)
    const back = await cluster.addBroker(6)
    expect(told(back)).toMatchObject({ leader: 1, addingReplicas: [4, 5, 6], isNew: true })
    await setIsr(cluster, [1, 2, 3, 4, 5, 6])
    expect(await written(cluster)).toEqual(settledAs([4, 5, 6]))
  })
})

test('more replicas, fewer, and another order are moves like any other', async () => {
  const cluster = await clusterOf(1, 2, 3)
  await cluster.createTopic('t', [1])
  expect(await move(cluster, [1, 2, 3])).toBe(ErrorCode.NONE)
  expect(await underWay(cluster)).toEqual(['t-0: 1 2 3, adding 2 3, removing '])
  await setIsr(cluster, [1, 2, 3])
  expect(await written(cluster)).toEqual(settledAs([1, 2, 3]))
  expect(await move(cluster, [3, 1, 2])).toBe(ErrorCode.NONE)
  expect(await written(cluster)).toEqual(settledAs([3, 1, 2]))
  expect(await cluster.stateOf('t')).toMatchObject({ leader: 1, isr: [1, 2, 3] })
  expect(await move(cluster, [3])).toBe(ErrorCode.NONE)
  expect(await cluster.stateOf('t')).toMatchObject({ leader: 3, isr: [3] })
  expect(await written(cluster)).toEqual(settledAs([3]))
  expect(stopped(broker(cluster, 1))).toMatchObject([{ deleteLog: true }])
})

test('partitions that are not moved keep what stands of them in the topic’s znode', async () => {
  const cluster = await clusterOf(1, 2, 3)
  await cluster.createTopic('t', [1], [2], [3])
  expect(await move(cluster, [3], 't', 1)).toBe(ErrorCode.NONE)
  expect(await move(cluster, [1], 't', 2)).toBe(ErrorCode.NONE)
  expect(await underWay(cluster, [{ name: 't', partitionIndexes: [0, 2, 9] }])).toEqual([
    't-2: 1 3, adding 1, removing 3',
  ])
  await setIsr(cluster, [2, 3], 't', 1)
  expect(await written(cluster)).toEqual({
    partitions: [[1], [3], [1, 3]],
    addingReplicas: { 2: [1] },
    removingReplicas: { 2: [3] },
  })
})

test('who is not the controller says so', async () => {
  const cluster = await clusterOf(1, 2)
  const other = [...cluster.brokers.values()].find(({ controller }) => !controller.isActive)!
  const services = servicesOf(other)
  const asked = { timeoutMs: 1000, topics: [] }
  expect(await cluster.until(handleAlterPartitionReassignments(services, asked))).toMatchObject({
    errorCode: ErrorCode.NOT_CONTROLLER,
  })
  expect(await cluster.until(handleListPartitionReassignments(services, asked))).toMatchObject({
    errorCode: ErrorCode.NOT_CONTROLLER,
  })
})

test('moves that an old tool asks for by znode are done, and the znode goes with the last of them', async () => {
  const cluster = await clusterOf(1, 2, 3)
  await cluster.createTopic('t', [1], [1])
  const { session } = cluster.controller
  const path = '/admin/reassign_partitions'
  const partitions = [
    { topic: 't', partition: 0, replicas: [2] },
    { topic: 't', partition: 1, replicas: [3] },
    { topic: 't', partition: 2, replicas: [3] },
  ]
  await cluster.until(session.create(path, Buffer.from(JSON.stringify({ version: 1, partitions }))))
  await cluster.scheduler.settle()
  expect(await underWay(cluster)).toHaveLength(2)
  await setIsr(cluster, [1, 2], 't', 0)
  expect(JSON.parse((await cluster.until(session.get(path))).data!.toString()).partitions).toEqual([
    partitions[1],
  ])
  await setIsr(cluster, [1, 3], 't', 1)
  expect(await written(cluster)).toEqual(settledAs([2], [3]))
  expect(await cluster.until(session.exists(path))).toBeNull()
})
