import { afterAll, beforeAll, expect, test } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { metadataApi } from '../../src/protocol/messages/03-metadata.ts'
import { findCoordinatorApi } from '../../src/protocol/messages/10-find-coordinator.ts'
import { describeClusterApi } from '../../src/protocol/messages/60-describe-cluster.ts'
import { startProcess, type BrokerProcess } from './broker-process.ts'
import { createTopic, produce, batchOf } from './requests.ts'

let process: BrokerProcess
beforeAll(async () => {
  process = await startProcess(new SimDisk({ random: new SeededRandom(1) }), {
    listeners: 'INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0,PLAIN://127.0.0.1:0',
    'advertised.listeners': 'INSIDE://broker.inside:19092,OUTSIDE://example.org:29092,PLAIN://127.0.0.1:0',
    'listener.security.protocol.map': 'INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT,PLAIN:PLAINTEXT',
    'inter.broker.listener.name': 'INSIDE',
  })
})
afterAll(() => process.stop())

test('each listener has its own port', () => {
  const { listeners } = process.broker
  expect(listeners.map(({ name }) => name)).toEqual(['INSIDE', 'OUTSIDE', 'PLAIN'])
  expect(new Set(listeners.map(({ port }) => port)).size).toBe(3)
})

test('clients are told the addresses of the listener that they came through (KIP-103)', async () => {
  const told = []
  for (const { name, port } of process.broker.listeners) {
    const client = await process.connect(port)
    const { brokers } = await client.request(metadataApi, 12, { topics: [] })
    const coordinator = await client.request(findCoordinatorApi, 3, { key: 'g', keyType: 0 })
    const cluster = await client.request(describeClusterApi, 1, { includeClusterAuthorizedOperations: false })
    const addresses = [brokers[0], coordinator, cluster.brokers[0]].map(
      ({ host, port: at }) => `${host}:${at}`,
    )
    expect(new Set(addresses).size).toBe(1)
    told.push([name, addresses[0]])
  }
  expect(told).toEqual([
    ['INSIDE', 'broker.inside:19092'],
    ['OUTSIDE', 'example.org:29092'],
    ['PLAIN', `127.0.0.1:${process.broker.listeners[2].port}`],
  ])
})

test('all listeners lead to the same data', async () => {
  const [inside, outside] = await Promise.all(
    process.broker.listeners.slice(0, 2).map(({ port }) => process.connect(port)),
  )
  await createTopic(inside, 'shared')
  expect((await produce(outside, 'shared', batchOf(['a']))).baseOffset).toBe(0)
  expect((await produce(inside, 'shared', batchOf(['b']))).baseOffset).toBe(1)
})
