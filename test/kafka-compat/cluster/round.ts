/** One round: a topic, the load on it, faults, then peace, and a verdict over all that was seen. */
import { eventually, pause } from '../harness/conditions.ts'
import { kcat } from '../harness/kcat.ts'
import { kafkajsClient, patient } from '../harness/kafkajs-client.ts'
import { HistoryChecker, type Anomaly, type LogRecord } from './checker.ts'
import { FaultRun, type FaultPlan, type FaultTally } from './fault-run.ts'
import { groups, Load, producers } from './load.ts'
import type { Random } from './random.ts'
import { differenceBelow, endOffsetOf, readReplica } from './replica-files.ts'
import type { TestBed } from './test-bed.ts'

export interface RoundPlan extends FaultPlan {
  topic: string
  partitions: number
  recordsPerSecond: number
  /** Whether the faults go on, by their number so far and the time since they began. */
  goesOn(faults: number, elapsedMs: number): boolean
}

export interface RoundResult {
  anomalies: Anomaly[]
  anomalyCounts: Record<string, number>
  /** Partitions whose replicas are not equal in the end, and how. */
  differences: string[]
  faults: FaultTally
  faultCount: number
  diary: string[]
  acknowledged: Record<string, number>
  /** Records that a client gave up: whether they are in the log is open. */
  failed: number
  polled: number
  committed: number
  recordsInLog: number
  partitionsCompared: number
  /** Longest time without an acknowledgement to anybody. */
  longestGapMs: number
  elapsedMs: number
}

const CONVERGENCE_LIMIT_MS = 120_000

export async function runRound(bed: TestBed, random: Random, plan: RoundPlan): Promise<RoundResult> {
  await createTopic(bed, plan)
  const checker = new HistoryChecker(groups)
  const load = await Load.start({ ...plan, bootstrap: bed.cluster.bootstrap }, checker)
  const run = new FaultRun({ bed, load, random }, plan)
  try {
    await eventually('every producer is under way', () => {
      load.assertAlive()
      return producers.every((name) => load.acknowledged(name) > 20)
    })
    load.longestGapMs = 0
    const begunMs = performance.now()
    const elapsed = (): number => performance.now() - begunMs
    while (plan.goesOn(run.count, elapsed())) await run.episode()
    const elapsedMs = elapsed()
    const { longestGapMs } = load
    await untilConverged(bed)
    await withLimit('all that was sent is acknowledged', load.stopProducing())
    const logs = await readLogs(bed, plan)
    await untilAllRead(checker, logs)
    await load.stop()
    const anomalies = checker.finish(logs)
    const { differences, partitionsCompared } = await compareReplicas(bed, plan.topic, logs)
    return {
      anomalies,
      anomalyCounts: checker.counts(),
      differences,
      faults: run.tally,
      faultCount: run.count,
      diary: run.diary,
      acknowledged: Object.fromEntries(producers.map((name) => [name, load.acknowledged(name)])),
      failed: checker.failed,
      polled: checker.polled,
      committed: checker.committed,
      recordsInLog: [...logs.values()].reduce((sum, { length }) => sum + length, 0),
      partitionsCompared,
      longestGapMs: Math.round(longestGapMs),
      elapsedMs: Math.round(elapsedMs),
    }
  } catch (error) {
    const diary = run.diary.slice(-40).join('\n')
    throw new Error(`after ${run.count} faults:\n${diary}\n${String(error)}`, { cause: error })
  } finally {
    await load.stop()
  }
}

async function createTopic({ cluster }: TestBed, { topic, partitions }: RoundPlan): Promise<void> {
  const admin = kafkajsClient(cluster.bootstrap, { retry: patient }).admin()
  await admin.connect()
  await admin.createTopics({
    topics: [{ topic, numPartitions: partitions, replicationFactor: 3 }],
    waitForLeaders: true,
  })
  await admin.disconnect()
}

/** All brokers registered, every partition led, and all replicas in sync. */
async function untilConverged({ view, cluster }: TestBed): Promise<void> {
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
async function readLogs({ cluster }: TestBed, { topic }: RoundPlan): Promise<Map<number, LogRecord[]>> {
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
  await eventually('all groups have read all', isRead, 60_000).catch(() => undefined)
}

/** Of the round's topic below its high watermark; of the internal topics, which nobody reads, to their common end. */
async function compareReplicas(
  bed: TestBed,
  topic: string,
  logs: Map<number, LogRecord[]>,
): Promise<{ differences: string[]; partitionsCompared: number }> {
  const differences: string[] = []
  let partitionsCompared = 0
  for (const each of await bed.view.partitions()) {
    const isInternal = each.topic.startsWith('__')
    if (!isInternal && each.topic !== topic) continue
    const read = (): Map<number, Buffer> =>
      new Map(
        bed.cluster.members.map((member) => {
          return [member.brokerId, readReplica(bed.logDirOf(member), each.topic, each.partition)]
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
