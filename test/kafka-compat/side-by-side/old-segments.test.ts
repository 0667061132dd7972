/** Odradek goes on with the files of a Kafka that wrote message formats 0 and 1, as 3.9 still does for old protocols. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import { kcat, kcatRead } from '../harness/kcat.ts'
import { startKafka } from './brokers.ts'

const TOPIC = 'aged'
const MAGIC_AT = 16
const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** Under each codec, until there are several segments. */
async function fill(bootstrap: string): Promise<void> {
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'none']) {
    const lines = Array.from({ length: 60 }, (_, i) => `key ${i}\t${codec} ${i} ${'.'.repeat(i)}\n`)
    const args = ['-P', '-t', TOPIC, '-z', codec, '-K', '\t', '-X', 'batch.num.messages=7']
    await kcat(bootstrap, args, lines.join(''))
  }
}

/** Format 0 has no timestamps, and its records in a batch -1. */
async function read(bootstrap: string) {
  const records = await kcatRead(bootstrap, TOPIC)
  return records.map(({ offset, key, payload, ts }) => ({ offset, key, payload, ts: ts ?? -1 }))
}

const segmentsIn = (folder: string): Buffer[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.log'))
    .sort()
    .map((name) => readFileSync(join(folder, name)))

test.each([
  ['0.9.0', 0],
  ['0.10.2', 1],
])('what Kafka 3.9 wrote at protocol version %s, message format %i', async (protocol, magic) => {
  const logDir = mkdtempSync(join(tmpdir(), 'odradek-old-segments-'))
  cleanUps.push(() => rmSync(logDir, { recursive: true, force: true }))
  const properties = {
    'inter.broker.protocol.version': protocol,
    'log.message.format.version': protocol,
    'log.segment.bytes': '4000',
  }
  const kafka = await startKafka({ logDir, properties, znodes: [] })
  cleanUps.push(() => kafka.stop())
  await fill(`127.0.0.1:${kafka.port}`)
  const served = await read(`127.0.0.1:${kafka.port}`)
  await kafka.stop()
  const written = segmentsIn(join(logDir, `${TOPIC}-0`))
  expect(written.length).toBeGreaterThan(2)
  expect(written.map((bytes) => bytes[MAGIC_AT])).toEqual(written.map(() => magic))

  const broker = await startBroker({ config: { 'num.partitions': '1', 'broker.id': '1' } })
  cleanUps.push(() => broker.stop())
  await kcat(broker.bootstrap, ['-L', '-t', TOPIC, '-X', 'allow.auto.create.topics=true'])
  await broker.shutDown()
  cpSync(join(logDir, `${TOPIC}-0`), join(broker.dataDirectory, `${TOPIC}-0`), { recursive: true })
  await broker.start()
  expect(served.length).toBe(300)
  expect(await read(broker.bootstrap)).toEqual(served)
  const converted = segmentsIn(join(broker.dataDirectory, `${TOPIC}-0`))
  expect(converted.map((bytes) => bytes[MAGIC_AT])).toEqual(written.map(() => 2))
  await fill(broker.bootstrap)
  expect((await read(broker.bootstrap)).length).toBe(600)
})
