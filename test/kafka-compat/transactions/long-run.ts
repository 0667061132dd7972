/**
 * The long run: rounds of so many transactions, each with topics of its own, on one cluster, until as many as wanted are
 * done; scripts/run-transactions.js starts it. Its figures go to bench/results/transactions-checked.{json,md}; it fails
 * at the first anomaly.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startCluster, type BrokerKind, type Cluster } from '../harness/cluster.ts'
import { kafkajsClient, patient } from '../harness/kafkajs-client.ts'
import { repository } from '../harness/paths.ts'
import { ClusterView } from '../cluster/cluster-view.ts'
import { Random } from '../cluster/random.ts'
import { runFaults, type World } from './faults.ts'
import { familyNames, runRound, type Round, type RoundResult } from './run.ts'

const { values } = parseArgs({
  options: {
    transactions: { type: 'string', default: '100000' },
    round: { type: 'string', default: '10000' },
    minutes: { type: 'string', default: '600' },
    seed: { type: 'string', default: '1' },
    kinds: { type: 'string', default: 'odradek,odradek,odradek' },
    writers: { type: 'string', default: '4' },
  },
})
const seed = Number(values.seed)
const kinds = values.kinds.split(',') as BrokerKind[]
const wanted = Number(values.transactions)
const limitMs = Number(values.minutes) * 60_000

type Result = RoundResult & { faults: Record<string, number> }

// What was started ends with this process, also where it is told to end.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))

async function main(): Promise<void> {
  const cluster = await startCluster({ kinds, ensembleSize: 1 })
  const world = { cluster, view: new ClusterView(cluster), random: new Random(seed) }
  const results: Result[] = []
  const begunMs = performance.now()
  const done = (): number => sum(results.map(({ transactions }) => transactions))
  try {
    while (done() < wanted && performance.now() - begunMs < limitMs) {
      const result = await oneRound(world, `round-${results.length + 1}`, begunMs + limitMs)
      results.push(result)
      console.log(JSON.stringify(result))
      record(results, performance.now() - begunMs)
      if (result.anomalies.length > 0) return fail(cluster)
    }
  } catch (error) {
    console.error(error)
    fail(cluster)
  } finally {
    await cluster.stop()
  }
}

async function oneRound(world: World, round: string, endMs: number): Promise<Result> {
  let happened: Record<string, number> = {}
  const goesOn = ({ checker }: Round): boolean =>
    checker.transactions.size < Number(values.round) && performance.now() < endMs
  const result = await runRound(world.cluster, {
    families: familyNames,
    round,
    partitions: 6,
    seed: world.random.below(2 ** 31),
    writers: Number(values.writers),
    transformers: 2,
    pauseMs: 0,
    historyFile: historyOf(round),
    async during(run) {
      happened = await runFaults(world, run, () => goesOn(run))
    },
  })
  if (result.anomalies.length === 0) rmSync(historyOf(round))
  const admin = kafkajsClient(world.cluster.bootstrap, { retry: patient }).admin()
  await admin.connect()
  await admin.deleteTopics({ topics: [`${round}-in`, `${round}-out`] })
  await admin.disconnect()
  return { ...result, faults: happened }
}

function historyOf(round: string): string {
  return join(tmpdir(), `odradek-transactions-${seed}-${round}.txt`)
}

function fail(cluster: Cluster): void {
  process.exitCode = 1
  for (const member of cluster.members) {
    const file = join(tmpdir(), `odradek-transactions-${seed}-broker-${member.brokerId}.log`)
    writeFileSync(file, member.output())
    console.error(`what broker ${member.brokerId} said: ${file}`)
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

/** Adds up by name. */
function total(counts: readonly Record<string, number>[]): Record<string, number> {
  const totals: Record<string, number> = {}
  for (const [name, count] of counts.flatMap((each) => Object.entries(each))) {
    totals[name] = (totals[name] ?? 0) + count
  }
  return totals
}

function record(results: readonly Result[], elapsedMs: number): void {
  const figures = {
    seed,
    kinds: kinds.join(', '),
    minutes: Math.round(elapsedMs / 60_000),
    rounds: results.length,
    transactions: sum(results.map(({ transactions }) => transactions)),
    committed: sum(results.map(({ committed }) => committed)),
    aborted: sum(results.map(({ aborted }) => aborted)),
    cutOff: sum(results.map(({ open }) => open)),
    recordsInLog: sum(results.map(({ records }) => records)),
    polled: sum(results.map(({ polled }) => polled)),
    faults: sum(results.flatMap(({ faults }) => Object.values(faults))),
    machine: `${cpus().length} × ${cpus()[0].model}, Node ${process.version}`,
    anomalies: total(results.map(({ anomalyCounts }) => anomalyCounts)),
    allowed: total(results.map(({ allowed }) => allowed)),
    committedBy: total(results.map(({ committedBy }) => committedBy)),
    happened: total(results.map(({ faults }) => faults)),
    instancesEnded: total(results.map(({ ends }) => ends)),
  }
  const folder = join(repository, 'bench/results')
  writeFileSync(join(folder, 'transactions-checked.json'), `${JSON.stringify(figures, null, 2)}\n`)
  writeFileSync(join(folder, 'transactions-checked.md'), page(figures))
}

function page(
  figures: Record<string, unknown> & Record<'anomalies' | 'allowed' | 'happened', object>,
): string {
  const rows = Object.entries(figures).filter(([, value]) => typeof value !== 'object')
  const table = (header: string, lines: readonly (readonly [string, unknown])[]): string =>
    `| ${header} | |\n|---|---|\n${lines.map(([name, value]) => `| ${name} | ${value} |\n`).join('')}`
  return `# Transactions under faults

What \`node scripts/run-transactions.js --transactions ${values.transactions} --seed ${seed}\` has found; test/kafka-compat/README.md
says what it does. Anomalies: ${JSON.stringify(figures.anomalies)}.

${table('the run', rows)}
${table('what the protocol allows', Object.entries(figures.allowed))}
${table('faults', Object.entries(figures.happened))}`
}

await main()
process.exit()
