/** From process start to ready, to the first record consumed through a group, and the memory of the idle broker then. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startKafka, startOdradek, startZooKeeper, workDirectory } from '../lab/brokers.ts'
import type { Broker } from '../lab/brokers.ts'
import { memory, runClient } from '../lab/process.ts'
import type { Output } from '../lab/process.ts'
import type { Section } from '../lab/report.ts'
import { measureAll, runBenchmark, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { kcat } from '../lab/tools.ts'
import { createTopic, withWire } from '../lab/wire.ts'

const SUBJECTS = ['odradek', 'kafka']
const TOPIC = 'greetings'
const SETTLE_MS = 1000

type StartIn = (subject: string, directory: string) => Promise<Broker>

/** `kcat -G GROUP TOPIC -c 1`: one record through a group that nobody used before. */
function readOne(broker: Broker, group: string): Promise<Output> {
  const bootstrap = `127.0.0.1:${broker.port}`
  const earliest = ['-X', 'auto.offset.reset=earliest']
  return runClient(kcat(), ['-b', bootstrap, '-q', ...earliest, '-c', '1', '-G', group, TOPIC])
}

/** A directory that a broker has used: one topic with one record, read once through a group, stopped cleanly. */
async function prepare(broker: Broker): Promise<void> {
  await withWire(broker.port, (wire) => createTopic(wire, TOPIC, 1))
  await runClient(kcat(), ['-b', `127.0.0.1:${broker.port}`, '-q', '-P', '-t', TOPIC], 'hello\n')
  await readOne(broker, 'preparation')
  await broker.stop()
}

async function used(options: Options, startIn: StartIn): Promise<Section[]> {
  const title = 'start on a directory in use'
  if (!wanted(options, title)) return []
  for (const subject of SUBJECTS.filter((name) => !options.without.includes(name)))
    await prepare(await startIn(subject, 'used'))
  const series = await measureAll(options, title, {
    subjects: SUBJECTS,
    measure: async (subject, round) => {
      const broker = await startIn(subject, 'used')
      const kcatFrom = performance.now()
      const { stdout, firstOutputAt } = await readOne(broker, `group-${round}`)
      if (stdout !== 'hello\n') throw new Error(`kcat printed ${JSON.stringify(stdout)}`)
      const firstRecordMs = firstOutputAt - broker.spawnedAt
      await sleep(SETTLE_MS)
      const { rssMb, pssMb } = memory(broker.pid)
      const stopFrom = performance.now()
      await broker.stop()
      const stopMs = performance.now() - stopFrom
      return {
        readyMs: broker.readyMs,
        firstRecordMs,
        kcatMs: firstOutputAt - kcatFrom,
        rssMb,
        pssMb,
        stopMs,
      }
    },
  })
  return [
    {
      title,
      setting: { topics: 1, 'offsets partitions': 'as the broker makes them' },
      metrics: [
        { name: 'readyMs', label: 'process start to ready', unit: 'ms' },
        { name: 'firstRecordMs', label: 'process start to first group record', unit: 'ms' },
        { name: 'kcatMs', label: 'of which kcat, from its own start', unit: 'ms' },
        { name: 'rssMb', label: 'resident memory, idle after that', unit: 'MB' },
        { name: 'pssMb', label: 'proportional memory, idle after that', unit: 'MB' },
        { name: 'stopMs', label: 'SIGTERM to gone', unit: 'ms' },
      ],
      expectations: [
        { metric: 'readyMs', direction: 'at most', value: 120 },
        { metric: 'firstRecordMs', direction: 'at most', value: 300 },
        { metric: 'rssMb', direction: 'at most', value: 80 },
        { metric: 'stopMs', direction: 'at most', value: 1000 },
      ],
      series,
    },
  ]
}

async function empty(options: Options, startIn: StartIn, directory: string): Promise<Section[]> {
  const title = 'start on an empty directory'
  if (!wanted(options, title)) return []
  const series = await measureAll(options, title, {
    subjects: SUBJECTS,
    measure: async (subject, round) => {
      const broker = await startIn(subject, `empty-${round}`)
      await broker.stop('SIGKILL')
      rmSync(join(directory, `${subject}-empty-${round}`), { recursive: true, force: true })
      return { readyMs: broker.readyMs }
    },
  })
  const metrics = [{ name: 'readyMs', label: 'process start to ready', unit: 'ms' }]
  const expectations = [{ metric: 'readyMs', direction: 'at most', value: 120 } as const]
  return [{ title, setting: {}, metrics, expectations, series }]
}

async function measure(options: Options): Promise<Section[]> {
  const work = workDirectory(options.data)
  const zookeeper = options.without.includes('kafka')
    ? undefined
    : await startZooKeeper(join(work.path, 'zookeeper'))
  const startIn: StartIn = (subject, name) => {
    const directory = join(work.path, `${subject}-${name}`)
    return subject === 'kafka' ? startKafka(directory, zookeeper!, name) : startOdradek(directory)
  }
  try {
    return [...(await used(options, startIn)), ...(await empty(options, startIn, work.path))]
  } finally {
    await zookeeper?.stop()
    work.remove()
  }
}

await runBenchmark(
  'start',
  [
    'Ready: the broker’s own line that says so, seen by the process that spawned it. Kafka’s ZooKeeper is up before.',
    'First group record: from spawning the broker to kcat having printed the record of a topic that was there before; ' +
      'kcat starts when the broker is ready.',
    `Memory: ${SETTLE_MS} ms after kcat is gone.`,
  ],
  measure,
)
