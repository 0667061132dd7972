/** What three copies cost: throughput, latency and CPU of a producer with acks=all at replication factor 3. */
import { join } from 'node:path'
import { workDirectory } from '../lab/brokers.ts'
import { BenchCluster, BROKER_IDS } from '../lab/cluster.ts'
import type { Kind } from '../lab/cluster.ts'
import { startEnsemble } from '../lab/ensemble.ts'
import type { Sample } from '../lab/interleave.ts'
import { payloadFile, runRdperf } from '../lab/load.ts'
import { cpuSeconds } from '../lab/process.ts'
import type { Expectation, Metric, Section } from '../lab/report.ts'
import { measureAll, runBenchmark, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'

const PARTITIONS = 6
const KINDS: readonly Kind[] = ['odradek', 'kafka']
const CODECS = ['none', 'lz4'] as const

/** Records of one run: one to three seconds of producing. */
const RECORDS: Readonly<Record<number, number>> = { 100: 1_000_000, 1000: 150_000 }
const PACED_RATE = 2000
const PACED_RECORDS = 3000

const loadMetrics: readonly Metric[] = [
  { name: 'records', label: 'produce, acks=all', unit: 'records/s' },
  { name: 'megabytes', label: 'produce, acks=all', unit: 'MB/s' },
  { name: 'cpu', label: 'CPU of all three brokers', unit: 's/GB' },
  { name: 'p50', label: 'delivery p50 under full load', unit: 'ms' },
  { name: 'p99', label: 'delivery p99 under full load', unit: 'ms' },
]
const loadBars: readonly Expectation[] = [
  { metric: 'records', against: 'kafka', direction: 'at least', value: 1 },
  { metric: 'cpu', against: 'kafka', direction: 'at most', value: 1 },
]
const pacedMetrics: readonly Metric[] = [
  { name: 'p50', label: 'produced to acknowledged by all, p50', unit: 'ms' },
  { name: 'p99', label: 'produced to acknowledged by all, p99', unit: 'ms' },
]

type Clusters = Readonly<Record<string, BenchCluster>>

/** Each broker leads two partitions. */
const replicasOfEach = Array.from({ length: PARTITIONS }, (_, partition) =>
  BROKER_IDS.map((_id, i) => BROKER_IDS[(partition + i) % BROKER_IDS.length]),
)

let topics = 0

/** `use`, with a topic of its own, gone afterwards. */
async function withTopic<T>(cluster: BenchCluster, use: (topic: string) => Promise<T>): Promise<T> {
  const topic = `topic-${++topics}`
  await cluster.createTopic(topic, replicasOfEach)
  const result = await use(topic)
  await cluster.deleteTopic(topic)
  return result
}

interface Setting {
  readonly recordBytes: number
  readonly codec: (typeof CODECS)[number]
  readonly records: number
}

function produce(cluster: BenchCluster, { recordBytes, codec, records }: Setting): Promise<Sample> {
  return withTopic(cluster, async (topic) => {
    const before = clusterCpuSeconds(cluster)
    const result = await runRdperf(cluster, 'produce', {
      topic,
      count: records,
      payload: payloadFile(recordBytes),
      acks: 'all',
      'linger.ms': 20,
      'compression.codec': codec,
    })
    return {
      records: result.recordsPerSecond,
      megabytes: result.megabytesPerSecond,
      cpu: (clusterCpuSeconds(cluster) - before) / ((records * recordBytes) / 1e9),
      p50: result.latencyMs!.p50,
      p99: result.latencyMs!.p99,
    }
  })
}

function clusterCpuSeconds({ pids }: BenchCluster): number {
  return pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0)
}

/** Neither cluster near its limit: what one record waits for all three copies. */
function paced(cluster: BenchCluster, records: number): Promise<Sample> {
  return withTopic(cluster, async (topic) => {
    const options = { topic, rate: PACED_RATE, count: records, payload: payloadFile(1000), acks: 'all' }
    const { latencyMs } = await runRdperf(cluster, 'produce', { ...options, 'linger.ms': 0 })
    return { p50: latencyMs!.p50, p99: latencyMs!.p99 }
  })
}

async function underLoad(options: Options, clusters: Clusters): Promise<Section[]> {
  const sections: Section[] = []
  const subjects = Object.keys(clusters)
  for (const recordBytes of [100, 1000])
    for (const codec of CODECS) {
      const title = `librdkafka, ${recordBytes} B, ${codec === 'none' ? 'no compression' : codec}`
      if (!wanted(options, title)) continue
      const records = options.quick ? RECORDS[recordBytes] / 10 : RECORDS[recordBytes]
      const measure = (subject: string) => produce(clusters[subject], { recordBytes, codec, records })
      const series = await measureAll(options, title, { subjects, measure })
      const setting = { partitions: PARTITIONS, 'records a run': records, 'linger.ms': 20 }
      sections.push({ title, setting, metrics: loadMetrics, expectations: loadBars, series })
    }
  return sections
}

async function atARate(options: Options, clusters: Clusters): Promise<Section[]> {
  const title = `librdkafka, latency at ${PACED_RATE} records/s of 1000 B`
  if (!wanted(options, title)) return []
  const records = options.quick ? PACED_RECORDS / 10 : PACED_RECORDS
  const measure = (subject: string) => paced(clusters[subject], records)
  const series = await measureAll(options, title, { subjects: Object.keys(clusters), measure })
  const setting = { partitions: PARTITIONS, 'records a run': records, 'linger.ms': 0 }
  const p99Bar: Expectation = { metric: 'p99', against: 'kafka', direction: 'at most', value: 1 }
  return [{ title, setting, metrics: pacedMetrics, expectations: [p99Bar], series }]
}

/** Two rounds whose figures are dropped: before anything warm is measured. */
async function warmUp(options: Options, clusters: Clusters): Promise<void> {
  const setting: Setting = { recordBytes: 100, codec: 'none', records: RECORDS[100] }
  const measure = (subject: string) => produce(clusters[subject], setting)
  await measureAll({ ...options, rounds: 2 }, 'warm-up', { subjects: Object.keys(clusters), measure })
}

async function measure(options: Options): Promise<Section[]> {
  const work = workDirectory(options.data)
  const ensemble = await startEnsemble(join(work.path, 'zookeeper'))
  const clusters: Record<string, BenchCluster> = {}
  try {
    for (const kind of KINDS.filter((each) => !options.without.includes(each)))
      clusters[kind] = await BenchCluster.start(kind, { directory: join(work.path, kind), ensemble })
    if (!options.quick) await warmUp(options, clusters)
    return [...(await underLoad(options, clusters)), ...(await atARate(options, clusters))]
  } finally {
    await Promise.all(Object.values(clusters).map((cluster) => cluster.stopAll()))
    await ensemble.stop()
    work.remove()
  }
}

await runBenchmark(
  'replication',
  [
    'Three brokers each on the same ensemble of three; replication factor 3, min.insync.replicas 2, acks=all; each broker leads two partitions.',
    'GB are of record values before compression and count once, not three times; broker CPU is user and system time of all three processes.',
    'Producer, six brokers and three ZooKeeper servers share the machine; the brokers that are not measured are idle meanwhile.',
  ],
  measure,
)
