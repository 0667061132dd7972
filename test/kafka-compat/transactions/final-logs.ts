/** What is in the logs, when all transactions have ended. */
import { listOffsetsApi } from '../../../src/protocol/messages/02-list-offsets.ts'
import { metadataApi } from '../../../src/protocol/messages/03-metadata.ts'
import { WireClient } from '../../broker/wire-client.ts'
import { eventually } from '../harness/conditions.ts'
import { kcat } from '../harness/kcat.ts'
import type { FinalLogs } from './checker.ts'
import type { LogRecord, Logs } from './history.ts'

export type Isolation = 'read_uncommitted' | 'read_committed'

/** A transaction that its client has left open is ended by its coordinator within 20 s of its last sign. */
const STABLE_LIMIT_MS = 120_000
const LATEST = -1

/** Both, once nothing is open any more. */
export async function readLogs(bootstrap: string, topics: readonly string[]): Promise<FinalLogs> {
  const read = async (isolation: Isolation): Promise<Logs> => {
    const each = await Promise.all(topics.map((topic) => readTopic(bootstrap, topic, isolation)))
    return new Map(each.flatMap((logs) => [...logs]))
  }
  for (const topic of topics) await untilStable(bootstrap, topic)
  return { all: await read('read_uncommitted'), committed: await read('read_committed') }
}

/** What readers of committed transactions are given of a topic, once nothing in it is open any more. */
export async function readCommitted(bootstrap: string, topic: string): Promise<Logs> {
  await untilStable(bootstrap, topic)
  return readTopic(bootstrap, topic, 'read_committed')
}

/** By librdkafka, with its checksums checked. */
async function readTopic(bootstrap: string, topic: string, isolation: Isolation): Promise<Logs> {
  const settings = ['-X', 'check.crcs=true', '-X', `isolation.level=${isolation}`]
  const format = ['-o', 'beginning', '-e', '-q', '-f', '%p %o %s\n']
  const printed = await kcat(bootstrap, ['-C', '-t', topic, ...settings, ...format])
  const logs = new Map<string, LogRecord[]>()
  for (const line of printed.split('\n')) {
    if (line === '') continue
    const [partition, offset, transaction, index] = line.split(' ', 4)
    const name = `${topic}-${partition}`
    const log = logs.get(name) ?? []
    logs.set(name, log)
    log.push({ offset: Number(offset), transaction, index: Number(index) })
  }
  return logs
}

/** The last stable offset of each partition is its high watermark. */
async function untilStable(bootstrap: string, topic: string): Promise<void> {
  let ends: Record<Isolation, Map<number, number>> | null = null
  await eventually(
    `no transaction is open in ${topic}`,
    async () => {
      ends = await endsOf(bootstrap, topic)
      const { read_committed: stable, read_uncommitted: high } = ends
      return [...high].every(([partition, offset]) => stable.get(partition) === offset)
    },
    STABLE_LIMIT_MS,
  ).catch((error: unknown) => {
    const told = ends === null ? 'nothing' : JSON.stringify(Object.values(ends).map((each) => [...each]))
    throw new Error(`${topic}: last stable offsets and high watermarks: ${told}`, { cause: error })
  })
}

async function endsOf(bootstrap: string, topic: string): Promise<Record<Isolation, Map<number, number>>> {
  const ends = { read_committed: new Map<number, number>(), read_uncommitted: new Map<number, number>() }
  const { brokers, topics } = await ask(bootstrap.split(',')[0], (client) =>
    client.request(metadataApi, 1, { topics: [{ name: topic }] }),
  )
  for (const { nodeId, host, port } of brokers) {
    const led = topics[0].partitions.filter(({ leaderId }) => leaderId === nodeId)
    const partitions = led.map(({ partitionIndex }) => ({ partitionIndex, timestamp: LATEST }))
    // The stable ones first: the watermark moves on.
    for (const [isolationLevel, isolation] of [
      [1, 'read_committed'],
      [0, 'read_uncommitted'],
    ] as const) {
      const body = { replicaId: -1, isolationLevel, topics: [{ name: topic, partitions }] }
      const answer = await ask(`${host}:${port}`, (client) => client.request(listOffsetsApi, 2, body))
      for (const { partitionIndex, errorCode, offset } of answer.topics[0].partitions) {
        if (errorCode !== 0) throw new Error(`ListOffsets of ${topic}-${partitionIndex}: error ${errorCode}`)
        ends[isolation].set(partitionIndex, offset)
      }
    }
  }
  const count = topics[0].partitions.length
  if (ends.read_uncommitted.size < count) throw new Error(`${topic}: not all of its partitions are led`)
  return ends
}

async function ask<T>(address: string, what: (client: WireClient) => Promise<T>): Promise<T> {
  const [host, port] = address.split(':')
  const client = await WireClient.connect(Number(port), host)
  try {
    return await what(client)
  } finally {
    client.close()
  }
}
