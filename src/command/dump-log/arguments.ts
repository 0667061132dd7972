/** The command line of `odradek dump-log`: Kafka's own options where people know them from kafka-dump-log. */
import { parseArgs } from 'node:util'
import { UsageError } from '../arguments.ts'

export const DUMP_LOG_HELP = `odradek dump-log: shows what the files of a log hold, and whether they agree

Usage: odradek dump-log FILE|DIRECTORY... [options]

  A directory is a partition's (orders-0), or a data directory with many of them. Files: .log .index .timeindex .txnindex
  .snapshot, *-checkpoint, partition.metadata, meta.properties. Nothing is written, nothing is locked: a broker may run.

  --deep-iteration             show the records of each batch, without keys and values
  --print-data-log             show them with keys, values and headers
  --skip-record-metadata       with keys, values and headers only
  --offsets-decoder            records are those of __consumer_offsets (known by the directory's name as well)
  --transaction-log-decoder    records are those of __transaction_state (known by the directory's name as well)
  --verify-index-only          compare indexes with their segments, show no entries
  --index-sanity-check         look at indexes alone, show no entries
  --max-bytes N                read the first N bytes of each segment
  --max-message-size N         do not look into larger batches; default, and most, 134217728
  --files A,B                  more files and directories
  --json                       one JSON object a line
  --help

Ends with 1 where something is wrong: each fault is a line on standard error (with --json: an object of type "problem").
`

/** The most that is held of one batch, stored or decompressed. */
const MAX_BATCH_BYTES = 128 * 1024 * 1024

export interface DumpOptions {
  readonly paths: readonly string[]
  readonly json: boolean
  readonly records: 'none' | 'metadata' | 'contents'
  readonly showRecordMetadata: boolean
  /** null: by the name of the directory. */
  readonly decoder: 'offsets' | 'transactions' | null
  readonly showIndexEntries: boolean
  readonly compareIndexes: boolean
  readonly maxBytes: number
  readonly maxBatchBytes: number
}

const flag = { type: 'boolean', default: false } as const
const OPTIONS = {
  'deep-iteration': flag,
  'print-data-log': flag,
  'skip-record-metadata': flag,
  'offsets-decoder': flag,
  'transaction-log-decoder': flag,
  'verify-index-only': flag,
  'index-sanity-check': flag,
  'max-bytes': { type: 'string' },
  'max-message-size': { type: 'string' },
  files: { type: 'string', multiple: true },
  json: flag,
  help: { ...flag, short: 'h' },
} as const

/** null: help is asked for. Throws UsageError. */
export function readDumpArguments(argv: readonly string[]): DumpOptions | null {
  const { values, positionals } = parse(argv)
  if (values.help) return null
  const listed = (values.files ?? []).flatMap((list) => list.split(',')).map((path) => path.trim())
  const paths = [...positionals, ...listed.filter((path) => path !== '')]
  if (paths.length === 0) throw new UsageError('dump-log: which files? odradek dump-log --help')
  if (values['offsets-decoder'] && values['transaction-log-decoder']) {
    throw new UsageError('dump-log: --offsets-decoder and --transaction-log-decoder: only one may be given')
  }
  const decoder = values['offsets-decoder']
    ? 'offsets'
    : values['transaction-log-decoder']
      ? 'transactions'
      : null
  const contents = values['print-data-log'] || values['skip-record-metadata'] || decoder !== null
  return {
    paths,
    json: values.json,
    records: contents ? 'contents' : values['deep-iteration'] ? 'metadata' : 'none',
    showRecordMetadata: !values['skip-record-metadata'],
    decoder,
    showIndexEntries: !values['verify-index-only'] && !values['index-sanity-check'],
    compareIndexes: !values['index-sanity-check'],
    maxBytes: readSize('max-bytes', values['max-bytes'], Number.MAX_SAFE_INTEGER),
    maxBatchBytes: readSize('max-message-size', values['max-message-size'], MAX_BATCH_BYTES),
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, strict: true })
  } catch (error) {
    // Node's advice after the first sentence is about its own API.
    const [message] = (error as Error).message.split(/\. |\n/)
    throw new UsageError(
      `dump-log: ${message.replace(/\.$/, '')}; odradek dump-log --help lists what there is`,
    )
  }
}

function readSize(name: string, text: string | undefined, most: number): number {
  if (text === undefined) return most
  const value = Number(text)
  if (!/^\d{1,16}$/.test(text) || value < 1 || value > most) {
    throw new UsageError(`dump-log: --${name} ${text}: expected an integer from 1 to ${most}`)
  }
  return value
}
