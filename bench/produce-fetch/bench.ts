/** Produce and consume throughput, latency, and the broker's CPU: Odradek, Kafka warm and cold, and the floor. */
import { join } from 'node:path'
import { startFloor, startKafka, startOdradek, startZooKeeper, workDirectory } from '../lab/brokers.ts'
import type { Broker, ZooKeeper } from '../lab/brokers.ts'
import type { Sample } from '../lab/interleave.ts'
import {
  consumeByJava,
  consumeByRdperf,
  payloadFile,
  produceByJava,
  produceByRdperf,
  runRdperf,
} from '../lab/load.ts'
import type { Load } from '../lab/load.ts'
import type { Expectation, Metric, Section } from '../lab/report.ts'
import { measureAll, runBenchmark, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { createTopic, deleteTopic, untilLed, withWire } from '../lab/wire.ts'

const PARTITIONS = 4
const SIZES = [100, 1000]
const CODECS = ['none', 'lz4'] as const

/** Records of one run: about a second of producing each; fewer where the broker has only just started. */
const RDPERF_RECORDS: Record<number, number> = { 100: 2_000_000, 1000: 400_000 }
const COLD_RECORDS: Record<number, number> = { 100: 1_000_000, 1000: 200_000 }
const JAVA_RECORDS: Record<number, number> = { 100: 1_000_000, 1000: 150_000 }
const CONSUME_PASSES: Record<number, number> = { 100: 2, 1000: 3 }

const METRICS: readonly Metric[] = [
  { name: 'produceRecords', label: 'produce', unit: 'records/s' },
  { name: 'produceMegabytes', label: 'produce', unit: 'MB/s' },
  { name: 'produceCpu', label: 'produce, broker CPU', unit: 's/GB' },
  { name: 'produceP50', label: 'produce, delivery p50 under full load', unit: 'ms' },
  { name: 'produceP99', label: 'produce, delivery p99 under full load', unit: 'ms' },
  { name: 'consumeRecords', label: 'consume', unit: 'records/s' },
  { name: 'consumeMegabytes', label: 'consume', unit: 'MB/s' },
  { name: 'consumeCpu', label: 'consume, broker CPU', unit: 's/GB' },
]

const WARM_BARS: readonly Expectation[] = [
  { metric: 'produceRecords', against: 'kafka', direction: 'at least', value: 1 },
  { metric: 'produceCpu', against: 'kafka', direction: 'at most', value: 0.8 },
  { metric: 'consumeRecords', against: 'kafka', direction: 'at least', value: 1 },
  { metric: 'consumeCpu', against: 'kafka', direction: 'at most', value: 0.8 },
]
const FLOOR_BARS: readonly Expectation[] = [
  { metric: 'produceRecords', against: 'floor', direction: 'at least', value: 0.8 },
]
const COLD_BARS: readonly Expectation[] = [
  { metric: 'produceRecords', against: 'kafka', direction: 'at least', value: 2 },
]

interface Setting {
  readonly recordBytes: number
  readonly codec: (typeof CODECS)[number]
}
const SETTINGS: readonly Setting[] = SIZES.flatMap((recordBytes) =>
  CODECS.map((codec) => ({ recordBytes, codec })),
)

function name({ recordBytes, codec }: Setting): string {
  return `${recordBytes} B, ${codec === 'none' ? 'no compression' : codec}`
}

function scaled(records: number, options: Options): number {
  return options.quick ? Math.ceil(records / 10) : records
}

let topics = 0

/** `use`, with a topic of its own, gone afterwards. The floor has one topic at a time: the last that was asked for. */
async function withTopic<T>(subject: string, broker: Broker, use: (topic: string) => Promise<T>): Promise<T> {
  const topic = `topic-${++topics}`
  return withWire(broker.port, async (wire) => {
    if (subject === 'floor') await untilLed(wire, topic, PARTITIONS)
    else await createTopic(wire, topic, PARTITIONS)
    const result = await use(topic)
    if (subject !== 'floor') await deleteTopic(wire, topic)
    return result
  })
}

type Brokers = Record<string, Broker>

function rdperfRound(options: Options, subject: string, broker: Broker, setting: Setting): Promise<Sample> {
  return withTopic(subject, broker, async (topic) => {
    const records = scaled(RDPERF_RECORDS[setting.recordBytes], options)
    const load: Load = { topic, partitions: PARTITIONS, records, ...setting }
    return {
      ...(await produceByRdperf(broker, load)),
      ...(await consumeByRdperf(broker, load, CONSUME_PASSES[setting.recordBytes])),
    }
  })
}

function javaRound(options: Options, subject: string, broker: Broker, setting: Setting): Promise<Sample> {
  return withTopic(subject, broker, async (topic) => {
    const records = scaled(JAVA_RECORDS[setting.recordBytes], options)
    const load: Load = { topic, partitions: PARTITIONS, records, ...setting }
    return { ...(await produceByJava(broker, load)), ...(await consumeByJava(broker, load)) }
  })
}

/** One round whose figures are dropped: before anything warm is measured, and before every new kind of records. */
async function warmUp(options: Options, brokers: Brokers, setting: Setting): Promise<void> {
  const subjects = Object.keys(brokers)
  const measure = (subject: string) => rdperfRound(options, subject, brokers[subject], setting)
  await measureAll({ ...options, rounds: 1 }, `warm-up, ${name(setting)}`, { subjects, measure })
}

async function warmByRdperf(options: Options, brokers: Brokers): Promise<Section[]> {
  const sections: Section[] = []
  const subjects = ['odradek', 'kafka', 'floor']
  for (const setting of SETTINGS) {
    const title = `librdkafka, warm, ${name(setting)}`
    if (!wanted(options, title)) continue
    const measure = (subject: string) => rdperfRound(options, subject, brokers[subject], setting)
    if (!options.quick) await warmUp(options, brokers, setting)
    sections.push({
      title,
      setting: {
        acks: 1,
        partitions: PARTITIONS,
        'records a run': scaled(RDPERF_RECORDS[setting.recordBytes], options),
        'linger.ms': 20,
        'consume passes a run': CONSUME_PASSES[setting.recordBytes],
      },
      metrics: METRICS,
      expectations: [...WARM_BARS, ...FLOOR_BARS],
      series: await measureAll(options, title, { subjects, measure }),
    })
  }
  return sections
}

async function warmByJava(options: Options, brokers: Brokers): Promise<Section[]> {
  const sections: Section[] = []
  for (const setting of SETTINGS) {
    const title = `Java perf tools, warm, ${name(setting)}`
    if (!wanted(options, title)) continue
    const measure = (subject: string) => javaRound(options, subject, brokers[subject], setting)
    sections.push({
      title,
      setting: {
        acks: 1,
        partitions: PARTITIONS,
        'records a run': scaled(JAVA_RECORDS[setting.recordBytes], options),
        'client settings': 'the tools’ defaults',
      },
      metrics: METRICS,
      expectations: WARM_BARS,
      series: await measureAll(options, title, { subjects: ['odradek', 'kafka'], measure }),
    })
  }
  return sections
}

/** Neither broker near its limit: what one record waits. */
async function latency(options: Options, brokers: Brokers): Promise<Section[]> {
  const rate = 2000
  const recordBytes = 1000
  const title = `librdkafka, warm, latency at ${rate} records/s of ${recordBytes} B`
  if (!wanted(options, title)) return []
  const measure = (subject: string) =>
    withTopic(subject, brokers[subject], async (topic) => {
      const paced = { topic, rate, count: rate * 1.5, payload: payloadFile(recordBytes), 'linger.ms': 0 }
      const acknowledged = await runRdperf(brokers[subject], 'produce', paced)
      return { ackP50: acknowledged.latencyMs!.p50, ackP99: acknowledged.latencyMs!.p99 }
    }).then((acks) =>
      withTopic(subject, brokers[subject], async (topic) => {
        const paced = { topic, rate, count: rate * 1.5, payload: payloadFile(recordBytes), 'linger.ms': 0 }
        const echoed = await runRdperf(brokers[subject], 'echo', paced)
        return { ...acks, echoP50: echoed.latencyMs!.p50, echoP99: echoed.latencyMs!.p99 }
      }),
    )
  return [
    {
      title,
      setting: { acks: 1, 'linger.ms': 0 },
      metrics: [
        { name: 'ackP50', label: 'produced to acknowledged, p50', unit: 'ms' },
        { name: 'ackP99', label: 'produced to acknowledged, p99', unit: 'ms' },
        { name: 'echoP50', label: 'produced to consumed, p50', unit: 'ms' },
        { name: 'echoP99', label: 'produced to consumed, p99', unit: 'ms' },
      ],
      expectations: [],
      series: await measureAll(options, title, { subjects: ['odradek', 'kafka'], measure }),
    },
  ]
}

/** Every sample is the first work of a broker just started on an empty directory. */
async function cold(
  options: Options,
  directory: string,
  zookeeper: ZooKeeper | undefined,
): Promise<Section[]> {
  const sections: Section[] = []
  let starts = 0
  for (const setting of SETTINGS) {
    const title = `librdkafka, cold, ${name(setting)}`
    if (!wanted(options, title)) continue
    const measure = async (subject: string) => {
      const own = `cold-${++starts}`
      const path = join(directory, own)
      const broker = subject === 'kafka' ? await startKafka(path, zookeeper!, own) : await startOdradek(path)
      try {
        return await withWire(broker.port, async (wire) => {
          const records = scaled(COLD_RECORDS[setting.recordBytes], options)
          const load: Load = { topic: 'first', partitions: PARTITIONS, records, ...setting }
          await createTopic(wire, load.topic, PARTITIONS)
          return await produceByRdperf(broker, load)
        })
      } finally {
        await broker.stop('SIGKILL')
      }
    }
    sections.push({
      title,
      setting: {
        acks: 1,
        partitions: PARTITIONS,
        'records a run': scaled(COLD_RECORDS[setting.recordBytes], options),
        'linger.ms': 20,
      },
      metrics: METRICS,
      expectations: COLD_BARS,
      series: await measureAll(options, title, { subjects: ['odradek', 'kafka'], measure }),
    })
  }
  return sections
}

async function measure(options: Options): Promise<Section[]> {
  const work = workDirectory(options.data)
  const isIn = (subject: string) => !options.without.includes(subject)
  const zookeeper = isIn('kafka') ? await startZooKeeper(join(work.path, 'zookeeper')) : undefined
  const coldSections = await cold(options, work.path, zookeeper)
  const brokers: Brokers = {}
  try {
    if (isIn('odradek')) brokers.odradek = await startOdradek(join(work.path, 'odradek'))
    if (isIn('kafka')) brokers.kafka = await startKafka(join(work.path, 'kafka'), zookeeper!, 'warm')
    if (isIn('floor')) brokers.floor = await startFloor(join(work.path, 'floor'), PARTITIONS)
    if (!options.quick) await warmUp(options, brokers, SETTINGS[0])
    return [
      ...(await warmByRdperf(options, brokers)),
      ...coldSections,
      ...(await latency(options, brokers)),
      ...(await warmByJava(options, brokers)),
    ]
  } finally {
    await Promise.all(Object.values(brokers).map((broker) => broker.stop('SIGKILL')))
    await zookeeper?.stop()
    work.remove()
  }
}

await runBenchmark(
  'produce-fetch',
  [
    'GB are of record values before compression; broker CPU is user and system time of the whole broker process.',
    'Cold: the first work of a broker just started on an empty directory. Warm: the same process after warm-up runs.',
    'The floor receives, checks the CRC, writes and answers, and nothing else: it is no broker, it is a limit.',
  ],
  measure,
)
