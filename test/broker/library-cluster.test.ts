import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import {
  ConfigError,
  startBroker,
  startCluster,
  type ClusterBroker,
  type ClusterOptions,
  type RunningCluster,
} from '../../src/index.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { eventually } from './eventually.ts'
import { allValues, batchOf, commitOffset, committedOffset, describeTopic, produce } from './requests.ts'
import { WireClient } from './wire-client.ts'

const { TMPDIR } = process.env
beforeAll(() => {
  process.env.TMPDIR = mkdtempSync(join(tmpdir(), 'odradek-test-'))
})
afterAll(() => {
  rmSync(tmpdir(), { recursive: true, force: true })
  if (TMPDIR === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = TMPDIR
})

let cluster: RunningCluster
const clients: WireClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await cluster.stop()
})

async function start(options: ClusterOptions): Promise<RunningCluster> {
  return (cluster = await startCluster(options))
}

async function connect(broker: ClusterBroker): Promise<WireClient> {
  const client = await WireClient.connect(broker.port)
  clients.push(client)
  return client
}

/** Until the topic's partition is led by a running broker, other than `other`. */
function leader(topic: string, other?: ClusterBroker): Promise<ClusterBroker> {
  const isOther = (found?: ClusterBroker): boolean => found !== undefined && found.id !== other?.id
  return eventually(() => cluster.leaderOf(topic, 0), isOther) as Promise<ClusterBroker>
}

/** With acks=all, asked again until it is done: what clients do. */
async function send(broker: ClusterBroker, topic: string, value: string): Promise<void> {
  const client = await connect(broker)
  await eventually(
    async () => (await produce(client, topic, batchOf([value]))).errorCode,
    (error) => error === ErrorCode.NONE,
  )
}

/** So many different values, as soon as a new leader knows that they are committed; one that was sent again counts once. */
async function values(broker: ClusterBroker, topic: string, count: number): Promise<string[]> {
  const client = await connect(broker)
  const read = async (): Promise<string[]> => [...new Set(await allValues(client, topic))]
  return eventually(read, ({ length }) => length === count)
}

async function isrOf(broker: ClusterBroker, topic: string): Promise<number[]> {
  const client = await WireClient.connect(broker.port)
  const { partitions } = await describeTopic(client, topic)
  client.close()
  return partitions[0].isrNodes
}

function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' })
    socket.once('connect', () => resolve((socket.destroy(), false)))
    socket.once('error', () => resolve(true))
  })
}

test('three brokers on free ports, topics with three replicas; nothing is left after stop', async () => {
  const before = readdirSync(tmpdir())
  await start({ topics: ['orders:2'] })
  expect(cluster.brokers.map(({ id }) => id)).toEqual([1, 2, 3])
  expect(cluster.bootstrapServers).toBe(cluster.brokers.map(({ port }) => `localhost:${port}`).join(','))
  expect(cluster.clusterId).toMatch(/^[A-Za-z0-9_-]{22}$/)
  expect(cluster.controller?.isRunning).toBe(true)
  const topic = await describeTopic(await connect(cluster.brokers[1]), 'orders')
  expect(topic.partitions.map(({ replicaNodes }) => [...replicaNodes].sort())).toEqual([
    [1, 2, 3],
    [1, 2, 3],
  ])
  await cluster.stop()
  await cluster.stop()
  for (const { port, isRunning } of cluster.brokers) {
    expect(isRunning).toBe(false)
    expect(await refuses(port)).toBe(true)
  }
  expect(readdirSync(tmpdir())).toEqual(before)
})

test('the leader is killed: another leads, nothing acknowledged is lost, and it comes back in sync', async () => {
  await start({ topics: ['t'] })
  const first = await leader('t')
  await send(first, 't', 'before')
  await first.kill()
  await first.kill()
  expect(first.isRunning).toBe(false)
  expect(await refuses(first.port)).toBe(true)
  const second = await leader('t', first)
  await send(second, 't', 'meanwhile')
  await first.start()
  await first.start()
  expect(first.isRunning).toBe(true)
  await eventually(
    () => isrOf(second, 't'),
    (isr) => isr.length === 3,
  )
  await send(second, 't', 'after')
  // What follows is on the broker that was killed, too: it leads again.
  await second.kill()
  const third = await leader('t', second)
  expect(await values(third, 't', 3)).toEqual(['before', 'meanwhile', 'after'])
})

test('committed offsets survive the killed coordinator', async () => {
  await start({ topics: ['t'], config: { 'offsets.topic.num.partitions': 1 } })
  const offsets = '__consumer_offsets'
  await commitOffset(await connect(cluster.brokers[0]), 'group', 't', 0)
  const first = await leader(offsets)
  const client = await connect(first)
  await eventually(
    () => commitOffset(client, 'group', 't', 42),
    (error) => error === ErrorCode.NONE,
  )
  await eventually(
    () => isrOf(first, offsets),
    (isr) => isr.length === 3,
  )
  await first.kill()
  const other = await connect(await leader(offsets, first))
  const read = (): Promise<number> => committedOffset(other, 'group', 't').catch(() => -2)
  expect(await eventually(read, (offset) => offset >= 0)).toBe(42)
})

test('the controller is killed: another one is elected', async () => {
  await start({})
  const first = cluster.controller!
  await first.kill()
  const second = await eventually(
    () => cluster.controller,
    (now) => now !== undefined,
  )
  expect(second!.id).not.toBe(first.id)
})

test('what is kept is there at the next start, on the same brokers, also after all were killed', async () => {
  const dataDir = join(tmpdir(), 'kept')
  await start({ brokers: 2, dataDir, topics: ['t'] })
  const { clusterId } = cluster
  await send(await leader('t'), 't', 'kept')
  for (const broker of cluster.brokers) await broker.kill()
  await cluster.stop()
  expect(existsSync(dataDir)).toBe(true)
  await start({ brokers: 2, dataDir })
  expect(cluster.clusterId).toBe(clusterId)
  expect(await values(await leader('t'), 't', 1)).toEqual(['kept'])
})

test('a directory of a single broker is not that of a cluster', async () => {
  const dataDir = join(tmpdir(), 'single')
  await (await startBroker({ dataDir })).stop()
  await expect(startCluster({ brokers: 2, dataDir })).rejects.toThrow('it is that of a single broker')
})

test('a wrong number of brokers, or a ZooKeeper, is refused in one line', async () => {
  for (const brokers of [0, 1.5, 33])
    await expect(startCluster({ brokers })).rejects.toBeInstanceOf(ConfigError)
  const config = { 'zookeeper.connect': 'a:2181' }
  await expect(startCluster({ config })).rejects.toThrow(
    'several brokers of one process share an embedded store',
  )
})

test('a port that is taken ends the start, and leaves nothing behind', async () => {
  await start({ brokers: 1 })
  const { port } = cluster.brokers[0]
  await expect(startCluster({ brokers: 2, port: port - 1 })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  expect(await refuses(port - 1)).toBe(true)
})
