/** The same files through kafka-dump-log of Apache Kafka 3.9 and through `odradek dump-log`, as lines that can be compared. */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { kafka39ClassPath, repository } from '../../harness/paths.ts'
import { runCommand } from '../../harness/processes.ts'
import type { CommandResult } from '../../harness/processes.ts'

/** Every file below the directories that kafka-dump-log knows, in one order. */
export function filesBelow(...directories: string[]): string[] {
  const known = /\.(log|index|timeindex|txnindex|snapshot)$/
  return directories
    .flatMap((directory) =>
      readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name)),
    )
    .filter((path) => known.test(path))
    .sort()
}

/** On a busy machine a JVM takes its time. */
const PATIENT = { timeoutMs: 240_000 }

/** Lines by file, without those that only say what is read; what it complains of is on standard error. */
export interface KafkaDump {
  readonly lines: Map<string, string[]>
  readonly complaints: string
}

export function kafkaDump(paths: string[], ...options: string[]): Promise<KafkaDump> {
  return kafkaDumpOf(kafka39ClassPath(), paths, ...options)
}

/** By the kafka-dump-log of another version. */
export async function kafkaDumpOf(
  classPath: string,
  paths: string[],
  ...options: string[]
): Promise<KafkaDump> {
  const jvm = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Dfile.encoding=UTF-8']
  const encoding = ['-Dstdout.encoding=UTF-8', '-cp', classPath]
  const tool = ['kafka.tools.DumpLogSegments', '--files', paths.join(','), ...options]
  const { code, stdout, stderr } = await runCommand('java', [...jvm, ...encoding, ...tool], PATIENT)
  if (code !== 0) throw new Error(`kafka-dump-log: exit code ${code}\n${stdout.slice(-2000)}${stderr}`)
  const lines = new Map<string, string[]>()
  let current: string[] = []
  for (const line of stdout.split('\n')) {
    const [, path] = /^Dumping (.*)$/.exec(line) ?? []
    if (path !== undefined) lines.set(path, (current = []))
    else if (line !== '' && !/^Log starting offset: | is empty\.$/.test(line)) current.push(line.trimEnd())
  }
  // Of log4j, which finds no configuration.
  return { lines, complaints: stderr.replace(/^(log4j|SLF4J):.*\n/gm, '') }
}

/** One object of `odradek dump-log --json`. */
export interface Found {
  readonly file: string
  readonly type: string
  readonly [name: string]: unknown
}

export interface OurDump {
  readonly found: Found[]
  readonly problems: Found[]
  readonly code: number | null
}

export async function ourDump(paths: string[], ...options: string[]): Promise<OurDump> {
  const args = [join(repository, 'dist/odradek.js'), 'dump-log', '--json', ...paths, ...options]
  const { code, stdout, stderr }: CommandResult = await runCommand(process.execPath, args)
  if (stderr !== '') throw new Error(stderr)
  const found = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Found)
  return { found, problems: found.filter(({ type }) => type === 'problem'), code }
}

export const ofType = (found: readonly Found[], type: string): Found[] =>
  found.filter((one) => one.type === type)

/** What we found, in the words of kafka-dump-log. */
export function asKafkaLines(found: Found[]): Map<string, string[]> {
  const lines = new Map<string, string[]>()
  for (const one of found) {
    if (one.type === 'file') lines.set(one.file, [])
    const line = kafkaLine(one)
    if (line !== null) lines.get(one.file)!.push(line)
  }
  return lines
}

const words = (found: Found, ...names: (string | readonly [word: string, name: string])[]): string =>
  names
    .map((each) => (typeof each === 'string' ? ([each, each] as const) : each))
    .map(([word, name]) => `${word}: ${String(found[name])}`)
    .join(' ')

const optionalLong = (value: unknown): string =>
  value === null || value === -1 ? 'OptionalLong.empty' : `OptionalLong[${String(value)}]`

function kafkaLine(found: Found): string | null {
  switch (found.type) {
    case 'batch':
      if (found.magic !== 2) return oldMessageLine(found)
      return [
        words(found, 'baseOffset', 'lastOffset', 'count', 'baseSequence', 'lastSequence', 'producerId'),
        words(found, 'producerEpoch', 'partitionLeaderEpoch', 'isTransactional', 'isControl'),
        `deleteHorizonMs: ${optionalLong(found.deleteHorizonMs)} position: ${String(found.position)}`,
        `${String(found.timestampType)}: ${String(found.maxTimestampMs)}`,
        words(found, ['size', 'sizeBytes'], 'magic', ['compresscodec', 'compression'], 'crc', [
          'isvalid',
          'isValid',
        ]),
      ].join(' ')
    case 'record': {
      const control = found.control as { controlType: string; coordinatorEpoch: number } | undefined
      const marker =
        control && ` endTxnMarker: ${control.controlType} coordinatorEpoch: ${control.coordinatorEpoch}`
      const head = `| offset: ${String(found.offset)} ${timestampType(found)}: ${String(found.timestampMs)}`
      if (found.sequence === undefined) return `${head} ${words(found, 'keySize', 'valueSize')}`
      return [
        head,
        words(found, 'keySize', 'valueSize', 'sequence'),
        `headerKeys: [${(found.headerKeys as string[]).join(',')}]${marker ?? ''}`,
      ].join(' ')
    }
    case 'offsetIndexEntry':
      return words(found, 'offset', 'position')
    case 'timeIndexEntry':
      return words(found, ['timestamp', 'timestampMs'], 'offset')
    case 'abortedTransaction':
      return `version: 0 ${words(found, 'producerId', 'firstOffset', 'lastOffset', 'lastStableOffset')}`
    case 'producer': {
      const open = `currentTxnFirstOffset: ${optionalLong(found.currentTxnFirstOffset)}`
      const own = `${words(found, 'producerId', 'producerEpoch', 'coordinatorEpoch')} ${open}`
      const time = words(found, ['lastTimestamp', 'lastTimestampMs'])
      if (found.lastOffset === undefined) return `${own} ${time}`
      const last = words(found, 'firstSequence', 'lastSequence', 'lastOffset', 'offsetDelta')
      return `${own} ${time} ${last} timestamp: ${String(found.lastTimestampMs)}`
    }
    default:
      return null
  }
}

const timestampType = (found: Found): string => String(found.timestampType ?? 'NoTimestampType')

/** Formats 0 and 1. */
function oldMessageLine(found: Found): string {
  const time = `${timestampType(found)}: ${String(found.maxTimestampMs)}`
  const size = words(found, ['size', 'sizeBytes'], 'magic', ['compresscodec', 'compression'])
  const check = words(found, 'crc', ['isvalid', 'isValid'])
  return `${words(found, ['offset', 'lastOffset'], 'position')} ${time} ${size} ${check}`
}

/** Names a file in a message without the temporary directory. */
export const shortName = (path: string): string => `${basename(join(path, '..'))}/${basename(path)}`
