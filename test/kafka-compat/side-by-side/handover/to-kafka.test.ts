/**
 * Apache Kafka 3.9 starts on directories that Odradek wrote, after a clean stop and after a kill, and serves them unchanged;
 * Odradek goes on with what Kafka made of them.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startBroker } from '../../harness/broker.ts'
import type { TestBroker } from '../../harness/broker.ts'
import { startKafka } from '../brokers.ts'
import type { RunningBroker } from '../brokers.ts'
import { contentsOf } from './contents.ts'
import type { Contents } from './contents.ts'
import * as fill from './fill.ts'
import { expectProducerKnown, LOADED_WITH_REPAIRS } from './same.ts'
import { znodesOf } from './znodes.ts'

const cleanUps: (() => unknown)[] = []
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
})

let ours: TestBroker
let logDirs: string[]
/** What was read last of the broker that wrote last. */
let written: Contents

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'odradek-handed-over-'))
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }))
  logDirs = ['one', 'two'].map((name) => join(directory, name))
  ours = await startBroker({ config: { ...fill.PROPERTIES, 'log.dirs': logDirs.join(',') } })
  cleanUps.push(() => ours.stop())
  const { bootstrap, port } = ours
  await fill.createTopics(bootstrap, fill.ASKED)
  await fill.fillAll(bootstrap, logDirs)
  for (const index of [0, 1]) expect(await fill.sendSequenced(port, index)).toMatchObject({ errorCode: 0 })
  written = await contentsOf(port, fill.ASKED)
})

async function startKafkaOnThem(): Promise<RunningBroker> {
  const znodes = await znodesOf(logDirs, fill.TOLD)
  const kafka = await startKafka({ logDir: logDirs.join(','), properties: fill.PROPERTIES, znodes })
  cleanUps.push(() => kafka.stop())
  return kafka
}

async function goOn(port: number, sends: readonly number[]): Promise<void> {
  await fill.produceCodecs(`127.0.0.1:${port}`, sends)
  await fill.commitOffsets(`127.0.0.1:${port}`, 10 * sends[0])
  written = await contentsOf(port, fill.ASKED)
}

test('what was written holds all that is to be handed over', () => {
  const { records, offsets, groups } = written
  expect(records['codecs 0']).toMatch(/^150 0\.\.149 /)
  expect(offsets['-2 0']).toMatchObject({ 'cut 0': '-1 5', 'codecs 0': '-1 0' })
  expect(records['cut 0']).toMatch(/^7 5\.\.11 /)
  // 240 of each were written.
  for (const partition of [0, 1])
    expect(Number.parseInt(records[`compacted ${partition}`], 10)).toBeLessThan(120)
  expect(groups['by-hand']).toMatchObject({ 'codecs 0': '17', 'codecs 3': '-1' })
  expect(groups.readers['codecs 3']).not.toBe('-1')
})

test('after a clean stop Kafka serves it unchanged, and has nothing to repair', async () => {
  expect(await ours.shutDown()).toBe(0)
  const kafka = await startKafkaOnThem()
  expect(await contentsOf(kafka.port, fill.ASKED)).toEqual(written)
  expect(kafka.output()).not.toMatch(LOADED_WITH_REPAIRS)
  expect(kafka.output().match(/Skipping recovery of \d+ logs/g)).toHaveLength(2)
  await expectProducerKnown(kafka.port, 2)
  await goOn(kafka.port, [3, 4])
  await kafka.shutDown()
  await kafka.stop()
})

test('Odradek goes on with what Kafka made of it', async () => {
  await ours.start()
  expect(await contentsOf(ours.port, fill.ASKED)).toEqual(written)
  await expectProducerKnown(ours.port, 3)
  await goOn(ours.port, [5, 6])
})

test('after a kill Kafka recovers it, and serves it unchanged', async () => {
  await ours.kill()
  const kafka = await startKafkaOnThem()
  expect(await contentsOf(kafka.port, fill.ASKED)).toEqual(written)
  expect(kafka.output()).toMatch(LOADED_WITH_REPAIRS)
  await expectProducerKnown(kafka.port, 4)
  await goOn(kafka.port, [7])
  await kafka.stop()
})
