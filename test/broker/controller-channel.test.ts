import { expect, test } from 'vitest'
import { ControllerChannel } from '../../src/broker/controller-channel.ts'
import { shutDownControlled } from '../../src/broker/controlled-shutdown.ts'
import { MetadataCache } from '../../src/broker/metadata-cache.ts'
import { ProducerIds } from '../../src/broker/producer-ids.ts'
import type { BrokerInfo } from '../../src/controller/metadata.ts'
import { CoordinationError } from '../../src/env/coordination.ts'
import { nodeClock, nodeTimers } from '../../src/env/node/clock.ts'
import { createNodeNetwork } from '../../src/env/node/network.ts'
import { NetworkError } from '../../src/env/network.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { ZERO_UUID } from '../../src/protocol/schema.ts'
import { startProcess, type BrokerProcess } from './broker-process.ts'

const OWN_ID = 9
const silent = { log: () => undefined }

function brokerInfo(id: number, port: number): BrokerInfo {
  const endpoint = { listenerName: 'PLAINTEXT', securityProtocol: 'PLAINTEXT', host: '127.0.0.1', port }
  return { id, epoch: 5, rack: null, endpoints: [endpoint] }
}

/** The channel of broker 9, which knows of broker 1 at `port`, and what its own controller was asked. */
function channel() {
  const asked: string[] = []
  const lost: ((id: number) => void)[] = []
  const metadata = new MetadataCache('cluster', nodeTimers)
  const toController = new ControllerChannel({
    env: { network: createNodeNetwork(), clock: nodeClock, timers: nodeTimers },
    brokerId: OWN_ID,
    brokerEpoch: () => 5,
    metadata,
    controller: {
      alterPartition: async (_, version) => {
        asked.push(`AlterPartition ${version}`)
        return { throttleTimeMs: 0, errorCode: 0, topics: [] }
      },
      controlledShutdown: async (id, epoch) => {
        asked.push(`ControlledShutdown of ${id} in ${epoch}`)
        return { error: 0, remaining: [] }
      },
      allocateProducerIds: async (id, epoch) => {
        asked.push(`AllocateProducerIds for ${id} in ${epoch}`)
        return { error: 0, firstId: 3000, count: 1000 }
      },
      controllerLost: (id) => {
        for (const listener of lost) listener(id)
      },
    },
    listenerName: 'PLAINTEXT',
    requestTimeoutMs: 5000,
    connectTimeoutMs: 5000,
  })
  const isController = (id: number, port: number): void => {
    metadata.updateMetadata(id, { brokers: [brokerInfo(OWN_ID, 1), brokerInfo(1, port)], partitions: [] })
  }
  return { toController, asked, lost, isController }
}

const noTopics = { brokerId: OWN_ID, brokerEpoch: 5, topics: [] }
const startBroker = (): Promise<BrokerProcess> =>
  startProcess(new SimDisk({ random: new SeededRandom(3) }), {}, { isAlone: false })

test('where no controller is known, whoever asks is to ask again', async () => {
  const { toController, isController } = channel()
  await expect(toController.alterPartition(noTopics)).rejects.toBeInstanceOf(NetworkError)
  // Named, but not among the live brokers.
  isController(4, 1)
  await expect(toController.allocateProducerIds()).rejects.toBeInstanceOf(NetworkError)
  await expect(toController.controlledShutdown()).rejects.toBeInstanceOf(NetworkError)
  toController.stop()
})

test('the controller in this process is asked by function calls', async () => {
  const { toController, asked, isController } = channel()
  isController(OWN_ID, 1)
  await toController.alterPartition(noTopics)
  const byName = { topicName: 't', topicId: ZERO_UUID, partitions: [] }
  await toController.alterPartition({ ...noTopics, topics: [byName] })
  expect(await toController.allocateProducerIds()).toEqual({ error: 0, firstId: 3000, count: 1000 })
  await toController.controlledShutdown()
  expect(asked).toEqual([
    'AlterPartition 3',
    'AlterPartition 1',
    'AllocateProducerIds for 9 in 5',
    'ControlledShutdown of 9 in 5',
  ])
  toController.stop()
})

