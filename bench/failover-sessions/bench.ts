/**
 * Fifty losses of a leader by each fault of bench/failover that only a session tells of: SIGSTOP and a network cut. Both clusters
 * lose theirs side by side, which takes 40 minutes instead of 80. A kill is not among them: the brokers are behind proxies,
 * whose ports go on taking connections, and bench/failover has fifty of these.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Expectation, Section } from '../lab/report.ts'
import { quantile } from '../lab/statistics.ts'
import { runBenchmark, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { Cuts } from '../failover/cuts.ts'
import { freeze, networkCut } from '../failover/faults.ts'
import { lossesSection, loseLeader, victimOf } from '../failover/leader-lost.ts'
import type { Losses, Subject } from '../failover/leader-lost.ts'
import { SESSION_TIMEOUT_MS } from '../lab/cluster.ts'
import { bothCases } from '../failover/cases.ts'
import { withEnsemble, withSubjects } from '../failover/subjects.ts'
import type { Place } from '../failover/subjects.ts'

const LOSSES = 50

/**
 * A session ends a whole time-out after the last ping that was seen, at the next tick of the ensemble. One loss after the
 * other falls on the same moment between two pings unless chance has its part: a bench would measure that moment.
 */
const PING_MS = SESSION_TIMEOUT_MS / 3

/** Gaps are of seconds, and both clients are at work all the time: four times that of bench/failover. */
const RECORD_INTERVAL_MS = 20

const bars: readonly Expectation[] = [{ metric: 'p50', against: 'kafka', direction: 'at most', value: 1 }]

async function measureTogether(
  options: Options,
  subjects: Readonly<Record<string, Subject>>,
  losses: Losses,
): Promise<Section> {
  const every: Record<string, number[]> = {}
  const backAfter: Record<string, number[]> = {}
  const times = options.quick ? 2 : LOSSES
  for (let turn = 0; turn < times; turn++) {
    const lose = async ([name, subject]: [string, Subject]): Promise<void> => {
      await sleep(Math.random() * PING_MS)
      const victim = await victimOf(subject.cluster, losses.isController, turn)
      const { gapMs, backMs } = await loseLeader(subject, losses.fault, victim)
      ;(every[name] ??= []).push(gapMs)
      ;(backAfter[name] ??= []).push(backMs)
    }
    await Promise.all(Object.entries(subjects).map(lose))
    const soFar = Object.entries(every).map(([name, gaps]) => {
      return `${name} ${Math.round(gaps[turn])} ms (p50 ${Math.round(quantile(gaps, 0.5))})`
    })
    console.error(`${losses.title}: ${turn + 1} of ${times}: ${soFar.join(', ')}`)
  }
  return lossesSection(losses, every, backAfter)
}

async function all(options: Options, place: Place): Promise<Section[]> {
  const cuts = new Cuts()
  const cases = [freeze, networkCut(cuts)].flatMap((fault) => bothCases(fault, () => LOSSES, bars))
  const sections: Section[] = []
  try {
    await withSubjects(
      options,
      place,
      (kind) => cuts.detour(kind),
      async (subjects) => {
        for (const { client } of Object.values(subjects)) {
          client.resume()
          await client.untilSteady()
        }
        for (const each of cases.filter(({ title }) => wanted(options, title)))
          sections.push(await measureTogether(options, subjects, each))
      },
    )
  } finally {
    cuts.close()
  }
  return sections
}

await runBenchmark(
  'failover-sessions',
  [
    `Three brokers each on the same ensemble of three, behind proxies, zookeeper.session.timeout.ms ${SESSION_TIMEOUT_MS}; both clusters lose a leader at the same time, both clients at work.`,
    `The client and its gap are those of bench/failover, but it sends a record each ${RECORD_INTERVAL_MS} ms.`,
    'Each loss comes after a random time of up to a third of a session, which is the time from one ping to the next.',
    'A cut broker is reached by nobody and does not reach the ensemble (proxies that fall silent, also to new connections).',
  ],
  (options) => withEnsemble(options, (place) => all(options, { ...place, intervalMs: RECORD_INTERVAL_MS })),
  1,
)
