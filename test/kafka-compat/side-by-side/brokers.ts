/** The two brokers of the suite: Apache Kafka 3.9 in ZooKeeper mode and ours, with the same configuration file. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ChildProcess } from 'node:child_process'
import { freePort } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { kafka39ClassPath, repository } from '../harness/paths.ts'
import { ended, runCommand, startProcess } from '../harness/processes.ts'
import { WireClient } from '../../broker/wire-client.ts'
import { createTopicsApi } from '../../../src/protocol/messages/19-create-topics.ts'

export type BrokerName = 'kafka' | 'odradek'

export interface RunningBroker {
  readonly name: BrokerName
  readonly port: number
  /** The only log directory, as the configuration names it. */
  readonly logDir: string
  /** What it has said since its start, the latest of it. */
  output(): string
  /** A clean stop, as by SIGTERM; the directory stays until `stop`. */
  shutDown(): Promise<void>
  stop(): Promise<void>
}

/** What both read. Everything else is Kafka's default. */
const sharedProperties: Readonly<Record<string, string>> = {
  'broker.id': '1',
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  'max.incremental.fetch.session.cache.slots': '1000',
}

interface Child {
  readonly process: ChildProcess
  said: string
}

function start(command: string, args: string[]): Child {
  const child: Child = {
    process: startProcess(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }),
    said: '',
  }
  const hear = (chunk: Buffer): void => {
    child.said = (child.said + chunk.toString()).slice(-1_000_000)
  }
  child.process.stdout!.on('data', hear)
  child.process.stderr!.on('data', hear)
  return child
}

async function untilServing(what: string, child: Child, serves: () => Promise<boolean>): Promise<void> {
  const isGone = (): boolean => child.process.exitCode !== null || child.process.signalCode !== null
  await eventually(`${what} serves`, async () => isGone() || (await serves()), 90_000).catch(
    (error: unknown) => {
      throw new Error(`${what}:\n${child.said}`, { cause: error })
    },
  )
  if (isGone()) throw new Error(`${what} ended instead of starting:\n${child.said}`)
}

async function kill(child: Child): Promise<void> {
  child.process.kill('SIGKILL')
  await ended(child.process)
}

async function terminate(child: Child): Promise<void> {
  child.process.kill('SIGTERM')
  await ended(child.process)
}

