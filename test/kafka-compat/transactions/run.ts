/** One round: topics, clients of transactions under way, faults, then peace, and a verdict over all that was seen. */
import { createWriteStream, type WriteStream } from 'node:fs'
import { join } from 'node:path'
import { bundle } from '../../../scripts/bundle.js'
import { compiledProgram } from '../harness/c-program.ts'
import { eventually, eventuallyAsMoreComes } from '../harness/conditions.ts'
import { javaArguments } from '../harness/java.ts'
import { kafkajsClient, patient } from '../harness/kafkajs-client.ts'
import { cache, repository } from '../harness/paths.ts'
import { TransactionChecker, type FinalLogs, type Verdict } from './checker.ts'
import { Family, type LoadOptions } from './family.ts'
import { readCommitted, readLogs } from './final-logs.ts'
import { topicOf } from './group-history.ts'
import type { Logs, Observation } from './history.ts'

export const familyNames = ['java', 'rdkafka', 'kafkajs'] as const
export type FamilyName = (typeof familyNames)[number]

export interface RoundPlan extends Omit<LoadOptions, 'bootstrap'> {
  families: readonly FamilyName[]
  /** All that the clients say goes there, and the logs behind it: `committed PARTITION OFFSET TRANSACTION INDEX`, and `all`. */
  historyFile: string
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
/** A transaction that was left open ends after 10 s, and a busy machine takes its time. */
const PROGRESS_LIMIT_MS = 120_000

export class Round {
  readonly families: readonly Family[]
  readonly checker: TransactionChecker

  /** By family and whether it writes or transforms, as `RoundResult.committedBy`: so far. */
  readonly #committed: ReadonlyMap<string, number>

  constructor(
    families: readonly Family[],
    checker: TransactionChecker,
    committed: ReadonlyMap<string, number>,
  ) {
    this.families = families
    this.checker = checker
    this.#committed = committed
  }

  /** Resolves when each family has committed more than before, of both kinds. */
  async untilGoesOn(): Promise<void> {
    const before = new Map(this.#committed)
    const kinds = this.families.flatMap(({ name }) => [`${name}-w`, `${name}-x`])
    await eventually(
      'each family goes on',
      () => {
        this.assertAlive()
        return kinds.every((kind) => (this.#committed.get(kind) ?? 0) > (before.get(kind) ?? 0))
      },
      PROGRESS_LIMIT_MS,
    )
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
  const committed = new Map<string, number>()
  const history = createWriteStream(plan.historyFile)
  const hear = (seen: Observation, line: string): void => {
    history.write(`${line}\n`)
    checker.observe(seen)
    if (seen.kind !== 'committed') return
    const kind = kindOf(seen.transaction)
    committed.set(kind, (committed.get(kind) ?? 0) + 1)
  }
  const families = await Promise.all(
    plan.families.map(async (name) => new Family(name, await commandOf(name), options, hear)),
  )
  const run = new Round(families, checker, committed)
  try {
    for (const family of families) family.start()
    await Promise.all(families.map((family) => family.untilInitialised()))
    await plan.during(run)
    await Promise.all(families.map((family) => family.stopWriting()))
    await untilDrained(cluster, plan, run, groups)
    await Promise.all(families.map((family) => family.stop()))
    const logs = await readLogs(cluster.bootstrap, topics)
    writeLogs(history, logs)
    const verdict = checker.finish(logs)
    return {
      ...verdict,
      ...figuresOf(checker, logs),
      committedBy: Object.fromEntries(committed),
      elapsedMs: Math.round(performance.now() - begunMs),
    }
  } finally {
    await Promise.all(families.map((family) => family.killAll()))
    await new Promise<void>((resolve) => history.end(resolve))
  }
}

function writeLogs(history: WriteStream, logs: FinalLogs): void {
  for (const [name, partitions] of Object.entries(logs) as [string, Logs][]) {
    for (const [partition, records] of partitions) {
      for (const { offset, transaction, index } of records) {
        history.write(`${name} ${partition} ${offset} ${transaction} ${index}\n`)
      }
    }
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

/** `java-w` of `java-w0/1.0/5`. */
function kindOf(transaction: string): string {
  return transaction.slice(0, transaction.indexOf('/')).replace(/\d+$/, '')
}

/** Bundled as scripts/run-bundled.js bundles the long run: Node reads no TypeScript. */
async function bundledProgram(): Promise<string> {
  const outfile = join(cache, 'transactions', `kafkajs-program.${process.pid}.mjs`)
  await bundle({
    entryPoints: [join(repository, 'test/kafka-compat/transactions/kafkajs-program.ts')],
    outfile,
  })
  return outfile
}

function figuresOf(
  { transactions, polled }: TransactionChecker,
  { all }: FinalLogs,
): Omit<RoundResult, keyof Verdict | 'elapsedMs' | 'committedBy'> {
  const { size, committed, aborted, ends } = transactions
  return {
    transactions: size,
    committed,
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
  const readInput = await readCommitted(cluster.bootstrap, `${round}-in`)
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
  await eventuallyAsMoreComes(
    'all that is committed is transformed',
    () => {
      for (const family of families) family.assertAlive()
      return transforming.every(isTransformed)
    },
    () => checker.transactions.committed,
    DRAIN_LIMIT_MS,
  ).catch((error: unknown) => {
    isLast = true
    console.log(String(error))
  })
  const output = await readCommitted(cluster.bootstrap, `${round}-out`)
  const logs = new Map([...readInput, ...output])
  const countRead = (group: string): number =>
    [...logs.keys()].reduce((sum, partition) => sum + checker.countRead(group, partition), 0)
  await eventuallyAsMoreComes(
    'all groups have read all',
    () => names.every((group) => isRead(logs, group)),
    () => names.reduce((sum, group) => sum + countRead(group), 0),
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
