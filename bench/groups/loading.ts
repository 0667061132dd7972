/** How long a coordinator takes for a million offset records: from the start of its broker until the last group answers. */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Broker } from '../lab/brokers.ts'
import type { Sample } from '../lab/interleave.ts'
import { cpuSeconds, memory } from '../lab/process.ts'
import type { Expectation, Metric, Section } from '../lab/report.ts'
import { measureAll, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { int32, string, untilCoordinated, withWire } from '../lab/wire.ts'
import type { Wire } from '../lab/wire.ts'
import { groupName, topicName, writeOffsetLog } from './offset-log.ts'
import type { OffsetLog } from './offset-log.ts'

const OFFSETS_DIRECTORY = '__consumer_offsets-0'
const PARTITIONS = 10

/** A million records each. */
export const LOGS: Readonly<Record<string, OffsetLog>> = {
  'a million offsets, each committed once': { groups: 1000, topics: 100, partitions: PARTITIONS, commits: 1 },
  '100,000 offsets, each committed ten times': {
    groups: 1000,
    topics: 10,
    partitions: PARTITIONS,
    commits: 10,
  },
}

/** Of brokers whose `__consumer_offsets` has one partition. */
export const loadingSettings = ['offsets.topic.num.partitions=1']

const OFFSET_FETCH = 9
const OFFSET_FETCH_VERSION = 5
const PATIENCE_MS = 120_000

/** The broker's own line; Kafka 4.1's jars print none. */
const LOADED: Readonly<Record<string, RegExp | undefined>> = {
  odradek: /loaded __consumer_offsets-0 batches=\d+ ms=(\d+)/,
  kafka: /Finished loading offsets and group metadata from __consumer_offsets-0 in (\d+) milliseconds/,
}

const metrics: readonly Metric[] = [
  { name: 'loadMs', label: 'load, by the broker’s own line', unit: 'ms' },
  { name: 'answerMs', label: 'process start to the last group’s answer', unit: 'ms' },
  { name: 'cpuMs', label: 'CPU until then', unit: 'ms' },
  { name: 'rssMb', label: 'resident memory then', unit: 'MB' },
]
const expectations: readonly Expectation[] = [
  { metric: 'loadMs', against: 'kafka', direction: 'at most', value: 1 },
  { metric: 'answerMs', against: 'kafka', direction: 'at most', value: 1 },
  { metric: 'answerMs', against: 'kafka-4.1', direction: 'at most', value: 1 },
]

/** What the group has committed for a partition; null while the coordinator loads, or is none yet. */
async function committed(wire: Wire, group: string, topic: string): Promise<number | null> {
  const partition = PARTITIONS - 1
  const request = [string(group), int32(1), string(topic), int32(1), int32(partition)]
  const body = await wire.request(OFFSET_FETCH, OFFSET_FETCH_VERSION, request)
  const error = body.readInt16BE(body.length - 2)
  if (error !== 0) return null
  const partitionAt = 4 + 4 + 2 + Buffer.byteLength(topic) + 4
  return Number(body.readBigInt64BE(partitionAt + 4))
}

export async function untilAnswered(broker: Broker, { groups, topics, commits }: OffsetLog): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  await withWire(broker.port, async (wire) => {
    for (;;) {
      const offset = await committed(wire, groupName(groups - 1), topicName(topics - 1))
      if (offset === commits) return
      if (offset !== null) throw new Error(`the group has committed ${offset}, not ${commits}`)
      if (performance.now() > deadline) throw new Error(`no answer: ${broker.lastWords()}`)
      await sleep(5)
    }
  })
}

export type StartIn = (subject: string, name: string) => Promise<Broker>

/** Puts the log that lies in `source` in the place of the topic's own: the broker has made it, and has stopped cleanly. */
export async function placeLog(
  start: () => Promise<Broker>,
  directory: string,
  source: string,
): Promise<void> {
  const broker = await start()
  await withWire(broker.port, (wire) => untilCoordinated(wire, groupName(0)))
  await broker.stop()
  cpSync(source, join(directory, OFFSETS_DIRECTORY), { recursive: true })
}

async function loadOnce(subject: string, start: () => Promise<Broker>, log: OffsetLog): Promise<Sample> {
  const broker = await start()
  try {
    await untilAnswered(broker, log)
    const answerMs = performance.now() - broker.spawnedAt
    const cpuMs = cpuSeconds(broker.pid) * 1000
    const sample = { answerMs, cpuMs, rssMb: memory(broker.pid).rssMb }
    const loaded = LOADED[subject]
    return loaded === undefined ? sample : { loadMs: await saidToHaveTaken(broker, loaded), ...sample }
  } finally {
    await broker.stop()
  }
}

async function saidToHaveTaken(broker: Broker, loaded: RegExp): Promise<number> {
  for (const deadline = performance.now() + PATIENCE_MS; ; await sleep(5)) {
    const said = loaded.exec(broker.lastWords())
    if (said !== null) return Number(said[1])
    if (performance.now() > deadline) throw new Error(`not said to be loaded: ${broker.lastWords()}`)
  }
}

/** `directory`: where `startIn` keeps a subject's data of a name as `SUBJECT-NAME`. */
export async function loading(
  options: Options,
  subjects: readonly string[],
  startIn: StartIn,
  directory: string,
): Promise<Section[]> {
  const sections: Section[] = []
  for (const [index, [title, whole]] of Object.entries(LOGS).entries()) {
    if (!wanted(options, title)) continue
    const log = options.quick ? { ...whole, groups: whole.groups / 10 } : whole
    const name = `loading-${index}`
    const source = join(directory, `${name}-source`)
    const records = writeOffsetLog(source, log)
    for (const subject of subjects) {
      const start = () => startIn(subject, name)
      await placeLog(start, join(directory, `${subject}-${name}`), source)
      // It has met the log once, and stopped cleanly.
      await loadOnce(subject, start, log)
    }
    const series = await measureAll(options, title, {
      subjects,
      measure: (subject) => loadOnce(subject, () => startIn(subject, name), log),
    })
    const setting = { records, groups: log.groups, 'records in a batch': log.partitions }
    sections.push({ title, setting, metrics, expectations, series })
  }
  return sections
}