test('a controller elsewhere answers over a connection: here it does not know the broker that asks', async () => {
  const process = await startBroker()
  const { toController, isController } = channel()
  isController(1, process.port)
  expect((await toController.alterPartition(noTopics)).errorCode).toBe(ErrorCode.STALE_BROKER_EPOCH)
  expect((await toController.allocateProducerIds()).error).toBe(ErrorCode.BROKER_ID_NOT_REGISTERED)
  expect((await toController.controlledShutdown()).error).toBe(ErrorCode.BROKER_NOT_AVAILABLE)
  toController.stop()
  await expect(toController.alterPartition(noTopics)).rejects.toBeInstanceOf(NetworkError)
  await process.stop()
})

test('a controller that is killed is lost, though nothing was asked of it', async () => {
  const process = await startBroker()
  const { toController, lost, isController } = channel()
  isController(1, process.port)
  // The connection stands when something has been answered over it.
  await toController.allocateProducerIds()
  const told = new Promise<number>((resolve) => lost.push(resolve))
  process.kill()
  expect(await told).toBe(1)
  toController.stop()
})

test('another controller is followed as soon as it is known', async () => {
  const [first, second] = [await startBroker(), await startBroker()]
  const { toController, asked, isController } = channel()
  isController(1, first.port)
  await toController.alterPartition(noTopics)
  await first.stop()
  isController(1, second.port)
  expect((await toController.alterPartition(noTopics)).errorCode).toBe(ErrorCode.STALE_BROKER_EPOCH)
  isController(OWN_ID, second.port)
  await toController.alterPartition(noTopics)
  expect(asked).toEqual(['AlterPartition 3'])
  toController.stop()
  await second.stop()
})

type Answer = Awaited<ReturnType<ControllerChannel['controlledShutdown']>> | NetworkError

/** A controlled shutdown in virtual time, with these answers one after the other, the last again and again. */
async function shutDown(answers: Answer[], maxRetries = 3, hasOthers = () => true) {
  const scheduler = new SimScheduler()
  let asked = 0
  const channel = {
    controlledShutdown: () => {
      const answer = answers[Math.min(asked++, answers.length - 1)]
      return answer instanceof NetworkError ? Promise.reject(answer) : Promise.resolve(answer)
    },
  }
  const { clock, timers } = scheduler
  const parts = { clock, timers, channel, logger: silent, hasOthers, isServiceThere: () => true }
  const done = await scheduler.until(shutDownControlled(parts, { maxRetries, retryBackoffMs: 5000 }))
  return { done, asked, tookMs: scheduler.elapsedMs }
}

const left = (count: number): Answer => {
  return { error: 0, remaining: Array.from({ length: count }, (_, partition) => ({ topic: 't', partition })) }
}

test('the controller in this process is not waited for without end: it may have no coordination service', async () => {
  const scheduler = new SimScheduler()
  const { clock, timers } = scheduler
  const metadata = new MetadataCache('cluster', timers)
  const never = () => new Promise<never>(() => undefined)
  const toController = new ControllerChannel({
    env: { network: createNodeNetwork(), clock, timers },
    brokerId: OWN_ID,
    brokerEpoch: () => 5,
    metadata,
    controller: {
      alterPartition: never,
      controlledShutdown: never,
      allocateProducerIds: never,
      controllerLost: () => undefined,
    },
    listenerName: 'PLAINTEXT',
    requestTimeoutMs: 5000,
    connectTimeoutMs: 5000,
  })
  metadata.updateMetadata(OWN_ID, { brokers: [brokerInfo(OWN_ID, 1)], partitions: [] })
  const settings = { maxRetries: 1, retryBackoffMs: 100 }
  const others = { hasOthers: () => true, isServiceThere: () => true }
  const parts = { channel: toController, clock, timers, logger: silent, ...others }
  const stopping = shutDownControlled(parts, settings)
  expect(await scheduler.until(stopping)).toBe(false)
})

