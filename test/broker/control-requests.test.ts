/** The requests of a controller, on the wire, to a whole broker. Its own controller is in epoch 1; the others follow it. */
import { expect, test } from 'vitest'
import { RemoteChannel } from '../../src/broker/remote-channel.ts'
import type { BrokerInfo, PartitionState } from '../../src/controller/metadata.ts'
import { LEADER_DURING_DELETE } from '../../src/controller/metadata.ts'
import { nodeClock, nodeTimers } from '../../src/env/node/clock.ts'
import { createNodeNetwork } from '../../src/env/node/network.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { leaderAndIsrApi } from '../../src/protocol/messages/04-leader-and-isr.ts'
import { stopReplicaApi } from '../../src/protocol/messages/05-stop-replica.ts'
import { updateMetadataApi } from '../../src/protocol/messages/06-update-metadata.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { startProcess, type BrokerProcess } from './broker-process.ts'
import { describeTopic } from './requests.ts'
import { useBroker } from './use-broker.ts'

/** Another broker could be there, though none is. */
const inUse = useBroker({}, Infinity, { isAlone: false })
const env = { network: createNodeNetwork(), clock: nodeClock, timers: nodeTimers }
const from = { controllerId: 7, controllerEpoch: 2 }

const endpoint = (port: number) => {
  return { listenerName: 'PLAINTEXT', securityProtocol: 'PLAINTEXT', host: '127.0.0.1', port }
}
const brokerInfo = (id: number, port: number, epoch = -1): BrokerInfo => {
  return { id, epoch, rack: `rack-${id}`, endpoints: [endpoint(port)] }
}

function channelTo(process: BrokerProcess, epoch = -1): RemoteChannel {
  const settings = { brokerId: 7, listenerName: 'PLAINTEXT', socketTimeoutMs: 5000, connectTimeoutMs: 5000 }
  return new RemoteChannel(env, brokerInfo(1, process.port, epoch), settings)
}

function state(topic: string, change: Partial<PartitionState> = {}): PartitionState {
  return {
    topic,
    topicId: Buffer.alloc(16, topic).toString('base64url'),
    partition: 0,
    controllerEpoch: 2,
    leader: 1,
    leaderEpoch: 4,
    isr: [1, 2],
    partitionEpoch: 6,
    replicas: [1, 2],
    addingReplicas: [],
    removingReplicas: [],
    isNew: true,
    recovering: false,
    offlineReplicas: [],
    ...change,
  }
}
const brokers = (): BrokerInfo[] => [brokerInfo(1, inUse.process.port), brokerInfo(2, 9092)]
const hosted = (topic: string, partition = 0) =>
  inUse.process.broker.parts.services.replicas.get(topic, partition)

