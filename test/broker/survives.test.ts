import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Disk } from '../../src/env/disk.ts'
import { createNodeDisk } from '../../src/env/node/disk.ts'
import { SimDisk, type CrashMode } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { deleteTopicsApi } from '../../src/protocol/messages/20-delete-topics.ts'
import { initProducerIdApi } from '../../src/protocol/messages/22-init-producer-id.ts'
import { deleteRecordsApi } from '../../src/protocol/messages/21-delete-records.ts'
import { startProcess, type BrokerProcess } from './broker-process.ts'
import {
  allValues,
  alterTopic,
  batchOf,
  commitOffset,
  committedOffset,
  createTopic,
  describeTopic,
  fetch,
  offsetAt,
  produce,
} from './requests.ts'
import type { WireClient } from './wire-client.ts'

/** Where a broker's data lies, and how the life of its process ends. */
interface Life {
  readonly disk: Disk
  readonly properties: Record<string, string>
  /** Ends the process; afterwards one can be started on the same data. */
  end(process: BrokerProcess): Promise<void>
}

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'odradek-test-'))
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function cleanStop(): Life {
  const properties = { 'log.dirs': newDirectory() }
  return { disk: createNodeDisk(), properties, end: (process) => process.stop() }
}

/** What SIGKILL leaves is what the directory holds at that moment: the page cache survives the process. */
function killed(): Life {
  const properties = { 'log.dirs': newDirectory() }
  const end = async (process: BrokerProcess): Promise<void> => {
    const copy = newDirectory()
    cpSync(properties['log.dirs'], copy, { recursive: true, filter: (path) => basename(path) !== '.lock' })
    properties['log.dirs'] = copy
    await process.stop()
  }
  return { disk: createNodeDisk(), properties, end }
}

/** `properties` say what is flushed before it is acknowledged. */
function powerCut(mode: CrashMode, properties: Record<string, string>, seed = 1): Life {
  const disk = new SimDisk({ random: new SeededRandom(seed) })
  const end = async (process: BrokerProcess): Promise<void> => {
    process.kill()
    disk.crash(mode)
  }
  return { disk, properties, end }
}

const FLUSHED = { 'log.flush.interval.messages': '1' }

const lives: [string, () => Life][] = [
  ['a clean stop', cleanStop],
  ['kill -9', killed],
  ['a power cut that nothing was lost in', () => powerCut('keep', {})],
  ['a power cut, with every append flushed', () => powerCut('drop', FLUSHED)],
]
for (let seed = 1; seed <= 5; seed++) {
  lives.push([
    `a power cut that tears files (seed ${seed}), with every append flushed`,
    () => powerCut('random', FLUSHED, seed),
  ])
}

async function start(life: Life): Promise<{ process: BrokerProcess; client: WireClient }> {
  const properties = { 'offsets.topic.num.partitions': '3', ...life.properties }
  const process = await startProcess(life.disk, properties)
  cleanUps.push(() => process.stop())
  return { process, client: await process.connect() }
}

async function restart(life: Life, process: BrokerProcess): ReturnType<typeof start> {
  expect(process.bugs).toEqual([])
  await life.end(process)
  return start(life)
}

