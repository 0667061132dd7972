/** Three whole brokers on three ZooKeeper servers: sessions that are ended from outside, and a majority that is away. */
import type { Producer } from 'kafkajs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ClusterView } from '../cluster/cluster-view.ts'
import { ZookeeperConnection } from '../cluster/zookeeper-wire.ts'
import { startCluster, type Cluster } from '../harness/cluster.ts'
import { eventually } from '../harness/conditions.ts'
import { kafkajsClient, patient } from '../harness/kafkajs-client.ts'

const TOPIC = 'orders'
const PARTITIONS = 6

let cluster: Cluster
let view: ClusterView
const closing: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  const config = {
    'leader.imbalance.check.interval.seconds': '300',
    // Whoever only waits until a request is too old waits for ten minutes.
    'request.timeout.ms': '600000',
    'controller.socket.timeout.ms': '600000',
  }
  cluster = await startCluster({ kinds: ['odradek', 'odradek', 'odradek'], config })
  view = new ClusterView(cluster)
  const admin = kafkajsClient(cluster.bootstrap).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: PARTITIONS, replicationFactor: 3 }] })
  await admin.disconnect()
  await untilInSync()
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await cluster.stop()
})

async function untilInSync(): Promise<void> {
  await eventually('all replicas are in sync', async () => {
    const partitions = (await view.partitions()).filter(({ topic }) => topic === TOPIC)
    return (
      partitions.length === PARTITIONS &&
      partitions.every(({ isr, leader }) => isr.length === 3 && leader > 0)
    )
  })
}

const controllerId = (): Promise<number> =>
  eventually('there is a controller', () => view.controllerId()) as Promise<number>

/** Idempotent and acks=all, all the time; and a group that reads. */
class Load {
  readonly acknowledged: string[] = []
  readonly received: string[] = []
  #isOver = false
  #running: Promise<void> = Promise.resolve()

  static async start(): Promise<Load> {
    const load = new Load()
    const client = kafkajsClient(cluster.bootstrap, { retry: patient, requestTimeout: 5000 })
    const producer = client.producer({ idempotent: true, maxInFlightRequests: 1, retry: patient })
    const consumer = client.consumer({ groupId: 'readers', maxWaitTimeInMs: 100, retry: patient })
    closing.push(
      () => consumer.disconnect(),
      () => producer.disconnect(),
      () => load.finish(),
    )
    await Promise.all([producer.connect(), consumer.connect()])
    await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => void load.received.push(String(message.value)) })
    load.#running = load.#run(producer)
    return load
  }

  async #run(producer: Producer): Promise<void> {
    for (let sent = 0; !this.#isOver; sent++) {
      const value = `value ${sent}`
      await producer.send({ topic: TOPIC, acks: -1, messages: [{ value, partition: sent % PARTITIONS }] })
      this.acknowledged.push(value)
    }
  }

  /** Every partition has taken records once more, and they were read. */
  async goesOn(): Promise<void> {
    const goal = this.acknowledged.length + 2 * PARTITIONS
    await eventually('more is acknowledged', () => this.acknowledged.length >= goal, 60_000)
    const last = this.acknowledged[goal - 1]
    await eventually('it is read', () => this.received.includes(last), 60_000)
  }

  finish(): Promise<void> {
    this.#isOver = true
    return this.#running
  }
}

/** What a new consumer finds, partition by partition: what was acknowledged, each once and in its order. */
async function expectAllThereOnce(acknowledged: readonly string[]): Promise<void> {
  const consumer = kafkajsClient(cluster.bootstrap, { retry: patient }).consumer({
    groupId: `${Math.random()}`,
  })
  closing.push(() => consumer.disconnect())
  await consumer.connect()
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
  const found: string[][] = Array.from({ length: PARTITIONS }, () => [])
  await consumer.run({
    eachMessage: async ({ partition, message }) => void found[partition].push(String(message.value)),
  })
  await eventually('all is read', () => found.flat().length >= acknowledged.length)
  const expected = found.map((_, partition) => acknowledged.filter((_, i) => i % PARTITIONS === partition))
  expect(found).toEqual(expected)
}

/** The session that a broker has registered itself in. */
async function sessionOf(brokerId: number): Promise<bigint | null> {
  const servers = cluster.ensemble.servers.map(({ place, port }) => ({ host: place.host, port }))
  const connection = await ZookeeperConnection.open(servers)
  const znode = await connection.get(`/brokers/ids/${brokerId}`)
  await connection.close()
  return znode?.ephemeralOwner ?? null
}

/** Ends the sessions from outside, and waits until the brokers have registered in others. */
async function expire(...brokerIds: number[]): Promise<void> {
  const before = await Promise.all(brokerIds.map(sessionOf))
  const ended = await Promise.all(brokerIds.map((id) => view.expireSession(id)))
  expect(ended).toEqual(brokerIds.map(() => true))
  for (const [index, id] of brokerIds.entries()) {
    await eventually(`broker ${id} is registered in another session`, async () => {
      const now = await sessionOf(id)
      return now !== null && now !== before[index]
    })
  }
}

test('brokers whose sessions expire register anew, lead and follow on, and their clients lose nothing', async () => {
  const load = await Load.start()
  await load.goesOn()
  const first = await controllerId()
  await expire(first)
  await controllerId()
  await untilInSync()
  await load.goesOn()
  const follower = cluster.members.find(({ brokerId }) => brokerId !== first)!.brokerId
  const controller = await controllerId()
  const other = follower === controller ? 6 - first - follower : follower
  await expire(other)
  expect(await controllerId()).toBe(controller)
  await untilInSync()
  await load.goesOn()
  // All at once: there is nobody whom clients could go to meanwhile.
  await expire(1, 2, 3)
  await controllerId()
  await untilInSync()
  await load.goesOn()
  await load.finish()
  await expectAllThereOnce(load.acknowledged)
  for (const member of cluster.members) {
    const client = kafkajsClient(member.address)
    const admin = client.admin()
    await admin.connect()
    const { brokers, controller: known } = await admin.describeCluster()
    await admin.disconnect()
    expect(brokers.map(({ nodeId }) => nodeId).sort()).toEqual([1, 2, 3])
    expect(known).toBe(await controllerId())
  }
})

test('brokers that are told to stop while the ensemble is away end with 0, and have everything afterwards', async () => {
  const load = await Load.start()
  await load.goesOn()
  await load.finish()
  const controller = await controllerId()
  const [, ...majority] = cluster.ensemble.servers
  await Promise.all(majority.map((server) => server.kill()))
  const stopped = cluster.members.toSorted(({ brokerId }) => (brokerId === controller ? -1 : 1))
  for (const member of stopped) expect(await member.shutDown(), `broker ${member.brokerId}`).toBe(0)
  for (const server of majority) server.start()
  await cluster.ensemble.leader()
  await Promise.all(stopped.map((member) => member.start()))
  await untilInSync()
  await expectAllThereOnce(load.acknowledged)
})
