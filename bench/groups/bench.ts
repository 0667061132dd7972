/** Groups: time to form, offset commits per second, and what a coordinator needs to load a million of them. */
import { join } from 'node:path'
import { startKafka, startOdradek, startZooKeeper, workDirectory } from '../lab/brokers.ts'
import type { Broker } from '../lab/brokers.ts'
import type { Sample } from '../lab/interleave.ts'
import { startKafka41 } from '../lab/kafka41.ts'
import { cpuSeconds, runClient } from '../lab/process.ts'
import type { Expectation, Metric, Section } from '../lab/report.ts'
import { measureAll, runBenchmark, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { cache } from '../lab/tools.ts'
import { createTopic, untilCoordinated, withWire } from '../lab/wire.ts'
import type { Load } from './load.ts'
import { loading, loadingSettings } from './loading.ts'

const CLASSIC = ['odradek', 'kafka']
const CONSUMER = ['odradek', 'kafka-4.1']
const ALL = ['odradek', 'kafka', 'kafka-4.1']
const SIZES = [3, 50, 500]
/** A round of everything takes a minute and a half. */
const ROUNDS = 5
const INITIAL_DELAY_MS = 3000
/** From the answer to one heartbeat to the next: so often that a rebalance is heard of at once. */
const heartbeatMsOf = (members: number) => Math.max(1, members / 10)
const COMMIT_CONNECTIONS = 8
const COMMITTED_PARTITIONS = 100

type Brokers = Readonly<Record<string, Broker>>

const topicOf = (members: number) => `topic-${members}`

/** A group of the new protocol may be larger than Kafka's default is. */
const settings = ['group.consumer.max.size=1000', 'offsets.topic.num.partitions=4']
const delayed = [...settings, `group.initial.rebalance.delay.ms=${INITIAL_DELAY_MS}`]

async function runLoad(load: Load): Promise<Sample> {
  const program = join(cache, 'bench', 'group-load.mjs')
  return JSON.parse((await runClient(process.execPath, [program, JSON.stringify(load)])).stdout) as Sample
}

let groups = 0

async function form(
  broker: Broker,
  members: number,
  protocol: 'classic' | 'consumer',
  oneMore = true,
): Promise<Sample> {
  const before = cpuSeconds(broker.pid)
  const sample = await runLoad({
    mode: 'formation',
    port: broker.port,
    protocol,
    members,
    oneMore,
    groupId: `group-${++groups}`,
    topic: topicOf(members),
    // One more member may come, and each has something to do.
    partitions: 2 * members,
    heartbeatMs: heartbeatMsOf(members),
  })
  return { ...sample, cpuMs: (cpuSeconds(broker.pid) - before) * 1000 }
}

const formationMetrics: readonly Metric[] = [
  { name: 'formMs', label: 'last join to all assigned', unit: 'ms' },
  { name: 'oneMoreMs', label: 'one more joins: to all assigned', unit: 'ms' },
  { name: 'cpuMs', label: 'broker CPU for both, and for all to leave', unit: 'ms' },
]
const timed = ['formMs', 'oneMoreMs']

function atMost(metric: string, against: string): Expectation {
  return { metric, against, direction: 'at most', value: 1 }
}

async function formations(
  options: Options,
  brokers: Brokers,
  protocol: 'classic' | 'consumer',
): Promise<Section[]> {
  const sections: Section[] = []
  const subjects = (protocol === 'classic' ? CLASSIC : CONSUMER).filter((name) => name in brokers)
  const named = protocol === 'classic' ? 'classic, no initial delay' : 'consumer protocol (KIP-848)'
  for (const members of SIZES) {
    const title = `${named}, ${members} members`
    if (!wanted(options, title)) continue
    const series = await measureAll(options, title, {
      subjects,
      measure: (subject) => form(brokers[subject], members, protocol),
    })
    const setting = { partitions: 2 * members, 'ms between heartbeats': heartbeatMsOf(members) }
    const against = protocol === 'classic' ? 'kafka' : 'kafka-4.1'
    const expectations = timed.map((name) => atMost(name, against))
    sections.push({ title, setting, metrics: formationMetrics, expectations, series })
  }
  return sections
}

/** The three sizes beside each other, half a second apart: nearly all of it is waiting. */
async function delayedFormations(options: Options, brokers: Brokers): Promise<Section[]> {
  const title = `classic, initial delay of ${INITIAL_DELAY_MS} ms`
  if (!wanted(options, title)) return []
  const measure = async (subject: string): Promise<Sample> => {
    const formed = await Promise.all(
      SIZES.map(async (members, index) => {
        await new Promise((resolve) => setTimeout(resolve, 500 * index))
        return form(brokers[subject], members, 'classic', false)
      }),
    )
    return Object.fromEntries(SIZES.map((members, index) => [`formMs${members}`, formed[index].formMs]))
  }
  const subjects = CLASSIC.filter((name) => name in brokers)
  const series = await measureAll(options, title, { subjects, measure })
  const metrics = SIZES.map((members) => ({
    name: `formMs${members}`,
    label: `${members} members, last join to all assigned`,
    unit: 'ms',
  }))
  // All but milliseconds of it is the delay, twice (KIP-134), on both sides.
  const expectations = metrics.map(({ name }) => ({ ...atMost(name, 'kafka'), value: 1.01 }))
  return [{ title, setting: {}, metrics, expectations, series }]
}

const commitMetrics: readonly Metric[] = [
  { name: 'commits', label: 'OffsetCommit', unit: 'requests/s' },
  { name: 'offsets', label: 'offsets committed', unit: 'offsets/s' },
  { name: 'p50', label: 'OffsetCommit p50', unit: 'ms' },
  { name: 'p99', label: 'OffsetCommit p99', unit: 'ms' },
  { name: 'cpu', label: 'broker CPU', unit: 's per million offsets' },
]

async function commit(broker: Broker, partitions: number, quick: boolean): Promise<Sample> {
  const before = cpuSeconds(broker.pid)
  const { total, ...sample } = await runLoad({
    mode: 'commits',
    port: broker.port,
    groupId: `committers-${partitions}`,
    topic: topicOf(500),
    partitions,
    connections: COMMIT_CONNECTIONS,
    warmUpMs: 500,
    measureMs: quick ? 300 : 2000,
  })
  return { ...sample, cpu: (cpuSeconds(broker.pid) - before) / (total / 1e6) }
}

async function commits(options: Options, brokers: Brokers): Promise<Section[]> {
  const sections: Section[] = []
  const subjects = ALL.filter((name) => name in brokers)
  for (const partitions of [1, COMMITTED_PARTITIONS]) {
    const title = `OffsetCommit of ${partitions} partition${partitions > 1 ? 's' : ''}`
    if (!wanted(options, title)) continue
    const measure = (subject: string) => commit(brokers[subject], partitions, options.quick)
    // The first run against a JVM is its cold state, which is not the question here.
    if (!options.quick)
      await measureAll({ ...options, rounds: 1 }, `warm-up: ${title}`, { subjects, measure })
    const series = await measureAll(options, title, { subjects, measure })
    const setting = { connections: COMMIT_CONNECTIONS, 'requests under way on each': 1 }
    const expectations = ['kafka', 'kafka-4.1'].flatMap((against): Expectation[] => [
      { metric: 'commits', against, direction: 'at least', value: 1 },
      { metric: 'p99', against, direction: 'at most', value: 1 },
    ])
    sections.push({ title, setting, metrics: commitMetrics, expectations, series })
  }
  return sections
}

type Start = (subject: string, name: string, settings: readonly string[]) => Promise<Broker>

/** `use`, with brokers that have all topics, stopped afterwards. */
async function withBrokers<T>(
  start: (subject: string) => Promise<Broker>,
  subjects: readonly string[],
  use: (brokers: Brokers) => Promise<T>,
): Promise<T> {
  const brokers: Record<string, Broker> = {}
  try {
    for (const subject of subjects) {
      brokers[subject] = await start(subject)
      await withWire(brokers[subject].port, async (wire) => {
        for (const members of SIZES) await createTopic(wire, topicOf(members), 2 * members)
        await untilCoordinated(wire, 'group-0')
      })
      // All code has run before it is measured.
      for (const members of SIZES.slice(0, 2))
        for (const protocol of ['classic', 'consumer'] as const)
          if (protocol === 'classic' || subject !== 'kafka') await form(brokers[subject], members, protocol)
    }
    return await use(brokers)
  } finally {
    await Promise.all(Object.values(brokers).map((broker) => broker.stop('SIGKILL')))
  }
}

async function all(options: Options, start: Start, directory: string): Promise<Section[]> {
  const present = (subjects: readonly string[]) =>
    subjects.filter((subject) => !options.without.includes(subject))
  const sections = await withBrokers(
    (subject) => start(subject, 'groups', settings),
    present(ALL),
    async (brokers) => [
      ...(await formations(options, brokers, 'classic')),
      ...(await formations(options, brokers, 'consumer')),
      ...(await commits(options, brokers)),
    ],
  )
  const waiting = await withBrokers(
    (subject) => start(subject, 'delayed', delayed),
    present(CLASSIC),
    (brokers) => delayedFormations(options, brokers),
  )
  const startIn = (subject: string, name: string) => start(subject, name, loadingSettings)
  return [...sections, ...waiting, ...(await loading(options, present(ALL), startIn, directory))]
}

async function measure(options: Options): Promise<Section[]> {
  const work = workDirectory(options.data)
  const zookeeper = options.without.includes('kafka')
    ? undefined
    : await startZooKeeper(join(work.path, 'zookeeper'))
  const start: Start = (subject, name, own) => {
    const directory = join(work.path, `${subject}-${name}`)
    if (subject === 'kafka') return startKafka(directory, zookeeper!, name, own)
    if (subject === 'kafka-4.1') return startKafka41(directory, own)
    return startOdradek(directory, undefined, own, ['--log-level', 'info'])
  }
  try {
    return await all(options, start, work.path)
  } finally {
    await zookeeper?.stop()
    work.remove()
  }
}

await runBenchmark(
  'groups',
  [
    'kafka is 3.9.1 in ZooKeeper mode, kafka-4.1 is 4.1.1 in KRaft mode, which alone has the consumer protocol to compare with.',
    'Members are plain requests of one Node process over a connection each, the same for all brokers: five hundred Java consumers do not fit. ' +
      'They send the next heartbeat some milliseconds after the answer to the one before, so that a rebalance is heard of at once.',
    'All members join at once a group that is new; then one more joins. All assigned: every member has its part, in the same generation or epoch.',
    'Commits: from outside of any group, as admin clients do and consumers that assign themselves, each connection for a group of its own.',
    'A million offset records: the same segment for all; brokers stop cleanly before. The answer is OffsetFetch’s for the last group.',
  ],
  measure,
  ROUNDS,
)
