/**
 * Odradek starts on directories that Apache Kafka 3.9 wrote, after a clean stop and after a kill, and serves them unchanged;
 * and Kafka goes on with what Odradek made of them.
 */
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../../harness/broker.ts'
import type { TestBroker } from '../../harness/broker.ts'
import { startKafka } from '../brokers.ts'
import type { RunningBroker } from '../brokers.ts'
import { contentsOf } from './contents.ts'
import type { Asked, Contents } from './contents.ts'
import * as fill from './fill.ts'
import { expectProducerKnown, LOADED_WITH_REPAIRS } from './same.ts'
import { znodesOf } from './znodes.ts'
import type { Znode } from './znodes.ts'

const ASKED: Asked = {
  ...fill.ASKED,
  topics: { ...fill.ASKED.topics, transactional: 2 },
  groups: [...fill.ASKED.groups, 'in-transactions'],
}

const cleanUps: (() => unknown)[] = []
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
})

/** Directories as a broker left them, and what was read of them before. */
interface Left {
  readonly logDirs: readonly string[]
  contents: Contents
}

let closed: Left
let killed: Left

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kafka-handed-over-'))
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }))
  const dirsOf = (name: string): string[] => ['one', 'two'].map((part) => join(directory, name, part))
  const logDirs = dirsOf('killed')

  const first = await startKafkaOn(logDirs, [])
  const bootstrap = `127.0.0.1:${first.port}`
  await fill.createTopics(bootstrap, ASKED)
  await Promise.all([fill.fillAll(bootstrap, logDirs), fill.transact(bootstrap, 30)])
  for (const index of [0, 1])
    expect(await fill.sendSequenced(first.port, index)).toMatchObject({ errorCode: 0 })
  closed = { logDirs: dirsOf('closed'), contents: await contentsOf(first.port, ASKED) }
  await first.shutDown()
  await first.stop()
  for (const [index, from] of logDirs.entries()) cpSync(from, closed.logDirs[index], { recursive: true })

  const second = await startKafkaOn(logDirs, await znodesOf(logDirs, fill.TOLD))
  await fill.produceCodecs(`127.0.0.1:${second.port}`, [3, 4])
  await fill.leaveTransactionOpen(`127.0.0.1:${second.port}`)
  killed = { logDirs, contents: await contentsOf(second.port, ASKED) }
  await second.stop()
})

async function startKafkaOn(logDirs: readonly string[], znodes: Znode[]): Promise<RunningBroker> {
  const kafka = await startKafka({ logDir: logDirs.join(','), properties: fill.PROPERTIES, znodes })
  cleanUps.push(() => kafka.stop())
  return kafka
}

async function startOursOn(logDirs: readonly string[]): Promise<TestBroker> {
  const broker = await startBroker({ config: { ...fill.PROPERTIES, 'log.dirs': logDirs.join(',') } })
  cleanUps.push(() => broker.stop())
  return broker
}

/** Writes to what was handed over, as its clients do. */
async function goOn(port: number, left: Left, sends: readonly number[]): Promise<void> {
  await fill.produceCodecs(`127.0.0.1:${port}`, sends)
  await fill.commitOffsets(`127.0.0.1:${port}`, 10 * sends[0])
  left.contents = await contentsOf(port, ASKED)
}

test('what was written holds all that is to be handed over', () => {
  const { records, committedRecords, offsets, groups } = closed.contents
  expect(records['codecs 0']).toMatch(/^150 0\.\.149 /)
  expect(offsets['-2 0']).toMatchObject({ 'cut 0': '-1 5', 'codecs 0': '-1 0' })
  expect(Number.parseInt(records['transactional 0'], 10)).toBe(60)
  expect(Number.parseInt(committedRecords['transactional 0'], 10)).toBe(40)
  for (const partition of [0, 1]) {
    expect(Number.parseInt(records[`compacted ${partition}`], 10)).toBeLessThan(120)
  }
  expect(groups['in-transactions']).toMatchObject({ 'codecs 0': '29', 'codecs 1': '28' })
  const isClosed = ({ logDirs }: Left): boolean[] =>
    logDirs.map((logDir) => existsSync(join(logDir, '.kafka_cleanshutdown')))
  expect(isClosed(closed)).toEqual([true, true])
  expect(isClosed(killed)).toEqual([false, false])
  // Behind the transaction that is open nothing is committed.
  expect(killed.contents.offsets['-1 1']['transactional 0']).not.toBe(
    killed.contents.offsets['-1 0']['transactional 0'],
  )
})

describe('after a clean stop', () => {
  test('Odradek serves it unchanged and goes on writing', async () => {
    const ours = await startOursOn(closed.logDirs)
    expect(await contentsOf(ours.port, ASKED)).toEqual(closed.contents)
    await expectProducerKnown(ours.port, 2)
    await goOn(ours.port, closed, [10, 11])
    expect(await ours.shutDown()).toBe(0)
  })

  test('Kafka takes it back, has nothing to repair, serves all of it and goes on writing', async () => {
    const kafka = await startKafkaOn(closed.logDirs, await znodesOf(closed.logDirs, fill.TOLD))
    expect(await contentsOf(kafka.port, ASKED)).toEqual(closed.contents)
    expect(kafka.output()).not.toMatch(LOADED_WITH_REPAIRS)
    await expectProducerKnown(kafka.port, 3)
    await fill.transact(`127.0.0.1:${kafka.port}`, 3)
    await goOn(kafka.port, closed, [12])
    await kafka.stop()
  })
})

describe('after a kill', () => {
  test('Odradek serves it unchanged and goes on writing', async () => {
    const ours = await startOursOn(killed.logDirs)
    expect(await contentsOf(ours.port, ASKED)).toEqual(killed.contents)
    await expectProducerKnown(ours.port, 2)
    await goOn(ours.port, killed, [10, 11])
    await ours.kill()
  })

  test('Kafka takes it back after another kill and serves all of it', async () => {
    const kafka = await startKafkaOn(killed.logDirs, await znodesOf(killed.logDirs, fill.TOLD))
    expect(await contentsOf(kafka.port, ASKED)).toEqual(killed.contents)
    await expectProducerKnown(kafka.port, 3)
    await kafka.stop()
  })
})
