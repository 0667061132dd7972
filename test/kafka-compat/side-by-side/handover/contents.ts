/** What consumers find on a broker, in a form in which two brokers can be compared. */
import { createHash } from 'node:crypto'
import { listOffsetsApi } from '../../../../src/protocol/messages/02-list-offsets.ts'
import { WireClient } from '../../../broker/wire-client.ts'
import { eventually } from '../../harness/conditions.ts'
import { kafkajsClient } from '../../harness/kafkajs-client.ts'
import { kcatRead } from '../../harness/kcat.ts'
import type { KcatRecord } from '../../harness/kcat.ts'

export interface Asked {
  /** Partitions by topic. */
  readonly topics: Readonly<Record<string, number>>
  readonly groups: readonly string[]
  /** Offsets are asked for by these timestamps. */
  readonly timestampsMs: readonly number[]
}

/** All by `<topic> <partition>`, but what groups have committed, which is by group before that. */
export interface Contents {
  /** READ_UNCOMMITTED: how many records, the first and last offset, and a checksum over all that they hold. */
  readonly records: Record<string, string>
  readonly committedRecords: Record<string, string>
  /** What ListOffsets answers for `<timestamp> <isolation level>`: timestamp and offset. */
  readonly offsets: Record<string, Record<string, string>>
  readonly groups: Record<string, Record<string, string>>
}

const [EARLIEST, LATEST, MAX_TIMESTAMP] = [-2, -1, -3]

/** Waits until the broker leads every partition. */
export async function contentsOf(port: number, asked: Asked): Promise<Contents> {
  const bootstrap = `127.0.0.1:${port}`
  const offsets = await eventually('every partition is led', () => allOffsets(port, asked))
  const [records, committedRecords, groups] = await Promise.all([
    recordsOf(bootstrap, asked, 'read_uncommitted'),
    recordsOf(bootstrap, asked, 'read_committed'),
    groupOffsets(bootstrap, asked),
  ])
  return { records, committedRecords, offsets, groups }
}

async function recordsOf(
  bootstrap: string,
  { topics }: Asked,
  isolationLevel: string,
): Promise<Record<string, string>> {
  const settings = [`isolation.level=${isolationLevel}`, 'check.crcs=true', 'fetch.wait.max.ms=20']
  const args = settings.flatMap((setting) => ['-X', setting])
  const names = Object.keys(topics)
  const read = await Promise.all(names.map((topic) => kcatRead(bootstrap, topic, args)))
  const found: Record<string, string> = {}
  for (const [index, topic] of names.entries()) {
    for (let partition = 0; partition < topics[topic]; partition++) {
      found[`${topic} ${partition}`] = sumOf(read[index].filter((record) => record.partition === partition))
    }
  }
  return found
}

function sumOf(records: readonly KcatRecord[]): string {
  const hash = createHash('sha256')
  for (const { offset, ts, headers, key, payload } of records) {
    hash.update(JSON.stringify([offset, ts, headers ?? [], key, payload]))
  }
  const range = `${records[0]?.offset ?? '-'}..${records.at(-1)?.offset ?? '-'}`
  return `${records.length} ${range} ${hash.digest('hex').slice(0, 16)}`
}

async function allOffsets(port: number, asked: Asked): Promise<Contents['offsets']> {
  const client = await WireClient.connect(port)
  try {
    const found: Contents['offsets'] = {}
    for (const timestamp of [EARLIEST, LATEST, MAX_TIMESTAMP, ...asked.timestampsMs]) {
      for (const isolationLevel of [0, 1]) {
        found[`${timestamp} ${isolationLevel}`] = await offsetsOf(client, asked, {
          timestamp,
          isolationLevel,
        })
      }
    }
    return found
  } finally {
    client.close()
  }
}

async function offsetsOf(
  client: WireClient,
  { topics }: Asked,
  { timestamp, isolationLevel }: { timestamp: number; isolationLevel: number },
): Promise<Record<string, string>> {
  const { topics: answers } = await client.request(listOffsetsApi, 7, {
    replicaId: -1,
    isolationLevel,
    topics: Object.entries(topics).map(([name, count]) => ({
      name,
      partitions: Array.from({ length: count }, (_, partitionIndex) => ({ partitionIndex, timestamp })),
    })),
  })
  const found: Record<string, string> = {}
  for (const { name, partitions } of answers) {
    for (const answer of partitions) {
      if (answer.errorCode !== 0) throw new Error(`ListOffsets of ${name}: error ${answer.errorCode}`)
      found[`${name} ${answer.partitionIndex}`] = `${answer.timestamp} ${answer.offset}`
    }
  }
  return found
}

async function groupOffsets(bootstrap: string, { topics, groups }: Asked): Promise<Contents['groups']> {
  const admin = kafkajsClient(bootstrap).admin()
  await admin.connect()
  const found: Contents['groups'] = {}
  for (const groupId of groups) {
    const own: Record<string, string> = {}
    for (const { topic, partitions } of await admin.fetchOffsets({ groupId, topics: Object.keys(topics) })) {
      for (const { partition, offset } of partitions) own[`${topic} ${partition}`] = offset
    }
    found[groupId] = own
  }
  await admin.disconnect()
  return found
}
