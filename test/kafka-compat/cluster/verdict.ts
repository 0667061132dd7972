/** What is said of a topic when all is quiet again: read it to its end, judge what was seen, compare the replicas. */
import type { Cluster } from '../harness/cluster.ts'
import type { ClusterMember } from '../harness/cluster-member.ts'
import { eventually, eventuallyAsMoreComes, pause } from '../harness/conditions.ts'
import { kcat } from '../harness/kcat.ts'
import type { Anomaly, HistoryChecker, LogRecord } from './checker.ts'
import type { ClusterView } from './cluster-view.ts'
import { groups, producers, type Load } from './load.ts'
import { differenceBelow, endOffsetOf, readReplica } from './replica-files.ts'

/** A cluster, and where the test finds its files. */
export interface Judged {
  readonly cluster: Cluster
  readonly view: ClusterView
  readonly logDirOf: (member: ClusterMember) => string
}

export interface Verdict {
  anomalies: Anomaly[]
  anomalyCounts: Record<string, number>
  /** Partitions whose replicas are not equal in the end, and how. */
  differences: string[]
  /** By producer. */
  acknowledged: Record<string, number>
  /** Records that a client gave up: whether they are in the log is open. */
  failed: number
  polled: number
  committed: number
  recordsInLog: number
  partitionsCompared: number
}

const CONVERGENCE_LIMIT_MS = 120_000

/** Waits until all replicas are in sync, stops the load, reads the topic and the files, and judges. */
export async function judge(
  judged: Judged,
  topic: string,
  load: Load,
  checker: HistoryChecker,
): Promise<Verdict> {
  await untilConverged(judged)
  await withLimit('all that was sent is acknowledged', load.stopProducing())
  const logs = await readLogs(judged, topic)
  await untilAllRead(checker, logs)
  await load.stop()
  const anomalies = checker.finish(logs)
  return {
    anomalies,
    anomalyCounts: checker.counts(),
    ...(await compareReplicas(judged, topic, logs)),
    acknowledged: Object.fromEntries(producers.map((name) => [name, load.acknowledged(name)])),
    failed: checker.failed,
    polled: checker.polled,
    committed: checker.committed,
    recordsInLog: [...logs.values()].reduce((sum, { length }) => sum + length, 0),
  }
}

/** All brokers registered, every partition led, and all replicas in sync. */
export async function untilConverged({ view, cluster }: Judged): Promise<void> {
  await eventually(
    'all replicas are in sync after the faults',
    async () => {
      const [ids, partitions] = [await view.brokerIds(), await view.partitions()]
      const isWhole = partitions.every(({ leader, isr }) => leader >= 0 && isr.length === 3)
      return ids.length === cluster.members.length && isWhole
    },
    CONVERGENCE_LIMIT_MS,
  ).catch(async (error: unknown) => {
    const left = (await view.partitions()).filter(({ leader, isr }) => leader < 0 || isr.length < 3)
    throw new Error(`not in sync: ${JSON.stringify(left)}, brokers ${await view.brokerIds()}`, {
      cause: error,
    })
  })
}

async function withLimit(what: string, promise: Promise<unknown>): Promise<void> {
  const late = Symbol('late')
  const outcome = await Promise.race([promise, pause(CONVERGENCE_LIMIT_MS).then(() => late)])
  if (outcome === late) throw new Error(`not within ${CONVERGENCE_LIMIT_MS} ms: ${what}`)
}

/** By librdkafka, up to the high watermark, with its checksums checked. */
async function readLogs({ cluster }: Judged, topic: string): Promise<Map<number, LogRecord[]>> {
  const format = ['-o', 'beginning', '-e', '-q', '-X', 'check.crcs=true', '-f', '%p %o %s\n']
  const printed = await kcat(cluster.bootstrap, ['-C', '-t', topic, ...format])
  const logs = new Map<number, LogRecord[]>()
  for (const line of printed.split('\n')) {
    if (line === '') continue
    const [partition, offset, producer, sequence] = line.split(' ', 4)
    const log = logs.get(Number(partition)) ?? []
    log.push({ offset: Number(offset), producer, sequence: Number(sequence) })
    logs.set(Number(partition), log)
  }
  return logs
}

/** Groups are given time to read to the end; what they have not read then is the checker's affair. */
async function untilAllRead(checker: HistoryChecker, logs: Map<number, LogRecord[]>): Promise<void> {
  const names = new Set(Object.values(groups))
  const isRead = (): boolean =>
    [...logs].every(([partition, { length }]) =>
      [...names].every((group) => checker.countRead(group, partition) >= length),
    )
  const countRead = (group: string): number =>
    [...logs.keys()].reduce((sum, partition) => sum + checker.countRead(group, partition), 0)
  const count = (): number => [...names].reduce((sum, group) => sum + countRead(group), 0)
  await eventuallyAsMoreComes('all groups have read all', isRead, count, 60_000).catch(console.error)
}

/** Of the round's topic below its high watermark; of the internal topics, which nobody reads, to their common end. */
async function compareReplicas(
  { cluster, view, logDirOf }: Judged,
  topic: string,
  logs: Map<number, LogRecord[]>,
): Promise<{ differences: string[]; partitionsCompared: number }> {
  const differences: string[] = []
  let partitionsCompared = 0
  for (const each of await view.partitions()) {
    const isInternal = each.topic.startsWith('__')
    if (!isInternal && each.topic !== topic) continue
    const read = (): Map<number, Buffer> =>
      new Map(
        cluster.members.map((member) => {
          return [member.brokerId, readReplica(logDirOf(member), each.topic, each.partition)]
        }),
      )
    const replicas = read()
    const highWatermark = isInternal
      ? Math.min(...[...replicas.values()].map(endOffsetOf))
      : (logs.get(each.partition)?.at(-1)?.offset ?? -1) + 1
    if (highWatermark === 0) continue
    partitionsCompared++
    const difference = differenceBelow(replicas, highWatermark)
    if (difference !== null) differences.push(`${each.topic}-${each.partition}: ${difference}`)
  }
  return { differences, partitionsCompared }
}
