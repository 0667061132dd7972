/** A partition whose log begins with message formats 0 and 1, led by Apache Kafka 3.9: ours follows it, and then leads it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { alterPartitionReassignmentsApi } from '../../../src/protocol/messages/45-alter-partition-reassignments.ts'
import { createTopic } from '../../broker/requests.ts'
import { WireClient } from '../../broker/wire-client.ts'
import { ClusterView } from '../cluster/cluster-view.ts'
import type { BrokerKind } from '../harness/broker.ts'
import { clusterProperties } from '../harness/cluster.ts'
import { ClusterMember } from '../harness/cluster-member.ts'
import { eventually } from '../harness/conditions.ts'
import { kcat, kcatRead } from '../harness/kcat.ts'
import { freePort } from '../harness/launch.ts'
import { loopback } from '../harness/place.ts'
import { startEnsemble } from '../zookeeper/ensemble.ts'
import { ours } from './mixed-cluster.ts'

const TOPIC = 'aged'
const MAGIC_AT = 16
const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** Format 0 has no timestamps, and its records in a batch -1. */
async function read({ address }: ClusterMember) {
  const records = await kcatRead(address, TOPIC)
  return records.map(({ offset, key, payload, ts }) => ({ offset, key, payload, ts: ts ?? -1 }))
}

async function fill({ address }: ClusterMember, codecs: readonly string[]): Promise<void> {
  for (const codec of codecs) {
    const lines = Array.from({ length: 60 }, (_, i) => `key ${i}\t${codec} ${i} ${'.'.repeat(i)}\n`)
    const args = ['-P', '-t', TOPIC, '-z', codec, '-K', '\t', '-X', 'batch.num.messages=7']
    await kcat(address, args, lines.join(''))
  }
}

/** The formats of all segments' first messages. */
function magicsOf({ logDir }: ClusterMember): number[] {
  const folder = join(logDir, `${TOPIC}-0`)
  const names = readdirSync(folder).filter((name) => name.endsWith('.log'))
  return names.sort().map((name) => readFileSync(join(folder, name))[MAGIC_AT])
}

test.each([
  ['0.9.0', 0],
  ['0.10.2', 1],
])('written at protocol version %s, message format %i', async (protocol, magic) => {
  const directory = mkdtempSync(join(tmpdir(), 'odradek-old-messages-'))
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }))
  const ensemble = await startEnsemble(1, [], 500)
  cleanUps.push(() => ensemble.stop())
  const view = new ClusterView({ ensemble })
  const newMember = async (kind: BrokerKind, brokerId: number): Promise<ClusterMember> => {
    const member = new ClusterMember({
      ...{ brokerId, kind, place: loopback, port: await freePort() },
      directory: join(directory, String(brokerId)),
      properties: {
        ...clusterProperties,
        'zookeeper.connect': ensemble.connect,
        'default.replication.factor': '1',
        'min.insync.replicas': '1',
        'log.segment.bytes': '4000',
      },
    })
    cleanUps.push(() => member.stop())
    return member
  }
  const kafka = await newMember('kafka', 1)
  const old = { 'inter.broker.protocol.version': protocol, 'log.message.format.version': protocol }
  Object.assign(kafka.properties, old)
  await kafka.start()
  const maker = await WireClient.connect(kafka.port)
  expect(await createTopic(maker, TOPIC)).toBe(0)
  maker.close()
  await fill(kafka, ['none', 'gzip', 'snappy', 'lz4', 'none'])
  await kafka.shutDown()
  for (const key of Object.keys(old)) delete kafka.properties[key]
  await kafka.start()
  await fill(kafka, ['none'])
  const served = await read(kafka)
  expect(served).toHaveLength(360)
  expect(magicsOf(kafka).slice(0, 3)).toEqual([magic, magic, magic])

  const member = await newMember(ours, 2)
  await member.start()
  const client = await WireClient.connect(kafka.port)
  const partitions = [{ partitionIndex: 0, replicas: [1, 2] }]
  const topics = [{ name: TOPIC, partitions }]
  const answer = await client.request(alterPartitionReassignmentsApi, 0, { timeoutMs: 10_000, topics })
  expect([answer.errorCode, answer.responses[0].partitions[0].errorCode]).toEqual([0, 0])
  client.close()
  const isLedBy = async (leader: number, isr: number[]): Promise<boolean> => {
    const found = (await view.partitions()).find(({ topic }) => topic === TOPIC)!
    return found.leader === leader && String(found.isr.toSorted()) === String(isr)
  }
  await eventually('ours is in sync', () => isLedBy(1, [1, 2]))
  await fill(kafka, ['zstd'])
  await kafka.shutDown()
  await eventually('ours leads', () => isLedBy(2, [2]))
  const all = await read(member)
  expect(all).toHaveLength(420)
  expect(all.slice(0, 360)).toEqual(served)
  if (ours === 'odradek') expect(new Set(magicsOf(member))).toEqual(new Set([2]))
  // And Kafka follows what ours leads.
  await kafka.start()
  await eventually('Kafka is in sync', () => isLedBy(2, [1, 2]))
})
