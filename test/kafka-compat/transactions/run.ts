/** One round: topics, clients of transactions under way, faults, then peace, and a verdict over all that was seen. */
import { join } from 'node:path'
import { build } from 'esbuild'
import { compiledProgram } from '../harness/c-program.ts'
import { eventually } from '../harness/conditions.ts'
import { javaArguments } from '../harness/java.ts'
import { kafkajsClient, patient } from '../harness/kafkajs-client.ts'
import { kcat } from '../harness/kcat.ts'
import { cache, repository } from '../harness/paths.ts'
import { TransactionChecker, type FinalLogs, type Verdict } from './checker.ts'
import { Family, type LoadOptions } from './family.ts'
import { topicOf } from './group-history.ts'
import type { LogRecord, Logs, Observation } from './history.ts'

export const familyNames = ['java', 'rdkafka', 'kafkajs'] as const
export type FamilyName = (typeof familyNames)[number]

export interface RoundPlan extends Omit<LoadOptions, 'bootstrap'> {
  families: readonly FamilyName[]
  /** Called when all clients are under way; the writers end when it resolves. */
  during(run: Round): Promise<void>
}

export interface RoundResult extends Verdict {
  transactions: number
  committed: number
  /** By family and whether it writes or transforms: `java-w`, `java-x`. */
  committedBy: Record<string, number>
  aborted: number
  /** Whose end their client does not know: it was killed, fenced, or given no answer. */
  open: number
  polled: number
  records: number
  /** Instances that were fenced or given up, by error. */
  ends: Record<string, number>
  elapsedMs: number
}

/** A cluster, or as much of it as a round asks for. */
export interface Brokers {
  readonly bootstrap: string
  readonly members: { readonly length: number }
}

const DRAIN_LIMIT_MS = 120_000

export class Round {
  readonly families: readonly Family[]
  readonly checker: TransactionChecker

  constructor(families: readonly Family[], checker: TransactionChecker) {
    this.families = families
    this.checker = checker
  }

  assertAlive(): void {
    for (const family of this.families) family.assertAlive()
  }
}

export async function runRound(cluster: Brokers, plan: RoundPlan): Promise<RoundResult> {
  const begunMs = performance.now()
  await createTopics(cluster, plan)
  const { round } = plan
  const topics = [`${round}-in`, `${round}-out`]
  const groups = Object.fromEntries(
    plan.families.flatMap((name) => [
      [`${name}-reader`, topics],
      [`${name}-transform`, [topics[0]]],
    ]),
  )
  const transforming = plan.families.map((name) => `${name}-transform`)
  const checker = new TransactionChecker({ groups, transforming })
  const options = { ...plan, bootstrap: cluster.bootstrap }
  const observe = (seen: Observation): void => checker.observe(seen)
  const families = await Promise.all(
    plan.families.map(async (name) => new Family(name, await commandOf(name), options, observe)),
  )
  const run = new Round(families, checker)
  try {
    for (const family of families) family.start()
    await Promise.all(families.map((family) => family.untilInitialised()))
    await plan.during(run)
    await Promise.all(families.map((family) => family.stopWriting()))
    await untilDrained(cluster, plan, run, groups)
    await Promise.all(families.map((family) => family.stop()))
    const logs = await readLogs(cluster, topics)
    const verdict = checker.finish(logs)
    return { ...verdict, ...figuresOf(checker, logs), elapsedMs: Math.round(performance.now() - begunMs) }
  } finally {
    await Promise.all(families.map((family) => family.killAll()))
  }
}

async function commandOf(name: FamilyName): Promise<string[]> {
  switch (name) {
    case 'java':
      return ['java', ...(await javaArguments(256)), 'TransactionalLoad']
    case 'rdkafka':
      return [await compiledProgram('transactionalload', ['rdkafka', 'pthread'])]
    case 'kafkajs':
      return [process.execPath, await bundledProgram()]
  }
}

