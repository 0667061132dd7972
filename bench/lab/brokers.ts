/** The brokers side by side: Odradek's built bundle, Apache Kafka 3.9 in ZooKeeper mode, and the floor. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, startServer } from './process.ts'
import type { Started } from './process.ts'
import { cache, kafkaClassPath, odradekBundle, root } from './tools.ts'

export interface Broker extends Started {
  readonly port: number
  /** What clients are told: `host:port`. */
  readonly bootstrap: string
}

function reachedBy(port: number, started: Started): Broker {
  return { ...started, port, bootstrap: `127.0.0.1:${port}` }
}

export type Start = (directory: string) => Promise<Broker>

/** Deleted topics give their room back at once, on both: a series writes more than a tmpfs holds. */
export const sameSettings = ['log.segment.delete.delay.ms=0', 'log.initial.task.delay.ms=1000']

/** `node dist/odradek.js`, as `npm start` runs it; a profile gives flags and a bundle of its own. */
export async function startOdradek(
  directory: string,
  program = [odradekBundle()],
  settings: readonly string[] = [],
  flags: readonly string[] = [],
): Promise<Broker> {
  const port = await freePort()
  const overrides = [...sameSettings, ...settings].flatMap((setting) => ['--override', setting])
  const args = [...program, '--port', String(port), '--data-dir', directory, ...flags, ...overrides]
  const started = await startServer(process.execPath, args, /^odradek .* ready in /m)
  return reachedBy(port, started)
}

/** Partitions of the floor's every topic. */
export async function startFloor(directory: string, partitions: number): Promise<Broker> {
  const port = await freePort()
  const program = join(cache, 'bench', 'floor-broker.mjs')
  const args = [program, directory, String(port), String(partitions)]
  return reachedBy(port, await startServer(process.execPath, args, /ready/))
}

/** What kafka-server-start gives its JVM. */
export const kafkaJvm = [
  '-Xmx1G',
  '-Xms1G',
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-Djava.awt.headless=true',
]

export interface ZooKeeper {
  readonly port: number
  /** Waits until no broker is registered under `chroot`: a killed one stays until its session ends. */
  readonly untilForgotten: (chroot: string) => Promise<void>
  readonly stop: () => Promise<void>
}

/** The ZooKeeper that Kafka's own jars bring, as zookeeper-server-start runs it. */
export async function startZooKeeper(directory: string): Promise<ZooKeeper> {
  const port = await freePort()
  mkdirSync(directory, { recursive: true })
  const config = join(directory, 'zoo.cfg')
  const lines = [
    `dataDir=${directory}`,
    `clientPort=${port}`,
    'clientPortAddress=127.0.0.1',
    'maxClientCnxns=0',
    'admin.enableServer=false',
    'tickTime=2000',
    '4lw.commands.whitelist=srvr,dump',
  ]
  writeFileSync(config, lines.join('\n') + '\n')
  const jvm = ['-Xmx512m', '-XX:+UseSerialGC', `-Dlog4j.configuration=${log4j()}`, '-cp', kafkaClassPath()]
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
  const { stop } = await startServer('java', [...jvm, main, config], /^/)
  for (
    const deadline = performance.now() + 30_000;
    (await askZooKeeper(port, 'srvr')) === '';
    await sleep(50)
  )
    if (performance.now() > deadline) throw new Error('ZooKeeper does not answer after 30 s')
  const untilForgotten = async (chroot: string) => {
    const deadline = performance.now() + 60_000
    while ((await askZooKeeper(port, 'dump')).includes(`/${chroot}/brokers/ids/`)) {
      if (performance.now() > deadline)
        throw new Error('ZooKeeper still knows a killed broker after a minute')
      await sleep(100)
    }
  }
  return { port, untilForgotten, stop: () => stop('SIGKILL') }
}

/** The answer to a four-letter word; empty when there is none. */
export function askZooKeeper(port: number, word: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(word))
    socket.setTimeout(1000, () => socket.destroy())
    socket.on('data', (chunk) => (answer += chunk.toString()))
    socket.on('error', () => {})
    socket.once('close', () => resolve(answer))
  })
}

export function log4j(): string {
  return `file:${join(root, 'bench', 'kafka', 'log4j.properties')}`
}

/** Kafka's own defaults (config/server.properties), its own JVM flags, one broker. */
export async function startKafka(
  directory: string,
  zookeeper: ZooKeeper,
  chroot: string,
  settings: readonly string[] = [],
): Promise<Broker> {
  const port = await freePort()
  mkdirSync(directory, { recursive: true })
  const config = `${directory}.properties`
  const lines = [
    'broker.id=1',
    `listeners=PLAINTEXT://127.0.0.1:${port}`,
    `log.dirs=${directory}`,
    `zookeeper.connect=127.0.0.1:${zookeeper.port}/${chroot}`,
    'zookeeper.connection.timeout.ms=18000',
    'num.network.threads=3',
    'num.io.threads=8',
    'socket.send.buffer.bytes=102400',
    'socket.receive.buffer.bytes=102400',
    'socket.request.max.bytes=104857600',
    'num.recovery.threads.per.data.dir=1',
    'offsets.topic.replication.factor=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'group.initial.rebalance.delay.ms=0',
    ...sameSettings,
    ...settings,
  ]
  writeFileSync(config, lines.join('\n') + '\n')
  const options = [
    `-Dlog4j.configuration=${log4j()}`,
    `-Dkafka.logs.dir=${directory}`,
    '-cp',
    kafkaClassPath(),
  ]
  const started = await startServer(
    'java',
    [...kafkaJvm, ...options, 'kafka.Kafka', config],
    /started \(kafka/,
  )
  return reachedBy(port, started)
}

/** A directory of this run's own under `parent`, with a way to be rid of it. */
export function workDirectory(parent: string): { path: string; remove: () => void } {
  const path = join(parent, `odradek-bench-${process.pid}`)
  rmSync(path, { recursive: true, force: true })
  mkdirSync(path, { recursive: true })
  const remove = () => rmSync(path, { recursive: true, force: true })
  process.on('exit', remove)
  return { path, remove }
}
