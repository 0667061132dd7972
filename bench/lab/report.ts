import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Series } from './interleave.ts'
import type { Machine } from './machine.ts'
import type { Bar, Summary } from './statistics.ts'
import { meets, pairedRatio, summarise } from './statistics.ts'

export interface Metric {
  /** Name in the series. */
  readonly name: string
  /** What a reader sees: "broker CPU". */
  readonly label: string
  readonly unit: string
}

/** A bar on the measured value itself (no `against`), or on the ratio to another subject's value of the same round. */
export interface Expectation extends Bar {
  readonly metric: string
  readonly against?: string
}

/** One series under one setting: a table of metrics by subject. */
export interface Section {
  readonly title: string
  readonly setting: Readonly<Record<string, string | number>>
  readonly metrics: readonly Metric[]
  readonly expectations: readonly Expectation[]
  readonly series: Series
  /** What a series of one value per round was made of, for the JSON alone. */
  readonly every?: Readonly<Record<string, readonly number[]>>
}

export interface Report {
  readonly question: string
  readonly ours: string
  readonly machine: Machine
  readonly startedAt: string
  readonly tookSeconds: number
  readonly rounds: number
  readonly notes: readonly string[]
  readonly sections: readonly Section[]
}

export interface Verdict {
  readonly section: string
  readonly label: string
  readonly value: number
  readonly unit: string
  readonly bar: string
  readonly met: boolean
}

/** Every bar that could be judged: the subjects it speaks of were measured. */
export function judge(report: Report): Verdict[] {
  return report.sections.flatMap((section) =>
    section.expectations.flatMap((expectation): Verdict[] => {
      const { metric, against, direction, value: bar } = expectation
      const mine = section.series[report.ours]?.[metric]
      const theirs = against === undefined ? undefined : section.series[against]?.[metric]
      if (mine === undefined || (against !== undefined && theirs === undefined)) return []
      const value = theirs === undefined ? summarise(mine).median : pairedRatio(mine, theirs).median
      const { label, unit } = section.metrics.find(({ name }) => name === metric)!
      return [
        {
          section: section.title,
          label: against === undefined ? label : `${label} / ${against}'s`,
          value,
          unit: against === undefined ? unit : '×',
          bar: `${direction} ${bar}`,
          met: meets(expectation, value),
        },
      ]
    }),
  )
}

/** Three significant digits, thousands kept whole. */
export function readable(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(3)))
}

function spread({ median, min, max }: Summary): string {
  if (min === max) return readable(median)
  return `${readable(median)} (${readable(min)}–${readable(max)})`
}

function sectionTable(section: Section, ours: string): string[] {
  const subjects = Object.keys(section.series)
  const others = subjects.filter((subject) => subject !== ours && subjects.includes(ours))
  const header = ['', ...subjects, ...others.map((other) => `${ours} / ${other}`)]
  const rows = section.metrics
    .filter(({ name }) => subjects.some((subject) => section.series[subject][name] !== undefined))
    .map(({ name, label, unit }) => {
      const values = subjects.map((subject) => section.series[subject][name])
      const ratios = others.map((other) => [section.series[ours][name], section.series[other][name]])
      return [
        `${label}, ${unit}`,
        ...values.map((list) => (list === undefined ? '' : spread(summarise(list)))),
        ...ratios.map(([mine, theirs]) => (mine && theirs ? spread(pairedRatio(mine, theirs)) : '')),
      ]
    })
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
}

export function toMarkdown(report: Report): string {
  const { machine } = report
  const verdicts = judge(report)
  const lines = [
    `# bench/${report.question}`,
    '',
    `${report.startedAt}, ${Math.round(report.tookSeconds)} s, ${report.rounds} interleaved rounds: median (lowest–highest).`,
    'A ratio is taken within each round, then its median over the rounds.',
    '',
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB; ${machine.os}; Node ${machine.node}; ` +
      `Java ${machine.java}; librdkafka ${machine.librdkafka}; Kafka ${machine.kafka}; Odradek ${machine.commit}; ` +
      `load before the run ${machine.loadBefore}.`,
    '',
    ...report.notes.map((note) => `- ${note}`),
    '',
  ]
  if (verdicts.length > 0) {
    lines.push(
      '## Bars',
      '',
      '| setting | figure | measured | bar | met |',
      '| --- | --- | --- | --- | --- |',
    )
    for (const v of verdicts)
      lines.push(
        `| ${v.section} | ${v.label} | ${readable(v.value)} ${v.unit} | ${v.bar} | ${v.met ? 'yes' : '**no**'} |`,
      )
    lines.push('')
  }
  for (const section of report.sections) {
    const setting = Object.entries(section.setting).map(([name, value]) => `${name} ${value}`)
    lines.push(`## ${section.title}`, '', ...(setting.length > 0 ? [setting.join(', ') + '.', ''] : []))
    lines.push(...sectionTable(section, report.ours), '')
  }
  return lines.join('\n')
}

/** Writes DIRECTORY/QUESTION.json (every single value) and .md (medians and ratios). */
export function writeReport(report: Report, directory: string): void {
  mkdirSync(directory, { recursive: true })
  const json = JSON.stringify({ ...report, verdicts: judge(report) }, null, 1)
  writeFileSync(join(directory, `${report.question}.json`), json + '\n')
  writeFileSync(join(directory, `${report.question}.md`), toMarkdown(report))
}
