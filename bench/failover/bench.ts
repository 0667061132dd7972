/** What a client sees when the leader of its partition is lost, and what 1,000 partitions cost a controller. */
import { join } from 'node:path'
import { workDirectory } from '../lab/brokers.ts'
import { BenchCluster, BROKER_IDS, SESSION_TIMEOUT_MS } from '../lab/cluster.ts'
import type { Detour, Kind } from '../lab/cluster.ts'
import { startEnsemble } from '../lab/ensemble.ts'
import type { Ensemble } from '../lab/ensemble.ts'
import { INTERVAL_MS, clientSettings, startGapClient } from '../lab/gap-client.ts'
import type { Expectation, Section } from '../lab/report.ts'
import { runBenchmark, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { Cuts } from './cuts.ts'
import { freeze, kill, networkCut } from './faults.ts'
import type { Fault } from './faults.ts'
import { measureLosses, replicasOfEach, TOPIC } from './leader-lost.ts'
import type { Losses, Subject } from './leader-lost.ts'
import { manyTitle, measureMany } from './thousand.ts'

/** Kafka's session must end before anything happens, 9 to 15 s each time: it is killed less often. */
const ROUNDS = 3
const KILLS: Record<Kind, number> = { odradek: 17, kafka: 1 }
const KINDS: readonly Kind[] = ['odradek', 'kafka']
const MANY_PARTITIONS = 1000
/** Takes some minutes for each kind: only by `--only '10,000 partitions'`. */
const VERY_MANY_PARTITIONS = 10_000

const killBars: readonly Expectation[] = [{ metric: 'p99', direction: 'at most', value: 250 }]
const sessionBars: readonly Expectation[] = [
  { metric: 'p50', against: 'kafka', direction: 'at most', value: 1 },
]

function bothCases(fault: Fault, perRound: (kind: Kind) => number, expectations: readonly Expectation[]) {
  return [false, true].map((isController): Losses => {
    const title = `${fault.name} of the leader, ${isController ? 'which is the controller' : 'not the controller'}`
    return { title, fault, isController, perRound, expectations }
  })
}

interface Place {
  readonly ensemble: Ensemble
  readonly directory: string
}

/** Both clusters with a client each, as long as `use` runs. */
async function withSubjects<T>(
  options: Options,
  { ensemble, directory }: Place,
  detourOf: ((kind: Kind) => Detour) | undefined,
  use: (subjects: Record<string, Subject>) => Promise<T>,
): Promise<T> {
  const subjects: Record<string, Subject> = {}
  const chrootEnd = detourOf === undefined ? '' : '-behind-proxies'
  try {
    for (const kind of KINDS.filter((each) => !options.without.includes(each))) {
      const chroot = kind + chrootEnd
      const place = { directory: join(directory, chroot), ensemble, chroot, detour: detourOf?.(kind) }
      const cluster = await BenchCluster.start(kind, place)
      await cluster.createTopic(TOPIC, replicasOfEach)
      const client = startGapClient(cluster.bootstrap, TOPIC, BROKER_IDS.length)
      subjects[kind] = { cluster, client }
      await client.untilSteady()
      client.pause()
    }
    return await use(subjects)
  } finally {
    for (const { client, cluster } of Object.values(subjects)) {
      await client.stop()
      await cluster.stopAll()
    }
  }
}

/** What waits for sessions, or for 1,000 partitions, is done once in three rounds. */
function seldom(options: Options): Options {
  return { ...options, rounds: Math.ceil(options.rounds / 3) }
}

async function all(options: Options, place: Place): Promise<Section[]> {
  const sections: Section[] = []
  const once = () => 1
  const direct = [
    ...bothCases(kill, (kind) => KILLS[kind], killBars),
    ...bothCases(freeze, once, sessionBars),
  ]
  const many = [MANY_PARTITIONS, VERY_MANY_PARTITIONS].filter((partitions) =>
    partitions === MANY_PARTITIONS
      ? wanted(options, manyTitle(partitions))
      : options.only.some((part) => manyTitle(partitions).includes(part) && part.includes('10,000')),
  )
  const directWanted = direct.filter(({ title }) => wanted(options, title))
  if (directWanted.length + many.length > 0)
    await withSubjects(options, place, undefined, async (subjects) => {
      for (const losses of directWanted) {
        const often = losses.fault === kill ? options : seldom(options)
        sections.push(await measureLosses(often, subjects, losses))
      }
      for (const partitions of many)
        sections.push(await measureMany(seldom(options), subjects, place.ensemble, partitions))
    })
  const cuts = new Cuts()
  const cutWanted = bothCases(networkCut(cuts), once, sessionBars).filter(({ title }) =>
    wanted(options, title),
  )
  try {
    if (cutWanted.length > 0)
      await withSubjects(
        options,
        place,
        (kind) => cuts.detour(kind),
        async (subjects) => {
          for (const losses of cutWanted)
            sections.push(await measureLosses(seldom(options), subjects, losses))
        },
      )
  } finally {
    cuts.close()
  }
  return sections
}

async function measure(options: Options): Promise<Section[]> {
  const work = workDirectory(options.data)
  const ensemble = await startEnsemble(join(work.path, 'zookeeper'))
  try {
    return await all(options, { ensemble, directory: work.path })
  } finally {
    await ensemble.stop()
    work.remove()
  }
}

await runBenchmark(
  'failover',
  [
    `Three brokers each on the same ensemble of three, zookeeper.session.timeout.ms ${SESSION_TIMEOUT_MS}; Kafka needs the session to end, so it loses fewer leaders.`,
    `The client is Java’s: a record to each partition every ${INTERVAL_MS} ms; ${Object.entries(
      clientSettings,
    )
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')}.`,
    'A gap is the longest time without an acknowledgement for the partition whose leader was lost. Replication factor 3, min.insync.replicas 2.',
    'Only the cluster that is measured has a client at work; the other one is idle meanwhile.',
    'What waits for sessions, or for 1,000 partitions, was done once in three rounds.',
    'A cut broker is reached by nobody and does not reach the ensemble (proxies that fall silent, also to new connections).',
  ],
  measure,
  ROUNDS,
)
