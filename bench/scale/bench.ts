/** A thousand partitions and a thousand connections: start time and memory. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startKafka, startOdradek, startZooKeeper, workDirectory } from '../lab/brokers.ts'
import type { Broker } from '../lab/brokers.ts'
import { memory } from '../lab/process.ts'
import type { Section } from '../lab/report.ts'
import { measureAll, runBenchmark } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { createTopic, leaders, untilLed, Wire, withWire } from '../lab/wire.ts'

const SUBJECTS = ['odradek', 'kafka']
const PARTITIONS = 1000
const CONNECTIONS = 1000
const SETTLE_MS = 1000

async function settled(broker: Broker): Promise<{ rssMb: number; pssMb: number }> {
  await sleep(SETTLE_MS)
  return memory(broker.pid)
}

/** Opens every connection and has a Metadata answered on each. */
async function connectAll(broker: Broker): Promise<Wire[]> {
  const wires = await Promise.all(Array.from({ length: CONNECTIONS }, () => Wire.open(broker.port)))
  await Promise.all(wires.map((wire) => leaders(wire, 'one')))
  return wires
}

async function round(broker: Broker): Promise<Record<string, number>> {
  await withWire(broker.port, (wire) => untilLed(wire, 'many', PARTITIONS))
  const ledMs = performance.now() - broker.spawnedAt
  const idle = await settled(broker)
  const from = performance.now()
  const wires = await connectAll(broker)
  const connectMs = performance.now() - from
  const connected = await settled(broker)
  for (const wire of wires) wire.close()
  const stopFrom = performance.now()
  await broker.stop()
  return {
    readyMs: broker.readyMs,
    ledMs,
    idleRss: idle.rssMb,
    idlePss: idle.pssMb,
    connectMs,
    connectedRss: connected.rssMb,
    connectedPss: connected.pssMb,
    stopMs: performance.now() - stopFrom,
  }
}

async function measure(options: Options): Promise<Section[]> {
  const work = workDirectory(options.data)
  const zookeeper = options.without.includes('kafka')
    ? undefined
    : await startZooKeeper(join(work.path, 'zookeeper'))
  const startOne = (subject: string) => {
    const directory = join(work.path, subject)
    return subject === 'kafka' ? startKafka(directory, zookeeper!, 'scale') : startOdradek(directory)
  }
  const title = `${PARTITIONS} partitions, ${CONNECTIONS} connections`
  try {
    const created = await measureAll({ ...options, rounds: 1 }, 'creating the topic', {
      subjects: SUBJECTS,
      measure: async (subject) => {
        const broker = await startOne(subject)
        const from = performance.now()
        await withWire(broker.port, async (wire) => {
          await createTopic(wire, 'many', PARTITIONS)
          await createTopic(wire, 'one', 1)
        })
        const createMs = performance.now() - from
        await broker.stop()
        return { createMs }
      },
    })
    const series = await measureAll(options, title, {
      subjects: SUBJECTS,
      measure: async (subject) => round(await startOne(subject)),
    })
    return [
      {
        title,
        setting: { topics: 2 },
        metrics: [
          { name: 'readyMs', label: 'process start to ready', unit: 'ms' },
          { name: 'ledMs', label: 'process start to all partitions led', unit: 'ms' },
          { name: 'idleRss', label: 'resident memory, no connection', unit: 'MB' },
          { name: 'idlePss', label: 'proportional memory, no connection', unit: 'MB' },
          { name: 'connectMs', label: 'opening all connections, a Metadata answered on each', unit: 'ms' },
          { name: 'connectedRss', label: 'resident memory, all connected', unit: 'MB' },
          { name: 'connectedPss', label: 'proportional memory, all connected', unit: 'MB' },
          { name: 'stopMs', label: 'SIGTERM to gone', unit: 'ms' },
        ],
        expectations: [],
        series,
      },
      {
        title: `creating a topic of ${PARTITIONS} partitions (once each, no series)`,
        setting: {},
        metrics: [{ name: 'createMs', label: 'request to all partitions led', unit: 'ms' }],
        expectations: [],
        series: created,
      },
    ]
  } finally {
    await zookeeper?.stop()
    work.remove()
  }
}

await runBenchmark(
  'scale',
  [
    'The topic is there before: every start is a restart after a clean stop. Kafka’s ZooKeeper is up before.',
    `Memory: ${SETTLE_MS} ms after the last partition is led, or the last connection answered.`,
  ],
  measure,
)
