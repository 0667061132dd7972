/** The command line: what was asked for, or one line on what is wrong with it. */
import { parseArgs } from 'node:util'
import { MAX_LOCAL_BROKERS } from '../broker/local-cluster.ts'
import { newTopic } from '../broker/start-topics.ts'
import type { NewTopic } from '../broker/start-topics.ts'
import type { LogLevel } from '../env/env.ts'

export const HELP = `odradek: a broker that Kafka clients use

Usage: odradek [server.properties] [options]
       odradek dump-log FILE|DIRECTORY...   shows what the files of a log hold; dump-log --help says more

  --port N               listen on port N (0: a free one); default 9092
  --host H               listen on address H; default localhost, "0.0.0.0" for all interfaces
  --brokers N            N brokers that are one cluster, on ports from --port on; data below --data-dir
  --data-dir DIR         keep data in DIR; default ./odradek-data
  --ephemeral            keep data in a new temporary directory that is removed at exit
  --topic NAME[:P[:R]]   create topic NAME with P partitions and R replicas before ready (repeatable)
  --auto-create BOOL     whether asking for an unknown topic creates it; default true
  --override KEY=VALUE   set any configuration key, over file and environment (repeatable)
  --log-level LEVEL      debug, info, warn (default) or error
  --help, --version

Flags come before KAFKA_* environment variables, these before server.properties. A server.properties or
KAFKA_* variables bring Kafka's own defaults; docs/configuration.md lists the keys.
`

export interface CommandOptions {
  readonly file: string | null
  readonly overrides: Readonly<Record<string, string>>
  readonly ephemeral: boolean
  /** 1: a broker that is alone. */
  readonly brokers: number
  readonly topics: readonly NewTopic[]
  readonly logLevel: LogLevel
  /** Whether `--host` or `--port` replace the listeners; null where not given. */
  readonly host: string | null
  readonly port: number | null
  readonly dataDirectory: string | null
}

export type Command =
  | { readonly kind: 'run'; readonly options: CommandOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }

/** A command line that cannot be followed. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

const OPTIONS = {
  port: { type: 'string' },
  host: { type: 'string' },
  brokers: { type: 'string' },
  'data-dir': { type: 'string' },
  ephemeral: { type: 'boolean' },
  topic: { type: 'string', multiple: true },
  'auto-create': { type: 'string' },
  override: { type: 'string', multiple: true },
  'log-level': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

/** Throws `UsageError`, and `ConfigError` for a topic. */
export function readArguments(argv: readonly string[]): Command {
  const { values, positionals } = parse(argv)
  if (values.help) return { kind: 'help' }
  if (values.version) return { kind: 'version' }
  if (positionals.length > 1) {
    throw new UsageError(`expected at most one properties file, got ${positionals.join(', ')}`)
  }
  if (values.ephemeral && values['data-dir'] !== undefined) {
    throw new UsageError('--ephemeral and --data-dir: only one of them may be given')
  }
  const logLevel = (values['log-level'] ?? 'warn') as LogLevel
  if (!LOG_LEVELS.includes(logLevel)) {
    throw new UsageError(`--log-level ${logLevel}: expected one of ${LOG_LEVELS.join(', ')}`)
  }
  const overrides = readOverrides(values.override ?? [])
  if (values['auto-create'] !== undefined) overrides['auto.create.topics.enable'] = values['auto-create']
  return {
    kind: 'run',
    options: {
      file: positionals[0] ?? null,
      overrides,
      ephemeral: values.ephemeral ?? false,
      brokers: values.brokers === undefined ? 1 : readBrokers(values.brokers),
      topics: (values.topic ?? []).map(newTopic),
      logLevel,
      host: values.host ?? null,
      port: values.port === undefined ? null : readPort(values.port),
      dataDirectory: values['data-dir'] ?? null,
    },
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, strict: true })
  } catch (error) {
    // Node's advice after the first sentence is about its own API.
    const [message] = (error as Error).message.split(/\. |\n/)
    throw new UsageError(`${message.replace(/\.$/, '')}; odradek --help lists what there is`)
  }
}

function readOverrides(texts: readonly string[]): Record<string, string> {
  const overrides: Record<string, string> = {}
  for (const text of texts) {
    const equals = text.indexOf('=')
    if (equals <= 0) throw new UsageError(`--override ${text}: expected KEY=VALUE`)
    overrides[text.slice(0, equals).trim()] = text.slice(equals + 1).trim()
  }
  return overrides
}

function readBrokers(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) < 1 || Number(text) > MAX_LOCAL_BROKERS)
    throw new UsageError(`--brokers ${text}: expected an integer from 1 to ${MAX_LOCAL_BROKERS}`)
  return Number(text)
}

function readPort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65535) {
    throw new UsageError(`--port ${text}: expected an integer from 0 to 65535`)
  }
  return Number(text)
}
