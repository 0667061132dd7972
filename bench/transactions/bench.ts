/** Transactions per second and how long one takes, in both protocols: before KIP-890 and since. */
import { join } from 'node:path'
import { startKafka, startOdradek, startZooKeeper, workDirectory } from '../lab/brokers.ts'
import type { Broker } from '../lab/brokers.ts'
import type { Sample } from '../lab/interleave.ts'
import { startKafka41 } from '../lab/kafka41.ts'
import { cpuSeconds } from '../lab/process.ts'
import type { Expectation, Metric, Section } from '../lab/report.ts'
import { measureAll, runBenchmark, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { kafka41ClassPath, kafkaClassPath } from '../lab/tools.ts'
import { createTopic, withWire } from '../lab/wire.ts'
import { startTransactionClient } from './client.ts'
import type { TransactionClient } from './client.ts'

const TOPIC = 'transactions'
const PARTITIONS = 4
const WARM_UP_MS = 300
const MEASURE_MS = 2000

interface Protocol {
  readonly name: string
  /** The Kafka that knows no newer one. */
  readonly peer: string
  readonly classPath: () => string
}

const protocols: readonly Protocol[] = [
  { name: 'version 1 (client 3.9.1)', peer: 'kafka', classPath: kafkaClassPath },
  { name: 'version 2, KIP-890 (client 4.1.1)', peer: 'kafka-4.1', classPath: kafka41ClassPath },
]

const settings = [
  { records: 1, producers: 1 },
  { records: 10, producers: 1 },
  { records: 100, producers: 1 },
  { records: 10, producers: 8 },
]

const metrics: readonly Metric[] = [
  { name: 'perSecond', label: 'transactions', unit: '1/s' },
  { name: 'p50', label: 'begin to committed, p50', unit: 'ms' },
  { name: 'p99', label: 'begin to committed, p99', unit: 'ms' },
  { name: 'cpuMs', label: 'broker CPU for each', unit: 'ms' },
]

type Brokers = Readonly<Record<string, Broker>>

async function measureOnce(
  client: TransactionClient,
  broker: Broker,
  load: { readonly records: number; readonly producers: number },
  quick: boolean,
): Promise<Sample> {
  const measureMs = quick ? MEASURE_MS / 10 : MEASURE_MS
  const { bootstrap } = broker
  const before = cpuSeconds(broker.pid)
  const shape = { bootstrap, topic: TOPIC, partitions: PARTITIONS, warmUpMs: WARM_UP_MS, measureMs }
  const sample = await client.run({ ...shape, ...load })
  // The warm-up counts with what the measured time had a second.
  const count = (sample.perSecond * (WARM_UP_MS + measureMs)) / 1000
  return { ...sample, cpuMs: ((cpuSeconds(broker.pid) - before) * 1000) / count }
}

async function all(options: Options, brokers: Brokers): Promise<Section[]> {
  const sections: Section[] = []
  for (const { name, peer, classPath } of protocols) {
    const subjects = ['odradek', peer].filter((subject) => subject in brokers)
    const titled = settings.map((load) => {
      const producers = load.producers === 1 ? '' : `, ${load.producers} producers`
      return { load, title: `${name}, ${load.records} record${load.records > 1 ? 's' : ''}${producers}` }
    })
    if (!titled.some(({ title }) => wanted(options, title))) continue
    const client = startTransactionClient(classPath())
    try {
      // The client's and the brokers' own cold state are not the question here.
      if (!options.quick)
        for (const producers of [1, 8, 1, 8])
          for (const subject of subjects)
            await measureOnce(client, brokers[subject], { records: 10, producers }, false)
      for (const { load, title } of titled) {
        if (!wanted(options, title)) continue
        const series = await measureAll(options, title, {
          subjects,
          measure: (subject) => measureOnce(client, brokers[subject], load, options.quick),
        })
        const expectations: Expectation[] = [
          { metric: 'perSecond', against: peer, direction: 'at least', value: 1 },
          { metric: 'p99', against: peer, direction: 'at most', value: 1 },
        ]
        sections.push({ title, setting: { ...load, partitions: PARTITIONS }, metrics, expectations, series })
      }
    } finally {
      await client.stop()
    }
  }
  return sections
}

async function measure(options: Options): Promise<Section[]> {
  const work = workDirectory(options.data)
  const isIn = (subject: string) => !options.without.includes(subject)
  const zookeeper = isIn('kafka') ? await startZooKeeper(join(work.path, 'zookeeper')) : undefined
  const brokers: Record<string, Broker> = {}
  const directoryOf = (subject: string) => join(work.path, subject)
  try {
    if (isIn('odradek')) brokers.odradek = await startOdradek(directoryOf('odradek'))
    if (zookeeper) brokers.kafka = await startKafka(directoryOf('kafka'), zookeeper, 'transactions')
    if (isIn('kafka-4.1')) brokers['kafka-4.1'] = await startKafka41(directoryOf('kafka-4.1'))
    for (const { port } of Object.values(brokers))
      await withWire(port, (wire) => createTopic(wire, TOPIC, PARTITIONS))
    return await all(options, brokers)
  } finally {
    await Promise.all(Object.values(brokers).map((broker) => broker.stop('SIGKILL')))
    await zookeeper?.stop()
    work.remove()
  }
}

await runBenchmark(
  'transactions',
  [
    'kafka is 3.9.1 in ZooKeeper mode, kafka-4.1 is 4.1.1 in KRaft mode. Which protocol is spoken is the client’s and the broker’s choice: ' +
      'the client of 3.9.1 knows version 1 alone; that of 4.1.1 takes version 2 where the broker has it.',
    'Kafka’s own producer, linger.ms 0, values of 100 B, in turn to the partitions; one transaction after the other for each producer.',
    `A run is ${WARM_UP_MS} ms of warm-up and ${MEASURE_MS} ms that count, with new producers in a JVM that stays. The time is from beginTransaction to the return of commitTransaction.`,
  ],
  measure,
)
