/** Topic settings changed on a running broker (IncrementalAlterConfigs) take effect on the topic's logs at once. */
import { expect, test } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { deleteRecordsApi } from '../../src/protocol/messages/21-delete-records.ts'
import * as rb from '../../src/protocol/record-batch.ts'
import { alterTopic, allValues, batchOf, createTopic, fetch, offsetAt, produce } from './requests.ts'
import { startProcess } from './broker-process.ts'
import { useBroker } from './use-broker.ts'

const broker = useBroker({ 'log.retention.check.interval.ms': '5' })

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 2))
}

async function set(topic: string, name: string, value: string | null): Promise<void> {
  expect(await alterTopic(broker.client, topic, name, value)).toBe(ErrorCode.NONE)
}

const log = (topic: string) => broker.process.broker.parts.logs.get(topic, 0)!
const send = (topic: string, records = batchOf(['v'])) => produce(broker.client, topic, records)
const startOf = (topic: string) => offsetAt(broker.client, topic, -2)

/** The batch at an offset, as it is stored. */
async function stored(topic: string, offset: number): Promise<Buffer> {
  return (await fetch(broker.client, topic, offset)).records!
}

test('segment.bytes and segment.ms end segments', async () => {
  await createTopic(broker.client, 'rolls', { 'retention.ms': '-1' })
  const segments = async (records: Buffer): Promise<number> => {
    await send('rolls', records)
    return log('rolls').segmentMarks().length - 1
  }
  const hour = (hours: number) => batchOf(['v'], { timestampMs: 1_700_000_000_000 + hours * 3_600_000 })
  expect([await segments(hour(0)), await segments(hour(1))]).toEqual([1, 1])
  await set('rolls', 'segment.bytes', String(hour(0).length))
  expect(await segments(hour(1))).toBe(2)
  await set('rolls', 'segment.bytes', null)
  expect(await segments(hour(1))).toBe(2)
  await set('rolls', 'segment.ms', '60000')
  expect([await segments(hour(1)), await segments(hour(2))]).toEqual([2, 3])
})

test('retention.ms and retention.bytes delete, cleanup.policy says whether', async () => {
  await createTopic(broker.client, 'kept', { 'retention.ms': '-1', 'segment.bytes': '200' })
  for (let i = 0; i < 6; i++) await send('kept', batchOf(['x'.repeat(100)]))
  expect(await startOf('kept')).toBe(0)
  await set('kept', 'retention.bytes', '400')
  await until(async () => (await startOf('kept')) > 0)
  // What stays is the least that is not below the limit.
  expect(await startOf('kept')).toBe(3)
  await set('kept', 'cleanup.policy', 'compact')
  await set('kept', 'retention.ms', '1000')
  expect(log('kept').applyRetention(Date.now(), 6)).toBe(0)
  await set('kept', 'cleanup.policy', 'delete')
  await until(async () => (await startOf('kept')) === 6)
  expect(await offsetAt(broker.client, 'kept', -1)).toBe(6)
})

test('max.message.bytes refuses', async () => {
  await createTopic(broker.client, 'small')
  const large = batchOf(['x'.repeat(500)])
  expect((await send('small', large)).errorCode).toBe(ErrorCode.NONE)
  await set('small', 'max.message.bytes', '300')
  expect((await send('small', large)).errorCode).toBe(ErrorCode.MESSAGE_TOO_LARGE)
  await set('small', 'max.message.bytes', null)
  expect((await send('small', large)).errorCode).toBe(ErrorCode.NONE)
})

test('compression.type and its levels store anew', async () => {
  await createTopic(broker.client, 'packed', { 'retention.ms': '-1' })
  const words = Array.from({ length: 2000 }, (_, i) => `record ${(i * 7919) % 1000}`).join()
  const sizes: number[] = []
  const codecs: number[] = []
  const next = async (): Promise<void> => {
    const { baseOffset } = await send('packed', batchOf([words], { codec: rb.Codec.SNAPPY }))
    const bytes = await stored('packed', baseOffset)
    codecs.push(rb.codecOf(rb.attributes(bytes, 0)))
    sizes.push(bytes.length)
  }
  await next()
  for (const type of ['uncompressed', 'gzip', 'lz4', 'zstd', 'snappy']) {
    await set('packed', 'compression.type', type)
    await next()
  }
  expect(codecs).toEqual([2, 0, 1, 3, 4, 2])
  for (const [type, fast, slow] of [
    ['gzip', '1', '9'],
    ['zstd', '-100', '3'],
  ]) {
    await set('packed', 'compression.type', type)
    await set('packed', `compression.${type}.level`, fast)
    await next()
    await set('packed', `compression.${type}.level`, slow)
    await next()
    expect(sizes.at(-1)).toBeLessThan(sizes.at(-2)!)
  }
  expect(await allValues(broker.client, 'packed')).toEqual(codecs.map(() => words))
  expect(await alterTopic(broker.client, 'packed', 'compression.gzip.level', '0')).toBe(
    ErrorCode.INVALID_CONFIG,
  )
})

