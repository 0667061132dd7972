/** The life of the `odradek` command: configuration, broker, ready line, signals, exit codes. */
import { BugError } from '../base/assert.ts'
import { Broker } from '../broker/broker.ts'
import { hostPort } from '../broker/config/listeners.ts'
import { createEmbeddedCoordination } from '../coordination/embedded.ts'
import { createEphemeralDirectory } from '../env/node/data-directory.ts'
import { createNodeEnv } from '../env/node/index.ts'
import { createLineLogger } from '../env/node/logger.ts'
import { createZookeeperCoordination } from '../env/node/zookeeper.ts'
import { HELP, readArguments } from './arguments.ts'
import type { CommandOptions } from './arguments.ts'
import { readConfig } from './read-config.ts'
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

/** Starts the broker, says so, and lets signals stop it. */
async function serve(options: CommandOptions): Promise<void> {
  let broker: Broker | null = null
  let stopRequested = false
  const stop = async (running: Broker) => {
    await running.stop()
    await embedded?.close()
    process.exit(0)
  }
  const onSignal = () => {
    // A second signal does not wait.
    if (stopRequested) process.exit(EXIT_FAULT)
    stopRequested = true
    if (broker !== null) void stop(broker)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)

  // Removed when the process exits.
  const directory = options.ephemeral ? createEphemeralDirectory().path : options.dataDirectory
  const config = await readConfig(options, process.env, directory)
  const logger = createLineLogger(options.logLevel, (line) => process.stderr.write(line))
  for (const note of config.notes) logger.log('warn', note)
  const env = createNodeEnv(logger)
  const ensemble = config.ensemble()
  const embedded =
    ensemble === null ? createEmbeddedCoordination({ ...env, directory: config.logDirs()[0] }) : null
  const coordination = embedded ?? createZookeeperCoordination({ ...env, ...ensemble! })
  const onBug = (error: unknown) => {
    const { stack = String(error) } = error as Error
    logger.log('error', 'a request failed by a bug, its connection is closed', { stack })
    // A broken assertion: nothing that this process holds can be trusted any more.
    if (error instanceof BugError) throw error
  }
  broker = await Broker.start(config, { ...env, coordination }, { topics: options.topics, onBug })
  if (stopRequested) await stop(broker)
  process.stdout.write(`${readyLine(broker, config.logDirs())}\n`)
}

function readyLine(broker: Broker, directories: readonly string[]): string {
  const listeners = broker.listeners.map(({ name, host, port, advertisedHost, advertisedPort }) => {
    const bound = hostPort(host === '' ? '*' : host, port)
    const advertised = hostPort(advertisedHost, advertisedPort)
    return `${name}://${bound}` + (advertised === bound ? '' : ` (for clients: ${advertised})`)
  })
  // Counted from the start of the process.
  const elapsedMs = Math.round(performance.now())
  return `odradek ${VERSION} ready in ${elapsedMs} ms: ${listeners.join(', ')}; data in ${directories.join(', ')}`
}
