import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { judge, readable, type Report } from '../../bench/lab/report.ts'
import { pairedRatio, summarise } from '../../bench/lab/statistics.ts'
import { generatedSection } from './generated-section.ts'

function reports(): Report[] {
  const recorded = JSON.parse(readFileSync('bench/recorded.json', 'utf8')) as string[]
  const paths = recorded
    .map((question) => `bench/results/${question}.json`)
    .filter((path) => existsSync(path))
  return paths.map((path) => JSON.parse(readFileSync(path, 'utf8')) as Report)
}

/** Bars where there are some, else what was measured of both. */
function rowsOf(report: Report): string[] {
  const verdicts = judge(report).map(({ section, label, value, unit, bar, met }) => {
    return `| ${section} | ${label} | ${readable(value)} ${unit} | ${bar} | ${met ? 'yes' : '**no**'} |`
  })
  if (verdicts.length > 0)
    return ['| setting | figure | measured | bar | met |', '|---|---|---|---|---|', ...verdicts]
  const compared = report.sections.flatMap(({ title, metrics, series }) =>
    metrics.map(({ name, label, unit }) => {
      const [ours, theirs] = [series[report.ours][name], series.kafka[name]]
      const [mine, other] = [ours, theirs].map((values) => `${readable(summarise(values).median)} ${unit}`)
      return `| ${title} | ${label} | ${mine} | ${other} | ${readable(pairedRatio(ours, theirs).median)} |`
    }),
  )
  return ['| setting | figure | Odradek | Kafka 3.9 | ratio |', '|---|---|---|---|---|', ...compared]
}

function table(report: Report): string[] {
  const { machine, rounds, startedAt } = report as Report & {
    machine: { cpu: string; cores: number; node: string }
  }
  return [
    `\`npm run bench:${report.question}\`: medians of ${rounds} interleaved rounds, ${startedAt.slice(0, 10)}, ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}` +
      ` ([all of it](bench/results/${report.question}.md)).`,
    '',
    ...rowsOf(report),
    '',
  ]
}

test("README's figures are those of bench/results (npm run docs)", () => {
  const found = reports()
  expect(found.length).toBeGreaterThan(0)
  const content = found.flatMap(table).join('\n')
  expect(generatedSection('README.md', 'figures', content)).toBe(content)
})