describe.each(lives)('%s', (_, begin) => {
  test('keeps what was acknowledged: records, offsets, ids, settings, producers', async () => {
    const life = begin()
    let { process, client } = await start(life)
    const { clusterId } = process.broker
    await createTopic(client, 'kept', { 'segment.bytes': '300', 'retention.ms': '-1' }, 2)
    const { topicId } = await describeTopic(client, 'kept')
    // A producer is forgotten a day after the time of its last record.
    const timestampMs = Date.now()
    const idempotent = (baseSequence: number) => {
      const producer = { producerId: 5, producerEpoch: 0, baseSequence }
      return batchOf([`${baseSequence}`], { ...producer, timestampMs, codec: baseSequence % 4 })
    }
    for (let sequence = 0; sequence < 12; sequence++) {
      expect((await produce(client, 'kept', idempotent(sequence))).errorCode).toBe(ErrorCode.NONE)
    }
    await produce(client, 'kept', batchOf(['other partition']), { partition: 1 })
    expect(await commitOffset(client, 'group', 'kept', 7)).toBe(ErrorCode.NONE)
    expect(await alterTopic(client, 'kept', 'max.message.bytes', '250')).toBe(ErrorCode.NONE)
    const idRequest = { transactionalId: null, transactionTimeoutMs: 1000 }
    const { producerId } = await client.request(initProducerIdApi, 5, idRequest)
    const before = await allValues(client, 'kept')

    for (let round = 0; round < 2; round++) {
      ;({ process, client } = await restart(life, process))
      expect(process.broker.clusterId).toBe(clusterId)
      const topic = await describeTopic(client, 'kept')
      expect(topic.topicId).toBe(topicId)
      expect(topic.partitions).toHaveLength(2)
      expect(await allValues(client, 'kept')).toEqual(before)
      expect(await allValues(client, 'kept', 1)).toEqual(['other partition'])
      expect(await committedOffset(client, 'group', 'kept')).toBe(7)
      const large = batchOf(['x'.repeat(300)])
      expect((await produce(client, 'kept', large)).errorCode).toBe(ErrorCode.MESSAGE_TOO_LARGE)
      const next = await client.request(initProducerIdApi, 5, idRequest)
      expect(next.producerId).toBeGreaterThan(producerId)
    }
    // The producer goes on as if nothing had happened: its last batch is known, a gap is a gap.
    const again = await produce(client, 'kept', idempotent(11))
    expect(again).toMatchObject({ errorCode: ErrorCode.NONE, baseOffset: 11 })
    const gap = await produce(client, 'kept', idempotent(13))
    expect(gap.errorCode).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    expect(await produce(client, 'kept', idempotent(12))).toMatchObject({ errorCode: 0, baseOffset: 12 })
    expect(await allValues(client, 'kept')).toEqual([...before, '12'])
    expect(process.bugs).toEqual([])
  })

  test('keeps a log start that was raised, and a deleted topic deleted', async () => {
    const life = begin()
    let { process, client } = await start(life)
    await createTopic(client, 'shortened')
    await produce(client, 'shortened', batchOf(['a']))
    await produce(client, 'shortened', batchOf(['b', 'c']))
    const partitions = [{ partitionIndex: 0, offset: 2 }]
    const request = { topics: [{ name: 'shortened', partitions }], timeoutMs: 5000 }
    expect((await client.request(deleteRecordsApi, 2, request)).topics[0].partitions[0].lowWatermark).toBe(2)
    await createTopic(client, 'deleted')
    await produce(client, 'deleted', batchOf(['gone']))
    const deletion = { topicNames: ['deleted'], timeoutMs: 5000 }
    const { responses } = await client.request(deleteTopicsApi, 5, deletion)
    expect(responses[0].errorCode).toBe(ErrorCode.NONE)
    ;({ process, client } = await restart(life, process))
    expect((await describeTopic(client, 'deleted')).errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    expect(await createTopic(client, 'deleted')).toBe(ErrorCode.NONE)
    expect(await allValues(client, 'deleted')).toEqual([])
    expect(await offsetAt(client, 'shortened', -2)).toBe(2)
    expect(await offsetAt(client, 'shortened', -1)).toBe(3)
    expect((await fetch(client, 'shortened', 1)).errorCode).toBe(ErrorCode.OFFSET_OUT_OF_RANGE)
    expect(process.bugs).toEqual([])
  })
})

test('without flushes a power cut may take the end of a log, never its beginning, and never makes up records', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const life = powerCut('random', {}, seed)
    let { process, client } = await start(life)
    await createTopic(client, 'loose', { 'segment.bytes': '400' })
    const sent: string[] = []
    for (let count = 0; count < 20; count++) {
      sent.push(`value ${count}`)
      await produce(client, 'loose', batchOf([`value ${count}`], { codec: count % 3 }))
    }
    ;({ process, client } = await restart(life, process))
    const kept = await allValues(client, 'loose')
    expect(kept, `seed ${seed}`).toEqual(sent.slice(0, kept.length))
    expect((await produce(client, 'loose', batchOf(['next']))).baseOffset).toBe(kept.length)
  }
})
