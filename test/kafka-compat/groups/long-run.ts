/**
 * The long run: each kind of group in each size, one after the other, each on a bed of its own; scripts/run-groups.js starts it. Its
 * figures go to bench/results/groups-churned.{json,md}; it fails at the first anomaly. With --go-on it does what is not there yet.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { repository } from '../harness/paths.ts'
import { clusterBed, singleBed } from './beds.ts'
import type { Bed } from './beds.ts'
import { churnPlan, churns } from './churn-run.ts'
import { groupSpec, kindNames, partitionsFor, timesOf } from './specs.ts'
import type { KindName, Times } from './specs.ts'

interface BedKind {
  start(times: Times): Promise<Bed>
  readonly faults: readonly [string, string]
}
const beds = {
  'one broker': { start: singleBed, faults: ['restart', 'kill'] },
  'three brokers': { start: clusterBed, faults: ['the coordinator dies', 'the coordinator stops'] },
} satisfies Record<string, BedKind>
type BedName = keyof typeof beds

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '3,50,500' },
    kinds: { type: 'string', default: kindNames.join() },
    beds: { type: 'string', default: Object.keys(beds).join() },
    steps: { type: 'string', default: '7' },
    seed: { type: 'string', default: '1' },
    'go-on': { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed)
const steps = Number(values.steps)

/** Of one group. `losses`: members that found that they had been put out of it. `unacknowledged`: two owners for a moment (KIP-848). */
export interface GroupRow {
  readonly kind: KindName
  readonly size: number
  readonly bed: BedName
  readonly started: number
  readonly crashed: number
  readonly generations: number
  readonly losses: number
  readonly unacknowledged: number
  readonly records: number
  readonly polls: number
  readonly commits: number
  readonly seconds: number
  readonly anomalies: number
}

/** Members of kafkajs that two cores carry: of 200, rebalances alone take all processor time, and begin anew for who was too late. */
const LARGEST: Partial<Record<KindName, number>> = { 'kafkajs-roundrobin': 100 }

const file = join(repository, 'bench/results/groups-churned')
const command = 'node scripts/run-groups.js'

// What was started ends with this process, also where it is told to end.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))

async function main(): Promise<void> {
  const rows: GroupRow[] = values['go-on']
    ? (JSON.parse(readFileSync(`${file}.json`, 'utf8')) as { groups: GroupRow[] }).groups
    : []
  for (const size of values.sizes.split(',').map(Number)) {
    for (const bed of values.beds.split(',') as BedName[]) {
      for (const kind of values.kinds.split(',') as KindName[]) {
        if (size > (LARGEST[kind] ?? Infinity)) continue
        if (rows.some((row) => row.kind === kind && row.size === size && row.bed === bed)) continue
        rows.push(await oneGroup(kind, size, bed))
        console.log(JSON.stringify(rows.at(-1)))
        record(rows)
        if (rows.at(-1)!.anomalies > 0) return void (process.exitCode = 1)
      }
    }
  }
}

async function oneGroup(kind: KindName, size: number, bedName: BedName): Promise<GroupRow> {
  const { start, faults } = beds[bedName] as BedKind
  const bed = await start(timesOf(size))
  const begunMs = performance.now()
  try {
    const spec = groupSpec(kind, size, partitionsFor(size))
    const [group] = await churns(bed, [spec], churnPlan(size, { seed, steps, faults }))
    const anomalies = group.checker.verdict()
    if (anomalies.length > 0) console.error(JSON.stringify(anomalies), group.keepHistory())
    const seconds = Math.round((performance.now() - begunMs) / 1000)
    return { kind, size, bed: bedName, ...group.told(), seconds, anomalies: anomalies.length }
  } finally {
    await bed.stop()
  }
}

function record(rows: readonly GroupRow[]): void {
  const machine = `${cpus().length} × ${cpus()[0].model}, Node ${process.version}`
  const sum = (name: 'seconds' | 'crashed' | 'started' | 'polls' | 'anomalies'): number =>
    rows.reduce((total, row) => total + row[name], 0)
  const figures = {
    command,
    machine,
    seed,
    minutes: Math.round(sum('seconds') / 60),
    members: sum('started'),
    crashed: sum('crashed'),
    polled: sum('polls'),
    anomalies: { all: sum('anomalies') },
    groups: rows,
  }
  writeFileSync(`${file}.json`, `${JSON.stringify(figures, null, 2)}\n`)
  writeFileSync(`${file}.md`, page(figures))
}

function page({
  machine,
  seed: ofRun,
  groups,
}: {
  machine: string
  seed: number
  groups: readonly GroupRow[]
}): string {
  const columns = [
    'size',
    'kind',
    'bed',
    'started',
    'crashed',
    'generations',
    'losses',
    'unacknowledged',
    'records',
    'commits',
    'seconds',
    'anomalies',
  ] as const
  const lines = groups.map((row) => `| ${columns.map((name) => row[name]).join(' | ')} |\n`)
  return `# Groups under churn

What \`${command}\` has found, seed ${ofRun}, ${machine}; test/kafka-compat/README.md says what it does.

| ${columns.join(' | ')} |
|${'---|'.repeat(columns.length)}
${lines.join('')}`
}

await main()
process.exit()
