/** Compaction of the same log by both brokers, and what producers notice of a cleaning beside them. */
import { copyFileSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startKafka, startOdradek, startZooKeeper, workDirectory } from '../lab/brokers.ts'
import type { Broker } from '../lab/brokers.ts'
import type { Sample } from '../lab/interleave.ts'
import { payloadFile, runRdperf } from '../lab/load.ts'
import type { Section } from '../lab/report.ts'
import { segmentFiles, writeSegment } from '../lab/segment-files.ts'
import { measureAll, runBenchmark } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { odradekBundle } from '../lab/tools.ts'
import { alterTopic, createTopic, untilLed, withWire } from '../lab/wire.ts'

const SUBJECTS = ['odradek', 'kafka']
const ROUNDS = 5
const ALONE = 'cleaned-alone'
const BESIDE = 'cleaned-beside-traffic'
const TRAFFIC = 'traffic'
const KEYS = 100_000
const SEGMENTS = 4
/** 16 records of 1,000 bytes a batch; 98 MB a segment. */
const SHAPE = { batches: 6000, recordsPerBatch: 16, valueBytes: 1000, indexIntervalBytes: 4096, keys: KEYS }
/** The records are of 2023: time-based retention would have them. */
const kept = { 'retention.ms': '-1', 'cleanup.policy': 'delete' }
const compacted = { 'cleanup.policy': 'compact' }
const settings = ['log.cleaner.threads=1', 'log.cleaner.backoff.ms=200', 'log.cleaner.enable=true']
const RATE = 1000
const TRAFFIC_SECONDS = 3
const RECORD_BYTES = 1000

interface Lab {
  readonly log: string
  readonly logBytes: number
  readonly directoryOf: (subject: string) => string
  readonly start: (subject: string) => Promise<Broker>
}

/** The log that is compacted, made once; its last segment, which nobody cleans, has one batch. */
function makeLog(directory: string, options: Options): number {
  mkdirSync(directory)
  const batches = options.quick ? SHAPE.batches / 10 : SHAPE.batches
  const recordsPerSegment = batches * SHAPE.recordsPerBatch
  for (let segment = 0; segment < SEGMENTS; segment++) {
    const base = segment * recordsPerSegment
    writeSegment(directory, base, segmentFiles(base, { ...SHAPE, batches }))
  }
  const logs = readdirSync(directory).filter((name) => name.endsWith('.log'))
  const bytes = logs.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
  const end = SEGMENTS * recordsPerSegment
  writeSegment(directory, end, segmentFiles(end, { ...SHAPE, batches: 1 }))
  return bytes
}

/** Puts the log, as it was before it was cleaned, under a broker that has stopped. */
function restore({ log, directoryOf }: Lab, subject: string): void {
  rmSync(join(directoryOf(subject), 'cleaner-offset-checkpoint'), { force: true })
  for (const topic of [ALONE, BESIDE]) {
    const partition = join(directoryOf(subject), `${topic}-0`)
    mkdirSync(partition, { recursive: true })
    for (const name of readdirSync(partition))
      if (/^\d{20}\./.test(name)) rmSync(join(partition, name), { recursive: true })
    for (const name of readdirSync(log)) copyFileSync(join(log, name), join(partition, name))
  }
}

async function untilAllLed(broker: Broker): Promise<void> {
  await withWire(broker.port, async (wire) => {
    for (const topic of [ALONE, BESIDE, TRAFFIC]) await untilLed(wire, topic, 1)
  })
}

/** Topics, and checkpoints with high watermarks that know the whole log. */
async function prepare(lab: Lab, subject: string): Promise<void> {
  const first = await lab.start(subject)
  await withWire(first.port, async (wire) => {
    for (const topic of [ALONE, BESIDE]) await createTopic(wire, topic, 1, kept)
    await createTopic(wire, TRAFFIC, 1)
  })
  await first.stop()
  restore(lab, subject)
  const second = await lab.start(subject)
  await untilAllLed(second)
  await second.stop()
}

/** Seconds that a cleaning took, by the broker's own line. */
async function cleaningSeconds(broker: Broker, topic: string): Promise<number> {
  const kafkas = new RegExp(`cleaned log ${topic}-0 [^]*?processed in ([\\d.,]+) seconds`)
  const ours = new RegExp(`log compacted.*${topic}-0.*\\bms\\W+(\\d+)`)
  const deadline = performance.now() + 60_000
  for (;;) {
    const said = broker.lastWords()
    const found = kafkas.exec(said)
    if (found) return Number(found[1].replaceAll(',', ''))
    const foundOurs = ours.exec(said)
    if (foundOurs) return Number(foundOurs[1]) / 1000
    if (performance.now() > deadline) throw new Error(`${topic} is not cleaned after a minute:\n${said}`)
    await sleep(20)
  }
}