/** That it answers is not enough: Kafka's controller may not know yet that there is a broker to place partitions on. */
async function wouldMakeTopics(port: number): Promise<boolean> {
  const client = await WireClient.connect(port)
  try {
    const topic = { name: 'ready', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
    const { topics } = await client.request(createTopicsApi, 1, { topics: [topic], validateOnly: true })
    return topics[0].errorCode === 0
  } finally {
    client.close()
  }
}

const quickJvm = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']

/** Directories that a broker has written, and what a ZooKeeper would know of their topics. */
export interface WrittenData {
  /** As `log.dirs` names them: several are separated by commas. */
  readonly logDir: string
  readonly properties: Readonly<Record<string, string>>
  /** Path and data of znodes, parents first. */
  readonly znodes: readonly (readonly [path: string, data: string])[]
}

/** On an empty directory of its own, or on what another broker has written. */
export async function startKafka(written?: WrittenData): Promise<RunningBroker> {
  const directory = mkdtempSync(join(tmpdir(), 'odradek-beside-kafka-'))
  const [zooKeeperPort, port] = [await freePort(), await freePort()]
  const logDir = written?.logDir ?? join(directory, 'data')
  const children: Child[] = []
  const stop = async (): Promise<void> => {
    for (const child of children.reverse()) await kill(child)
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    children.push(startZooKeeper(directory, zooKeeperPort))
    await untilServing('ZooKeeper', children[0], async () => {
      ;(await WireClient.connect(zooKeeperPort)).close()
      return true
    })
    if (written !== undefined) await writeZnodes(directory, zooKeeperPort, written.znodes)
    const file = writeProperties(join(directory, 'server.properties'), {
      ...sharedProperties,
      ...written?.properties,
      listeners: `PLAINTEXT://127.0.0.1:${port}`,
      'log.dirs': logDir,
      'zookeeper.connect': `127.0.0.1:${zooKeeperPort}`,
    })
    const kafka = start('java', [...javaArguments(directory), 'kafka.Kafka', file])
    children.push(kafka)
    await untilServing('Apache Kafka', kafka, () => wouldMakeTopics(port))
    return { name: 'kafka', port, logDir, output: () => kafka.said, shutDown: () => terminate(kafka), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function javaArguments(directory: string): string[] {
  // What loading a directory finds is told at INFO.
  const logging = writeLines(join(directory, 'log4j.properties'), [
    readFileSync(join(repository, 'bench/kafka/log4j.properties'), 'utf8').trimEnd(),
    'log4j.logger.kafka.log=INFO',
    'log4j.logger.org.apache.kafka.storage=INFO',
  ])
  const options = [`-Dlog4j.configuration=file:${logging}`, `-Dkafka.logs.dir=${directory}`]
  return [...quickJvm, ...options, '-cp', kafka39ClassPath()]
}

/** The ZooKeeper that Kafka's jars bring; Kafka itself waits until it answers. */
function startZooKeeper(directory: string, port: number): Child {
  const dataDir = join(directory, 'zookeeper')
  mkdirSync(dataDir)
  const file = writeProperties(join(directory, 'zoo.cfg'), {
    dataDir,
    clientPort: String(port),
    clientPortAddress: '127.0.0.1',
    maxClientCnxns: '0',
    'admin.enableServer': 'false',
    tickTime: '2000',
  })
  return start('java', [
    ...javaArguments(directory),
    'org.apache.zookeeper.server.quorum.QuorumPeerMain',
    file,
  ])
}

/** By ZooKeeper's own shell, which waits until the server answers. */
async function writeZnodes(directory: string, port: number, znodes: WrittenData['znodes']): Promise<void> {
  const shell = ['org.apache.zookeeper.ZooKeeperMain', '-waitforconnection', '-server', `127.0.0.1:${port}`]
  const input = znodes.map(([path, data]) => `create ${path} ${data || '""'}\n`).join('')
  const { stdout, stderr } = await runCommand('java', [...javaArguments(directory), ...shell], {
    input: `${input}quit\n`,
  })
  const made = `${stdout}\n${stderr}`.split('\n').filter((line) => line.startsWith('Created ')).length
  if (made !== znodes.length) throw new Error(`znodes were not made:\n${stdout}${stderr}`)
}

/** Our built command, given the same file, and these settings. */
export async function startOdradek(
  properties: Readonly<Record<string, string>> = {},
): Promise<RunningBroker> {
  // Another bundle than the built one, for who works on the broker beside others.
  const command = process.env.ODRADEK_BESIDE_COMMAND ?? join(repository, 'dist/odradek.js')
  if (!existsSync(command)) throw new Error('dist/odradek.js is not there: npm run build')
  const directory = mkdtempSync(join(tmpdir(), 'odradek-beside-ours-'))
  const logDir = join(directory, 'data')
  const port = await freePort()
  const file = writeProperties(join(directory, 'server.properties'), {
    ...sharedProperties,
    ...properties,
    listeners: `PLAINTEXT://127.0.0.1:${port}`,
    'log.dirs': logDir,
  })
  const child = start(process.execPath, [command, file])
  const stop = async (): Promise<void> => {
    await kill(child)
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    await untilServing('Odradek', child, () => wouldMakeTopics(port))
    return { name: 'odradek', port, logDir, output: () => child.said, shutDown: () => terminate(child), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function writeProperties(file: string, properties: Readonly<Record<string, string>>): string {
  return writeLines(
    file,
    Object.entries(properties).map(([key, value]) => `${key}=${value}`),
  )
}

function writeLines(file: string, lines: readonly string[]): string {
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''))
  return file
}
