/** The life of the `odradek` command: configuration, broker, ready line, signals, exit codes. */
import { BugError } from '../base/assert.ts'
import { Broker } from '../broker/broker.ts'
import { hostPort } from '../broker/config/listeners.ts'
import { LocalCluster } from '../broker/local-cluster.ts'
import { createEmbeddedCoordination } from '../coordination/embedded.ts'
import { createEphemeralDirectory } from '../env/node/data-directory.ts'
import { createNodeEnv, type LocalEnv } from '../env/node/index.ts'
import { createLineLogger } from '../env/node/logger.ts'
import { createZookeeperCoordination } from '../env/node/zookeeper.ts'
import { HELP, readArguments } from './arguments.ts'
import type { CommandOptions } from './arguments.ts'
import { readClusterConfig, readConfig } from './read-config.ts'
import { describeStartFault } from './start-fault.ts'
import { VERSION } from './version.ts'

const EXIT_FAULT = 1
/** EX_SOFTWARE of sysexits.h: a bug. */
const EXIT_BUG = 70

/** Runs the command; the process ends with it. `argv`: without node and script. */
export async function run(argv: readonly string[]): Promise<void> {
  process.on('uncaughtException', (error) => {
    process.stderr.write(`odradek: stopped by a bug: ${error.message}\n${error.stack}\n`)
    process.exit(EXIT_BUG)
  })
  try {
    const command = readArguments(argv)
    if (command.kind === 'help') process.stdout.write(HELP)
    else if (command.kind === 'version') process.stdout.write(`${VERSION}\n`)
    else await serve(command.options)
  } catch (error) {
    const line = describeStartFault(error)
    // Not of the expected kinds: becomes an uncaught exception.
    if (line === null) throw error
    process.stderr.write(`odradek: ${line}\n`)
    process.exit(EXIT_FAULT)
  }
}

/** What runs, whichever it is. */
interface Running {
  stop(): Promise<void>
  /** What the ready line says of it. */
  readonly addresses: string
  readonly directories: readonly string[]
}

/** Starts the broker or the brokers, says so, and lets signals stop them. */
async function serve(options: CommandOptions): Promise<void> {
  let running: Running | null = null
  let stopRequested = false
  const stop = async (what: Running) => {
    await what.stop()
    process.exit(0)
  }
  const onSignal = () => {
    // A second signal does not wait.
    if (stopRequested) process.exit(EXIT_FAULT)
    stopRequested = true
    if (running !== null) void stop(running)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)

  const logger = createLineLogger(options.logLevel, (line) => process.stderr.write(line))
  const onBug = (error: unknown) => {
    const { stack = String(error) } = error as Error
    logger.log('error', 'a request failed by a bug, its connection is closed', { stack })
    // A broken assertion: nothing that this process holds can be trusted any more.
    if (error instanceof BugError) throw error
  }
  const env = createNodeEnv(logger)
  running = await (options.brokers > 1 ? startCluster(options, env, onBug) : startBroker(options, env, onBug))
  if (stopRequested) await stop(running)
  // Counted from the start of the process.
  const elapsedMs = Math.round(performance.now())
  const { addresses, directories } = running
  process.stdout.write(
    `odradek ${VERSION} ready in ${elapsedMs} ms: ${addresses}; data in ${directories.join(', ')}\n`,
  )
}

/** Removed when the process exits, where it is new. */
function dataDirectory({ ephemeral, dataDirectory }: CommandOptions): string | null {
  return ephemeral ? createEphemeralDirectory().path : dataDirectory
}

async function startBroker(
  options: CommandOptions,
  env: LocalEnv,
  onBug: (error: unknown) => void,
): Promise<Running> {
  const config = await readConfig(options, process.env, dataDirectory(options))
  for (const note of config.notes) env.logger.log('warn', note)
  const ensemble = config.ensemble()
  const embedded =
    ensemble === null ? createEmbeddedCoordination({ ...env, directory: config.logDirs()[0] }) : null
  const coordination = embedded ?? createZookeeperCoordination({ ...env, ...ensemble! })
  const broker = await Broker.start(config, { ...env, coordination }, { topics: options.topics, onBug })
  return {
    addresses: addressesOf(broker).join(', '),
    directories: config.logDirs(),
    async stop() {
      await broker.stop()
      await embedded?.close()
    },
  }
}

async function startCluster(
  options: CommandOptions,
  env: LocalEnv,
  onBug: (error: unknown) => void,
): Promise<Running> {
  const { directory, notes, configOf } = await readClusterConfig(options, process.env, dataDirectory(options))
  for (const note of notes) env.logger.log('warn', note)
  const { brokers: size, topics } = options
  const cluster = await LocalCluster.start({ env, size, directory, configOf, topics, onBug })
  return {
    addresses: cluster.members.flatMap(({ broker }) => addressesOf(broker!)).join(', '),
    directories: [directory],
    stop: () => cluster.stop(),
  }
}

function addressesOf(broker: Broker): string[] {
  return broker.listeners.map(({ name, host, port, advertisedHost, advertisedPort }) => {
    const bound = hostPort(host === '' ? '*' : host, port)
    const advertised = hostPort(advertisedHost, advertisedPort)
    return `${name}://${bound}` + (advertised === bound ? '' : ` (for clients: ${advertised})`)
  })
}