test('message.timestamp.type gives the time, before and after limit it', async () => {
  await createTopic(broker.client, 'timed', { 'retention.ms': '-1' })
  const sent = await send('timed')
  expect(sent.logAppendTimeMs).toBe(-1)
  await set('timed', 'message.timestamp.type', 'LogAppendTime')
  const { logAppendTimeMs, baseOffset } = await send('timed')
  expect(logAppendTimeMs).toBeGreaterThan(0)
  expect(rb.maxTimestamp(await stored('timed', baseOffset), 0)).toBe(logAppendTimeMs)
  await set('timed', 'message.timestamp.type', null)
  await set('timed', 'message.timestamp.before.max.ms', '3600000')
  const old = await send('timed', batchOf(['a', 'b'], { timestampMs: Date.now() - 7_200_000 }))
  expect(old.errorCode).toBe(ErrorCode.INVALID_TIMESTAMP)
  expect(old.recordErrors!.map(({ batchIndex }) => batchIndex)).toEqual([0, 1])
  await set('timed', 'message.timestamp.before.max.ms', null)
  await set('timed', 'message.timestamp.after.max.ms', '3600000')
  const early = await send('timed', batchOf(['a'], { timestampMs: Date.now() + 7_200_000 }))
  expect(early.errorCode).toBe(ErrorCode.INVALID_TIMESTAMP)
  expect((await send('timed')).errorCode).toBe(ErrorCode.NONE)
})

test('cleanup.policy=compact wants keys, and one bad timestamp names the error of the batch', async () => {
  await createTopic(broker.client, 'keyed')
  const value = Buffer.from('v')
  const timestampMs = Date.now()
  const records = [
    { timestampMs, key: null, value },
    { timestampMs, key: value, value },
    { timestampMs: timestampMs - 7_200_000, key: value, value },
  ]
  expect((await send('keyed', rb.buildBatch({ records }))).errorCode).toBe(ErrorCode.NONE)
  await set('keyed', 'cleanup.policy', 'compact')
  const unkeyed = await send('keyed', rb.buildBatch({ records }))
  expect(unkeyed.errorCode).toBe(ErrorCode.INVALID_RECORD)
  expect(unkeyed.recordErrors!.map(({ batchIndex }) => batchIndex)).toEqual([0])
  await set('keyed', 'message.timestamp.before.max.ms', '3600000')
  const both = await send('keyed', rb.buildBatch({ records }))
  expect(both.errorCode).toBe(ErrorCode.INVALID_TIMESTAMP)
  expect(both.recordErrors!.map(({ batchIndex }) => batchIndex)).toEqual([0, 2])
})

test('flush.messages and flush.ms bring records to the disk', async () => {
  const disk = new SimDisk({ random: new SeededRandom(1) })
  const running = await startProcess(disk)
  const client = await running.connect()
  await createTopic(client, 'flushed')
  const [never, counted, timed] = [batchOf(['never']), batchOf(['counted']), batchOf(['timed'])]
  const recoveryPoint = () =>
    (running.broker.parts.logs.get('flushed', 0) as unknown as { recoveryPoint: number }).recoveryPoint
  await produce(client, 'flushed', never)
  expect(recoveryPoint()).toBe(0)
  await alterTopic(client, 'flushed', 'flush.messages', '1')
  await produce(client, 'flushed', counted)
  expect(recoveryPoint()).toBe(2)
  await alterTopic(client, 'flushed', 'flush.messages', null)
  await alterTopic(client, 'flushed', 'flush.ms', '7654321')
  await produce(client, 'flushed', timed)
  const timer = await running.waitsFor(7_654_321)
  expect(recoveryPoint()).toBe(2)
  timer.fire()
  await until(async () => recoveryPoint() === 3)
  await running.stop()
  expect(running.bugs).toEqual([])
})

test('records deleted up to the end leave an active segment, whose end goes on', async () => {
  await createTopic(broker.client, 'emptied', { 'retention.ms': '-1', 'segment.bytes': '200' })
  for (let i = 0; i < 4; i++) await send('emptied', batchOf(['x'.repeat(100)]))
  const remove = async (offset: number) => {
    const topics = [{ name: 'emptied', partitions: [{ partitionIndex: 0, offset }] }]
    return (await broker.client.request(deleteRecordsApi, 2, { topics, timeoutMs: 5000 })).topics[0]
      .partitions[0]
  }
  expect(await remove(5)).toMatchObject({ errorCode: ErrorCode.OFFSET_OUT_OF_RANGE })
  expect(await remove(-1)).toMatchObject({ errorCode: ErrorCode.NONE, lowWatermark: 4 })
  await until(async () => log('emptied').segmentMarks().length === 2)
  expect(await startOf('emptied')).toBe(4)
  expect((await send('emptied')).baseOffset).toBe(4)
  expect(await allValues(broker.client, 'emptied')).toEqual(['v'])
})