test('without its coordination service a controller answers nothing: it is waited for as long as one retry takes', async () => {
  const scheduler = new SimScheduler()
  const { clock, timers } = scheduler
  const parts = {
    ...{ clock, timers, logger: silent, hasOthers: () => true },
    channel: { controlledShutdown: () => new Promise<never>(() => undefined) },
    // It is there once more in between, until 4 s have passed.
    isServiceThere: () => scheduler.elapsedMs > 3000 && scheduler.elapsedMs < 4000,
  }
  const stopping = shutDownControlled(parts, { maxRetries: 3, retryBackoffMs: 5000 })
  expect(await scheduler.until(stopping)).toBe(false)
  expect(Math.round(scheduler.elapsedMs / 1000)).toBe(9)
})

test('a controlled shutdown is over when nothing is left', async () => {
  expect(await shutDown([left(0)])).toEqual({ done: true, asked: 1, tookMs: 0 })
  expect(await shutDown([left(2), left(1), left(0)])).toEqual({ done: true, asked: 3, tookMs: 10_000 })
})

test('it is asked so many times', async () => {
  expect(await shutDown([left(1), left(1), left(1)])).toEqual({ done: false, asked: 3, tookMs: 10_000 })
  expect(await shutDown([left(1), left(0)], 1)).toEqual({ done: false, asked: 1, tookMs: 0 })
  expect(await shutDown([left(0)], 0)).toEqual({ done: false, asked: 0, tookMs: 0 })
})

test('a controller that is not there any more is not waited for so long', async () => {
  const gone = new NetworkError('REFUSED', 'gone')
  const moved: Answer = { error: ErrorCode.NOT_CONTROLLER, remaining: [] }
  expect(await shutDown([gone, moved, left(0)])).toEqual({ done: true, asked: 3, tookMs: 200 })
})

test('another controller is waited for as long as one retry takes', async () => {
  const gone = new NetworkError('REFUSED', 'gone')
  expect(await shutDown([gone])).toEqual({ done: false, asked: 51, tookMs: 5000 })
})

test('a broker that is the last one waits for nobody', async () => {
  expect(await shutDown([left(1)], 3, () => false)).toEqual({ done: false, asked: 0, tookMs: 0 })
  let looks = 0
  expect(await shutDown([left(1)], 3, () => ++looks <= 2)).toEqual({ done: false, asked: 2, tookMs: 10_000 })
})

/** Producer ids from a controller that answers with blocks of ten, or does not. */
function producerIds() {
  const world = { asked: 0, failure: null as Error | number | null }
  const ids = new ProducerIds(async () => {
    const firstId = 10 * world.asked++
    if (world.failure instanceof Error) throw world.failure
    if (world.failure !== null) return { error: world.failure, firstId: 0, count: 0 }
    return { error: 0, firstId, count: 10 }
  })
  return { world, ids }
}

test('every producer gets an id of its own, also when many ask at once', async () => {
  const { ids, world } = producerIds()
  const all = await Promise.all(Array.from({ length: 25 }, () => ids.allocate()))
  expect(all).toEqual(Array.from({ length: 25 }, (_, id) => id))
  for (let id = 25; id < 35; id++) expect(await ids.allocate()).toBe(id)
  expect(world.asked).toBe(4)
})

test('the next block is asked for before the last one is used up', async () => {
  const { ids, world } = producerIds()
  for (let count = 0; count < 9; count++) await ids.allocate()
  expect(world.asked).toBe(1)
  await ids.allocate()
  expect(world.asked).toBe(2)
})

test('where the controller gives none there is no id, and later there is', async () => {
  const { ids, world } = producerIds()
  const failures = [
    new NetworkError('REFUSED', 'gone'),
    new CoordinationError('CONNECTION_LOSS', '/'),
    ErrorCode.NOT_CONTROLLER,
  ]
  for (const failure of failures) {
    world.failure = failure
    expect(await ids.allocate()).toBeNull()
  }
  world.failure = null
  expect(await ids.allocate()).toBe(30)
})
