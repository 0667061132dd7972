/** Three ZooKeeper servers, those that Kafka's own jars bring, for two clusters that stand on them side by side. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { askZooKeeper, log4j } from './brokers.ts'
import { freePort, startServer } from './process.ts'
import type { Started } from './process.ts'
import { kafkaClassPath } from './tools.ts'

const SERVERS = 3
/** ZooKeeper's default. A session lives for 2 to 20 ticks and ends on a tick. */
const TICK_MS = 2000
const JVM = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

export interface Ensemble {
  /** The port that each server's clients use. */
  readonly ports: readonly number[]
  /** `host:port,...` */
  readonly connect: string
  /** The id of the session that an ephemeral znode belongs to; undefined while it is not there. */
  readonly ownerOf: (path: string) => Promise<string | undefined>
  readonly stop: () => Promise<void>
}

/** Resolves when all three serve. */
export async function startEnsemble(directory: string): Promise<Ensemble> {
  const ports: number[] = []
  for (let i = 0; i < SERVERS * 3; i++) ports.push(await freePort())
  const clientPorts = ports.slice(0, SERVERS)
  const members = clientPorts.map((port, i) => {
    const between = `${ports[SERVERS + i]}:${ports[2 * SERVERS + i]}`
    return `server.${i + 1}=127.0.0.1:${between};127.0.0.1:${port}`
  })
  const servers = await Promise.all(
    clientPorts.map((_, i) => startOne(join(directory, String(i + 1)), i, members)),
  )
  const deadline = performance.now() + 60_000
  for (const port of clientPorts)
    while (!/^Mode: /m.test(await askZooKeeper(port, 'srvr'))) {
      if (performance.now() > deadline) throw new Error('the ensemble does not serve after a minute')
      await sleep(50)
    }
  return {
    ports: clientPorts,
    connect: clientPorts.map((port) => `127.0.0.1:${port}`).join(','),
    ownerOf: async (path) => ownersIn(await askZooKeeper(clientPorts[0], 'dump')).get(path),
    stop: async () => void (await Promise.all(servers.map((server) => server.stop('SIGKILL')))),
  }
}

/** A dump names each session that owns ephemeral znodes, `0x…:`, and below it their paths, indented. */
function ownersIn(dump: string): Map<string, string> {
  const owners = new Map<string, string>()
  let session = ''
  for (const line of dump.slice(dump.indexOf('ephemeral')).split('\n')) {
    session = /^(0x[0-9a-f]+):/.exec(line)?.[1] ?? session
    if (/^\s+\//.test(line)) owners.set(line.trim(), session)
  }
  return owners
}

function startOne(directory: string, index: number, members: readonly string[]): Promise<Started> {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'myid'), String(index + 1))
  const config = join(directory, 'zoo.cfg')
  const lines = [
    `dataDir=${directory}`,
    `tickTime=${TICK_MS}`,
    'initLimit=10',
    'syncLimit=5',
    'maxClientCnxns=0',
    'admin.enableServer=false',
    '4lw.commands.whitelist=srvr,dump',
    ...members,
  ]
  writeFileSync(config, lines.join('\n') + '\n')
  const options = [`-Dlog4j.configuration=${log4j()}`, '-cp', kafkaClassPath()]
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
  return startServer('java', [...JVM, ...options, main, config], null)
}
