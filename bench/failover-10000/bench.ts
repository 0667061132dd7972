/** What 10,000 partitions cost a controller: bench/failover's last section, ten times as large, in a report of its own. */
import { manyTitle, measureMany } from '../failover/thousand.ts'
import { withEnsemble, withSubjects } from '../failover/subjects.ts'
import { SESSION_TIMEOUT_MS } from '../lab/cluster.ts'
import { runBenchmark, wanted } from '../lab/session.ts'

const PARTITIONS = 10_000

await runBenchmark(
  'failover-10000',
  [
    `Three brokers each on the same ensemble of three, zookeeper.session.timeout.ms ${SESSION_TIMEOUT_MS}; the topic has replication factor 3.`,
    'Only the cluster that is measured has a client at work; the other one is idle meanwhile.',
  ],
  (options) =>
    withEnsemble(options, async (place) => {
      if (!wanted(options, manyTitle(PARTITIONS))) return []
      return withSubjects(options, place, undefined, async (subjects) => [
        await measureMany(options, subjects, place.ensemble, PARTITIONS),
      ])
    }),
  1,
)