test('a broker becomes leader, then follower, is told of it, and stops', async () => {
  const channel = channelTo(inUse.process)
  const first = state('led')
  expect(await channel.updateMetadata(from, { brokers: brokers(), partitions: [first] })).toEqual({
    error: 0,
  })
  const answer = await channel.leaderAndIsr(from, [first, state('led', { partition: 1 })], brokers())
  const partitions = [0, 1].map((partition) => ({ topic: 'led', partition, error: ErrorCode.NONE }))
  expect(answer).toEqual({ error: ErrorCode.NONE, partitions })
  expect(hosted('led')).toMatchObject({ isLeader: true, leaderEpoch: 4, partitionEpoch: 6, isr: [1, 2] })
  expect(await describeTopic(inUse.client, 'led')).toMatchObject({
    errorCode: 0,
    topicId: first.topicId,
    partitions: [{ leaderId: 1, leaderEpoch: 4, replicaNodes: [1, 2], isrNodes: [1, 2] }],
  })

  const next = state('led', { leader: 2, leaderEpoch: 5, partitionEpoch: 7, isNew: false })
  await channel.leaderAndIsr(from, [next], brokers())
  expect(hosted('led')).toMatchObject({ isLeader: false, leader: 2, leaderEpoch: 5 })
  const again = await channel.leaderAndIsr(from, [next], brokers())
  expect(again.partitions[0].error).toBe(ErrorCode.STALE_CONTROLLER_EPOCH)

  const stop = { topic: 'led', partition: 0, leaderEpoch: 4, deleteLog: true }
  expect((await channel.stopReplicas(from, [stop])).partitions[0].error).toBe(ErrorCode.FENCED_LEADER_EPOCH)
  expect(await channel.stopReplicas(from, [{ ...stop, leaderEpoch: 5 }])).toEqual({
    error: ErrorCode.NONE,
    partitions: [{ topic: 'led', partition: 0, error: ErrorCode.NONE }],
  })
  expect(hosted('led')).toBeUndefined()
  expect(hosted('led', 1)).toBeDefined()

  const gone = [0, 1].map((partition) => state('led', { partition, leader: LEADER_DURING_DELETE }))
  await channel.updateMetadata(from, { brokers: brokers(), partitions: gone })
  expect((await describeTopic(inUse.client, 'led')).errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  channel.close()
})

test('other brokers have the rack and the address that the controller says', async () => {
  const channel = channelTo(inUse.process)
  await channel.updateMetadata(from, { brokers: brokers(), partitions: [] })
  const { metadata } = inUse.process.broker.parts.services
  expect(metadata.controllerId).toBe(7)
  expect(metadata.broker(2)).toMatchObject({
    rack: 'rack-2',
    endpoints: new Map([['PLAINTEXT', { host: '127.0.0.1', port: 9092 }]]),
  })
  channel.close()
})

test('an earlier life of the broker is not spoken to, nor does an earlier controller speak', async () => {
  const earlier = channelTo(inUse.process, 1)
  const update = { brokers: brokers(), partitions: [] }
  expect(await earlier.updateMetadata(from, update)).toEqual({ error: ErrorCode.STALE_BROKER_EPOCH })
  earlier.close()
  const channel = channelTo(inUse.process)
  await channel.updateMetadata(from, update)
  const before = { controllerId: 7, controllerEpoch: 1 }
  const stale = { error: ErrorCode.STALE_CONTROLLER_EPOCH, partitions: [] }
  expect(await channel.leaderAndIsr(before, [state('x')], [])).toEqual(stale)
  expect(await channel.stopReplicas(before, [])).toEqual(stale)
  expect(await channel.updateMetadata(before, update)).toEqual({ error: ErrorCode.STALE_CONTROLLER_EPOCH })
  channel.close()
})

for (let version = 0; version <= 7; version++) {
  test(`LeaderAndIsr ${version} is served`, async () => {
    const topicName = `by-version-${version}`
    const topicId = Buffer.alloc(16, `v${version}`).toString('base64url')
    const { partition: partitionIndex, recovering: _, ...rest } = state(topicName)
    const partition = { ...rest, topicName, partitionIndex, addingReplicas: [], removingReplicas: [] }
    const partitionState = { ...partition, isr: [1, 2], replicas: [1, 2] }
    const grouped = [{ topicName, topicId, partitionStates: [partitionState] }]
    const reply = await inUse.client.request(leaderAndIsrApi, version, {
      ...from,
      type: 0,
      ungroupedPartitionStates: [partitionState],
      topicStates: grouped,
      liveLeaders: [],
    })
    expect(reply.errorCode).toBe(ErrorCode.NONE)
    const errors = version >= 5 ? reply.topics[0].partitionErrors : reply.partitionErrors
    expect(errors).toMatchObject([{ partitionIndex: 0, errorCode: ErrorCode.NONE }])
    if (version >= 5) expect(reply.topics[0].topicId).toBe(topicId)
    else expect(reply.partitionErrors[0].topicName).toBe(topicName)
    expect(hosted(topicName)).toMatchObject({ isLeader: true, leaderEpoch: 4 })
  })
}

for (let version = 0; version <= 8; version++) {
  test(`UpdateMetadata ${version} is served`, async () => {
    const topicName = `told-in-${version}`
    const topicId = Buffer.alloc(16, `t${version}`).toString('base64url')
    const partition = {
      topicName,
      partitionIndex: 0,
      controllerEpoch: 2,
      leader: 2,
      leaderEpoch: 4,
      zkVersion: 6,
    }
    const partitionState = { ...partition, isr: [2], replicas: [1, 2], offlineReplicas: [1] }
    const live = (id: number, port: number) => {
      const endpoint = { port, host: '127.0.0.1', listener: 'PLAINTEXT', securityProtocol: 0 }
      return { id, v0Host: '127.0.0.1', v0Port: port, endpoints: [endpoint], rack: null }
    }
    const reply = await inUse.client.request(updateMetadataApi, version, {
      ...from,
      ungroupedPartitionStates: [partitionState],
      topicStates: [{ topicName, topicId, partitionStates: [partitionState] }],
      liveBrokers: [live(1, inUse.process.port), live(2, 9092)],
    })
    expect(reply.errorCode).toBe(ErrorCode.NONE)
    const { metadata } = inUse.process.broker.parts.services
    expect(metadata.partition(topicName, 0)).toMatchObject({ leader: 2, leaderEpoch: 4, isr: [2] })
    expect(metadata.broker(2)!.endpoints.get('PLAINTEXT')).toEqual({ host: '127.0.0.1', port: 9092 })
  })
}

for (let version = 0; version <= 4; version++) {
  test(`StopReplica ${version} is served`, async () => {
    const topicName = `stopped-in-${version}`
    const channel = channelTo(inUse.process)
    await channel.leaderAndIsr(from, [state(topicName)], [])
    channel.close()
    expect(hosted(topicName)).toBeDefined()
    const reply = await inUse.client.request(stopReplicaApi, version, {
      ...from,
      deletePartitions: true,
      ungroupedPartitions: [{ topicName, partitionIndex: 0 }],
      topics: [{ name: topicName, partitionIndexes: [0] }],
      topicStates: [
        { topicName, partitionStates: [{ partitionIndex: 0, leaderEpoch: -2, deletePartition: true }] },
      ],
    })
    expect(reply).toMatchObject({
      errorCode: 0,
      partitionErrors: [{ topicName, partitionIndex: 0, errorCode: 0 }],
    })
    expect(hosted(topicName)).toBeUndefined()
  })
}

test('a broker that is killed is lost at once, and not before', async () => {
  const process = await startProcess(new SimDisk({ random: new SeededRandom(2) }), {}, { isAlone: false })
  const channel = channelTo(process)
  let losses = 0
  const lost = new Promise<void>((resolve) => {
    channel.onLost(() => {
      losses++
      resolve()
    })
  })
  await channel.updateMetadata(from, { brokers: [brokerInfo(1, process.port)], partitions: [] })
  expect(losses).toBe(0)
  process.kill()
  await lost
  channel.close()
})
