/** What a client sees when the leader of its partition is lost, and what 1,000 partitions cost a controller. */
import { SESSION_TIMEOUT_MS } from '../lab/cluster.ts'
import type { Kind } from '../lab/cluster.ts'
import { INTERVAL_MS, clientSettings } from '../lab/gap-client.ts'
import type { Expectation, Section } from '../lab/report.ts'
import { runBenchmark, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { bothCases } from './cases.ts'
import { Cuts } from './cuts.ts'
import { freeze, kill, networkCut } from './faults.ts'
import { measureLosses } from './leader-lost.ts'
import { withEnsemble, withSubjects } from './subjects.ts'
import type { Place } from './subjects.ts'
import { manyTitle, measureMany } from './thousand.ts'

/** Kafka's session must end before anything happens, 9 to 15 s each time: it is killed less often. */
const ROUNDS = 3
const KILLS: Record<Kind, number> = { odradek: 17, kafka: 1 }
const MANY_PARTITIONS = 1000

const killBars: readonly Expectation[] = [{ metric: 'p99', direction: 'at most', value: 250 }]
const sessionBars: readonly Expectation[] = [
  { metric: 'p50', against: 'kafka', direction: 'at most', value: 1 },
]

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
  const manyWanted = wanted(options, manyTitle(MANY_PARTITIONS))
  const directWanted = direct.filter(({ title }) => wanted(options, title))
  if (directWanted.length > 0 || manyWanted)
    await withSubjects(options, place, undefined, async (subjects) => {
      for (const losses of directWanted) {
        const often = losses.fault === kill ? options : seldom(options)
        sections.push(await measureLosses(often, subjects, losses))
      }
      if (manyWanted)
        sections.push(await measureMany(seldom(options), subjects, place.ensemble, MANY_PARTITIONS))
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
  (options) => withEnsemble(options, (place) => all(options, place)),
  ROUNDS,
)
