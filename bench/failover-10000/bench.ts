/** What 10,000 partitions cost a controller: bench/failover's last section, ten times as large, in a report of its own. */
import { manyTitle, measureMany } from '../failover/thousand.ts'
import { withEnsemble, withSubjects } from '../failover/subjects.ts'
import { SESSION_TIMEOUT_MS } from '../lab/cluster.ts'
import { runBenchmark, wanted } from '../lab/session.ts'

const PARTITIONS = 10_000
/** Gaps are of seconds; brokers with so many partitions have something else to do. */
const RECORD_INTERVAL_MS = 20

await runBenchmark(
  'failover-10000',
  [
    `Three brokers each on the same ensemble of three, zookeeper.session.timeout.ms ${SESSION_TIMEOUT_MS}; the topic has replication factor 3.`,
    `The client is that of bench/failover, but it sends a record each ${RECORD_INTERVAL_MS} ms.`,
    'Only the cluster that is measured has a client at work; the other one is idle meanwhile.',
  ],
  (options) =>
    withEnsemble(options, async (place) => {
      if (!wanted(options, manyTitle(PARTITIONS))) return []
      return withSubjects(
        options,
        { ...place, intervalMs: RECORD_INTERVAL_MS },
        undefined,
        async (subjects) => [await measureMany(options, subjects, place.ensemble, PARTITIONS)],
      )
    }),
  1,
)