/** Bundled as scripts/run-faults.js bundles the long run: Node reads no TypeScript. */
async function bundledProgram(): Promise<string> {
  const outfile = join(cache, 'transactions', `kafkajs-program.${process.pid}.mjs`)
  await build({
    entryPoints: [join(repository, 'test/kafka-compat/transactions/kafkajs-program.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'warning',
  })
  return outfile
}

function figuresOf(
  { transactions, polled }: TransactionChecker,
  { all }: FinalLogs,
): Omit<RoundResult, keyof Verdict | 'elapsedMs'> {
  const { size, committed, aborted, ends } = transactions
  const committedBy: Record<string, number> = {}
  for (const { producer, committedUs } of transactions.all()) {
    const kind = producer.replace(/\d+$/, '')
    committedBy[kind] = (committedBy[kind] ?? 0) + (committedUs === null ? 0 : 1)
  }
  return {
    transactions: size,
    committed,
    committedBy,
    aborted,
    open: size - committed - aborted,
    polled,
    records: [...all.values()].reduce((sum, { length }) => sum + length, 0),
    ends: Object.fromEntries(ends),
  }
}

/** Groups are given time to read and transform all; what they have not then is the checker's affair. */
async function untilDrained(
  cluster: Brokers,
  { round }: RoundPlan,
  { checker, families }: Round,
  groups: Record<string, readonly string[]>,
): Promise<void> {
  let isLast = false
  const names = Object.keys(groups)
  const transforming = names.filter((name) => name.endsWith('-transform'))
  const readInput = await readCommitted(cluster, `${round}-in`)
  const isRead = (logs: Logs, group: string): boolean =>
    [...logs].every(
      ([partition, { length }]) =>
        !groups[group].includes(topicOf(partition)) || checker.countRead(group, partition) >= length,
    )
  const isTransformed = (group: string): boolean =>
    [...readInput].every(([partition, log]) => {
      const last = log.at(-1)
      return last === undefined || checker.committedOffset(group, partition) > last.offset
    })
  await eventually(
    'all that is committed is transformed',
    () => {
      for (const family of families) family.assertAlive()
      return transforming.every(isTransformed)
    },
    DRAIN_LIMIT_MS,
  ).catch((error: unknown) => {
    isLast = true
    console.log(String(error))
  })
  const output = await readCommitted(cluster, `${round}-out`)
  const logs = new Map([...readInput, ...output])
  await eventually(
    'all groups have read all',
    () => names.every((group) => isRead(logs, group)),
    isLast ? 5000 : DRAIN_LIMIT_MS,
  ).catch((error: unknown) => console.log(String(error)))
}

async function createTopics(cluster: Brokers, { round, partitions }: RoundPlan): Promise<void> {
  const admin = kafkajsClient(cluster.bootstrap, { retry: patient }).admin()
  await admin.connect()
  const replicationFactor = cluster.members.length
  const topics = ['in', 'out'].map((name) => ({
    topic: `${round}-${name}`,
    numPartitions: partitions,
    replicationFactor,
  }))
  await admin.createTopics({ topics, waitForLeaders: true })
  await admin.disconnect()
}

async function readLogs(cluster: Brokers, topics: readonly string[]): Promise<FinalLogs> {
  const both = await Promise.all(
    topics.map(async (topic) => ({
      all: await readAll(cluster, topic, 'read_uncommitted'),
      committed: await readCommitted(cluster, topic),
    })),
  )
  return {
    all: new Map(both.flatMap(({ all }) => [...all])),
    committed: new Map(both.flatMap(({ committed }) => [...committed])),
  }
}

function readCommitted(cluster: Brokers, topic: string): Promise<Logs> {
  return readAll(cluster, topic, 'read_committed')
}

/** By librdkafka, with its checksums checked. */
async function readAll(cluster: Brokers, topic: string, isolation: string): Promise<Logs> {
  const settings = ['-X', 'check.crcs=true', '-X', `isolation.level=${isolation}`]
  const format = ['-o', 'beginning', '-e', '-q', '-f', '%p %o %s\n']
  const printed = await kcat(cluster.bootstrap, ['-C', '-t', topic, ...settings, ...format])
  const logs = new Map<string, LogRecord[]>()
  for (const line of printed.split('\n')) {
    if (line === '') continue
    const [partition, offset, transaction, index] = line.split(' ', 4)
    const name = `${topic}-${partition}`
    const log = logs.get(name) ?? []
    logs.set(name, log)
    log.push({ offset: Number(offset), transaction, index: Number(index) })
  }
  return logs
}
