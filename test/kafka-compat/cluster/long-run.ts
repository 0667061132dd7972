/**
 * The long run: rounds of ten minutes, each with a topic of its own, on one cluster, for hours, with faults of up to a
 * minute; scripts/run-faults.js starts it. Its figures go to bench/results/faults.{json,md}; it fails at the first
 * anomaly. With --go-on they are added to those that are there, of a run that ended without an anomaly, by whatever.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { BrokerKind } from '../harness/cluster.ts'
import { kafkajsClient, patient } from '../harness/kafkajs-client.ts'
import { repository } from '../harness/paths.ts'
import { figuresOf, together, type Figures } from './long-figures.ts'
import { Random } from './random.ts'
import { runRound, type RoundResult } from './round.ts'
import { TestBed } from './test-bed.ts'

const { values } = parseArgs({
  options: {
    hours: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    kinds: { type: 'string', default: 'odradek,odradek,odradek' },
    rate: { type: 'string', default: '200' },
    'round-minutes': { type: 'string', default: '10' },
    'go-on': { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed)
const kinds = values.kinds.split(',') as BrokerKind[]
const wantedMs = Number(values.hours) * 3_600_000
const results = join(repository, 'bench/results')
const before = values['go-on']
  ? (JSON.parse(readFileSync(join(results, 'faults.json'), 'utf8')) as Figures)
  : null
const roundMs = Math.min(Number(values['round-minutes']) * 60_000, wantedMs)

// What was started ends with this process, also where it is told to end.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))

async function main(): Promise<void> {
  const random = new Random(seed)
  const bed = await TestBed.start({ kinds, seed })
  const rounds: RoundResult[] = []
  const begunMs = performance.now()
  try {
    while (performance.now() - begunMs < wantedMs) {
      const topic = `round-${rounds.length + 1}`
      const round = await runRound(bed, random, {
        topic,
        partitions: 6,
        recordsPerSecond: Number(values.rate),
        lanes: 2,
        longPercent: 25,
        longMs: [5000, 60_000],
        episodeMs: 60_000,
        goesOn: (_, elapsedMs) => elapsedMs < roundMs,
      })
      rounds.push(round)
      console.log(`${topic}: ${JSON.stringify({ ...round, diary: undefined })}`)
      record(rounds, performance.now() - begunMs)
      if (isBad(round)) return fail(bed, round.diary)
      await deleteTopic(bed, topic)
    }
  } catch (error) {
    console.error(error)
    fail(bed, [])
  } finally {
    await bed.stop()
  }
}

function isBad({ anomalies, differences, failed, faults }: RoundResult): boolean {
  return anomalies.length + differences.length + failed + faults.unexpectedEnds.length > 0
}

function fail(bed: TestBed, diary: string[]): void {
  process.exitCode = 1
  console.error(diary.join('\n'))
  for (const member of bed.cluster.members) {
    const file = join(tmpdir(), `odradek-long-run-${seed}-broker-${member.brokerId}.log`)
    writeFileSync(file, member.output())
    console.error(`what broker ${member.brokerId} said: ${file}`)
  }
}

async function deleteTopic({ cluster }: TestBed, topic: string): Promise<void> {
  const admin = kafkajsClient(cluster.bootstrap, { retry: patient }).admin()
  await admin.connect()
  await admin.deleteTopics({ topics: [topic] })
  await admin.disconnect()
}

function record(rounds: readonly RoundResult[], elapsedMs: number): void {
  const own = {
    ...figuresOf(rounds, elapsedMs),
    command: ['node scripts/run-faults.js', ...process.argv.slice(2)].join(' '),
    seed: String(seed),
    kinds: kinds.join(', '),
    machine: `${cpus().length} × ${cpus()[0].model}, Node ${process.version}`,
  }
  const figures = before === null ? own : together(before, own)
  writeFileSync(join(results, 'faults.json'), `${JSON.stringify(figures, null, 2)}\n`)
  writeFileSync(join(results, 'faults.md'), page(figures))
}

function page(figures: Figures): string {
  const { command: _, ...rest } = figures
  const rows = Object.entries(rest).filter(([, value]) => typeof value !== 'object')
  const table = (header: string, lines: readonly (readonly [string, unknown])[]): string =>
    `| ${header} | |\n|---|---|\n${lines.map(([name, value]) => `| ${name} | ${value} |\n`).join('')}`
  const kinds = Object.entries(figures.happened).sort(([a], [b]) => (a < b ? -1 : 1))
  return `# A cluster under faults

What \`${figures.command}\` has found; test/kafka-compat/README.md says what it does.
Anomalies that clients saw: ${JSON.stringify(figures.anomalies)}.

${table('the run', rows)}
${table('faults', kinds)}`
}

await main()
process.exit()
