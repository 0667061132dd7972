/** What every benchmark does around its measuring: options, the order of subjects, progress, the report. */
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { interleave } from './interleave.ts'
import type { Interleaving, Series } from './interleave.ts'
import { describeMachine } from './machine.ts'
import { toMarkdown, writeReport } from './report.ts'
import type { Section } from './report.ts'
import { cache, root } from './tools.ts'

export interface Options {
  /** Interleaved rounds; a recorded series has at least 7, unless its benchmark says fewer. */
  readonly rounds: number
  /** One round of a tenth of the records, written to .cache and not to bench/results: does it run at all? */
  readonly quick: boolean
  /** Where the brokers keep their data: /dev/shm unless told otherwise, so that no figure is the disk's. */
  readonly data: string
  readonly without: readonly string[]
  /** Sections to run, by a part of their title; empty for all. */
  readonly only: readonly string[]
}

export const OURS = 'odradek'
/** Of a recorded series; a benchmark whose rounds take long may say fewer. */
const RECORDED_ROUNDS = 7

export function readOptions(recordedRounds = RECORDED_ROUNDS): Options {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      data: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
      without: { type: 'string', multiple: true, default: [] },
      only: { type: 'string', multiple: true, default: [] },
    },
  })
  const { quick, data, without, only } = values
  const rounds = Number(values.rounds ?? (quick ? 1 : recordedRounds))
  if (!Number.isSafeInteger(rounds) || rounds < 1)
    throw new Error(`--rounds ${values.rounds}: a number from 1`)
  return { rounds, quick, data, without, only }
}

/** `interleave`, minus the subjects that were left out, with a line of progress per sample. */
export function measureAll(
  options: Options,
  title: string,
  interleaving: Omit<Interleaving, 'rounds' | 'onSample'>,
): Promise<Series> {
  return interleave({
    ...interleaving,
    subjects: interleaving.subjects.filter((subject) => !options.without.includes(subject)),
    rounds: options.rounds,
    onSample: (subject, round, sample) => {
      const figures = Object.entries(sample).map(([name, value]) => `${name} ${Number(value.toPrecision(3))}`)
      console.error(`${title}: round ${round + 1} of ${options.rounds}, ${subject}: ${figures.join(', ')}`)
    },
  })
}

export function wanted(options: Options, title: string): boolean {
  return options.only.length === 0 || options.only.some((part) => title.includes(part))
}

/** Runs a benchmark and writes its report; a partial or quick one goes to .cache/bench/results. */
export async function runBenchmark(
  question: string,
  notes: readonly string[],
  measure: (options: Options) => Promise<Section[]>,
  recordedRounds = RECORDED_ROUNDS,
): Promise<void> {
  const options = readOptions(recordedRounds)
  const machine = describeMachine()
  const startedAt = new Date()
  const sections = await measure(options)
  const report = {
    question,
    ours: OURS,
    machine,
    startedAt: startedAt.toISOString().slice(0, 16) + 'Z',
    tookSeconds: (Date.now() - startedAt.getTime()) / 1000,
    rounds: options.rounds,
    notes: [
      `Broker data in ${options.data === '/dev/shm' ? '/dev/shm (tmpfs)' : 'a directory on disk'}.`,
      ...notes,
    ],
    sections,
  }
  const complete =
    options.rounds >= recordedRounds && !options.quick && !options.without.length && !options.only.length
  const directory = complete ? join(root, 'bench', 'results') : join(cache, 'bench', 'results')
  writeReport(report, directory)
  console.log(toMarkdown(report))
  console.error(`written to ${join(directory, question)}.{json,md}`)
}
