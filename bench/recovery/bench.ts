/** Start with a thousand partitions of ten segments: after a clean stop, after a kill, and after a kill without checkpoints. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startKafka, startOdradek, startZooKeeper, workDirectory } from '../lab/brokers.ts'
import type { Broker } from '../lab/brokers.ts'
import type { Sample } from '../lab/interleave.ts'
import { cpuSeconds, memory } from '../lab/process.ts'
import type { Section } from '../lab/report.ts'
import { segmentFiles, writeSegment } from '../lab/segment-files.ts'
import { measureAll, runBenchmark, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { createTopic, untilLed, withWire } from '../lab/wire.ts'

const SUBJECTS = ['odradek', 'kafka']
const TOPIC = 'many'
const PARTITIONS = 1000
const SEGMENTS = 10
/** 25 batches of about 4 KB: 100 KB a segment, 1 GB in all. */
const SHAPE = { batches: 25, recordsPerBatch: 4, valueBytes: 1000, indexIntervalBytes: 4096 }
const SETTLE_MS = 1000
/** A round of all three cases takes Kafka a minute. */
const ROUNDS = 3
const CHROOT = 'recovery'
/** A killed broker is known to ZooKeeper for so long, and cannot come back meanwhile. */
const kafkaSettings = ['zookeeper.session.timeout.ms=6000']

interface Lab {
  readonly partitions: number
  readonly directoryOf: (subject: string) => string
  readonly start: (subject: string) => Promise<Broker>
}

interface Case {
  readonly title: string
  readonly signal: NodeJS.Signals
  /** Nothing says what has been flushed: every segment is read from its start. */
  readonly withoutCheckpoints: boolean
}

const cases: Case[] = [
  { title: 'after a clean stop', signal: 'SIGTERM', withoutCheckpoints: false },
  { title: 'after kill -9, all flushed before', signal: 'SIGKILL', withoutCheckpoints: false },
  { title: 'after kill -9, no recovery point', signal: 'SIGKILL', withoutCheckpoints: true },
]

const metrics = [
  { name: 'readyMs', label: 'process start to ready', unit: 'ms' },
  { name: 'ledMs', label: 'process start to all partitions led', unit: 'ms' },
  { name: 'cpuMs', label: 'CPU until then', unit: 'ms' },
  { name: 'rssMb', label: 'resident memory, idle after that', unit: 'MB' },
]

/** Ten segments in each partition of a broker that has stopped. */
function fill(directory: string, partitions: number): void {
  const recordsPerSegment = SHAPE.batches * SHAPE.recordsPerBatch
  for (let segment = 0; segment < SEGMENTS; segment++) {
    const base = segment * recordsPerSegment
    const files = segmentFiles(base, SHAPE)
    for (let partition = 0; partition < partitions; partition++) {
      const path = join(directory, `${TOPIC}-${partition}`)
      mkdirSync(path, { recursive: true })
      writeSegment(path, base, files)
    }
  }
}

/** Every broker's checkpoints are its own: it has made the topic, met the segments, and stopped cleanly. */
async function prepare({ start, directoryOf, partitions }: Lab, subject: string): Promise<void> {
  const first = await start(subject)
  await withWire(first.port, (wire) => createTopic(wire, TOPIC, partitions))
  await first.stop()
  fill(directoryOf(subject), partitions)
  const second = await start(subject)
  await withWire(second.port, (wire) => untilLed(wire, TOPIC, partitions))
  await second.stop()
}

async function startOnce(lab: Lab, subject: string, { signal, withoutCheckpoints }: Case): Promise<Sample> {
  if (withoutCheckpoints)
    rmSync(join(lab.directoryOf(subject), 'recovery-point-offset-checkpoint'), { force: true })
  const broker = await lab.start(subject)
  await withWire(broker.port, (wire) => untilLed(wire, TOPIC, lab.partitions))
  const ledMs = performance.now() - broker.spawnedAt
  const cpuMs = cpuSeconds(broker.pid) * 1000
  await sleep(SETTLE_MS)
  const { rssMb } = memory(broker.pid)
  await broker.stop(signal)
  return { readyMs: broker.readyMs, ledMs, cpuMs, rssMb }
}

async function all(options: Options, lab: Lab): Promise<Section[]> {
  const subjects = SUBJECTS.filter((name) => !options.without.includes(name))
  for (const subject of subjects) await prepare(lab, subject)
  const sections: Section[] = []
  let stoppedBy: NodeJS.Signals = 'SIGTERM'
  for (const one of cases) {
    if (!wanted(options, one.title)) continue
    // Every start of a series finds what a start of the same series has left.
    if (one.signal !== stoppedBy) for (const subject of subjects) await startOnce(lab, subject, one)
    stoppedBy = one.signal
    const series = await measureAll(options, one.title, {
      subjects: SUBJECTS,
      measure: (subject) => startOnce(lab, subject, one),
    })
    const setting = { partitions: lab.partitions, 'segments in each': SEGMENTS, 'segment, KB': 100 }
    sections.push({ title: one.title, setting, metrics, expectations: [], series })
  }
  return sections
}

async function measure(options: Options): Promise<Section[]> {
  const work = workDirectory(options.data)
  const zookeeper = options.without.includes('kafka')
    ? undefined
    : await startZooKeeper(join(work.path, 'zookeeper'))
  const directoryOf = (subject: string) => join(work.path, subject)
  const start = async (subject: string): Promise<Broker> => {
    const directory = directoryOf(subject)
    if (subject !== 'kafka') return startOdradek(directory)
    await zookeeper!.untilForgotten(CHROOT)
    return startKafka(directory, zookeeper!, CHROOT, kafkaSettings)
  }
  try {
    return await all(options, {
      partitions: options.quick ? PARTITIONS / 10 : PARTITIONS,
      directoryOf,
      start,
    })
  } finally {
    await zookeeper?.stop()
    work.remove()
  }
}

await runBenchmark(
  'recovery',
  [
    'Kafka’s ZooKeeper is up before. The segments are the same bytes on both sides; the checkpoints are each broker’s own.',
    'Kill -9, all flushed before: the recovery point of every partition is its end; the last segment of each is read again.',
    'No recovery point: the checkpoint is removed before every start; all segments are read, checked and indexed anew.',
    `Memory: ${SETTLE_MS} ms after the last partition is led.`,
  ],
  measure,
  ROUNDS,
)