async function clean(broker: Broker, topic: string): Promise<number> {
  await withWire(broker.port, (wire) => alterTopic(wire, topic, compacted))
  return cleaningSeconds(broker, topic)
}

async function traffic(broker: Broker): Promise<{ p50: number; p99: number; max: number }> {
  const count = RATE * TRAFFIC_SECONDS
  const load = { topic: TRAFFIC, rate: RATE, count, payload: payloadFile(RECORD_BYTES), 'linger.ms': 0 }
  return (await runRdperf(broker, 'produce', load)).latencyMs!
}

function sizeOf(lab: Lab, subject: string, topic: string): number {
  const partition = join(lab.directoryOf(subject), `${topic}-0`)
  const logs = readdirSync(partition).filter((name) => name.endsWith('.log'))
  return logs.reduce((sum, name) => sum + statSync(join(partition, name)).size, 0)
}

async function round(lab: Lab, subject: string): Promise<Sample> {
  restore(lab, subject)
  const broker = await lab.start(subject)
  await untilAllLed(broker)
  // The first of everything is not counted.
  await traffic(broker)
  const quiet = await traffic(broker)
  const aloneSeconds = await clean(broker, ALONE)
  const [busy, besideSeconds] = await Promise.all([traffic(broker), clean(broker, BESIDE)])
  await withWire(broker.port, async (wire) => {
    for (const topic of [ALONE, BESIDE]) await alterTopic(wire, topic, kept)
  })
  await broker.stop()
  return {
    alone: lab.logBytes / 1e6 / aloneSeconds,
    beside: lab.logBytes / 1e6 / besideSeconds,
    leftMb: sizeOf(lab, subject, ALONE) / 1e6,
    quietP50: quiet.p50,
    busyP50: busy.p50,
    quietP99: quiet.p99,
    busyP99: busy.p99,
    busyMax: busy.max,
  }
}

const metrics = [
  { name: 'alone', label: 'log cleaned', unit: 'MB/s' },
  { name: 'beside', label: 'log cleaned, producer beside it', unit: 'MB/s' },
  { name: 'leftMb', label: 'log after that', unit: 'MB' },
  { name: 'quietP50', label: 'produce to acknowledgement, no cleaning, p50', unit: 'ms' },
  { name: 'busyP50', label: 'produce to acknowledgement, beside a cleaning, p50', unit: 'ms' },
  { name: 'quietP99', label: 'produce to acknowledgement, no cleaning, p99', unit: 'ms' },
  { name: 'busyP99', label: 'produce to acknowledgement, beside a cleaning, p99', unit: 'ms' },
  { name: 'busyMax', label: 'produce to acknowledgement, beside a cleaning, longest', unit: 'ms' },
]

async function measure(options: Options): Promise<Section[]> {
  const work = workDirectory(options.data)
  const zookeeper = options.without.includes('kafka')
    ? undefined
    : await startZooKeeper(join(work.path, 'zookeeper'))
  const directoryOf = (subject: string) => join(work.path, subject)
  const start = (subject: string) =>
    subject === 'kafka'
      ? startKafka(directoryOf(subject), zookeeper!, 'compaction', settings)
      : startOdradek(directoryOf(subject), [odradekBundle(), '--log-level', 'info'], settings)
  try {
    const log = join(work.path, 'log')
    const logBytes = makeLog(log, options)
    const lab = { log, logBytes, directoryOf, start }
    for (const subject of SUBJECTS.filter((name) => !options.without.includes(name)))
      await prepare(lab, subject)
    const title = `compacting ${Math.round(logBytes / 1e6)} MB`
    const series = await measureAll(options, title, {
      subjects: SUBJECTS,
      measure: (subject) => round(lab, subject),
    })
    const setting = {
      'record, B': SHAPE.valueBytes,
      keys: KEYS,
      segments: SEGMENTS,
      'cleaner threads': 1,
      'produced, records/s': RATE,
    }
    return [{ title, setting, metrics, expectations: [], series }]
  } finally {
    await zookeeper?.stop()
    work.remove()
  }
}

await runBenchmark(
  'compaction',
  [
    'The same segment files under both brokers; a topic becomes compacted while the broker runs, after six seconds of traffic.',
    'Time of a cleaning: the broker’s own line about it (Kafka’s in tenths of a second); megabytes: the cleaned segments before.',
    `Traffic: librdkafka, acks=1, no linger, ${RATE} records/s of ${RECORD_BYTES} B for ${TRAFFIC_SECONDS} s, begun with the cleaning; ` +
      'a faster cleaning fills less of that time.',
  ],
  measure,
  ROUNDS,
)
