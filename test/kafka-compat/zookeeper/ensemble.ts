/** A real ZooKeeper ensemble, from Debian's package: servers that can be killed, frozen, started again and cut off. */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { loopback, type Place } from '../harness/place.ts'
import { ended, startProcess } from '../harness/processes.ts'

const CLASS_PATH = '/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-nop.jar'
const JVM = [
  '-Xmx64m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Dzookeeper.admin.enableServer=false',
  '-Dzookeeper.enforceQuota=true',
  // Servers are killed, machines are not: what was written is there after a kill without being synced.
  '-Dzookeeper.forceSync=no',
]
/** Sessions live for 2 ticks or more; servers part from a leader that is silent for 10. */
const TICK_MS = 200

export class ZookeeperServer {
  readonly port: number
  readonly place: Place
  readonly #configuration: string
  #process: ChildProcess | null = null

  constructor(place: Place, port: number, configuration: string) {
    this.place = place
    this.port = port
    this.#configuration = configuration
  }

  start(): void {
    const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
    const launch = this.place.launch('java', [...JVM, '-cp', CLASS_PATH, main, this.#configuration])
    this.#process = startProcess(...launch, { stdio: 'ignore' })
  }

  async kill(): Promise<void> {
    this.#process!.kill('SIGKILL')
    await ended(this.#process!)
  }

  freeze(): void {
    this.#process!.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process!.kill('SIGCONT')
  }

  /** `leader`, `follower` or `standalone`; null while it serves nobody. */
  async mode(): Promise<string | null> {
    const answer = await fourLetters(this, 'srvr').catch(() => '')
    return /^Mode: (\w+)/m.exec(answer)?.[1] ?? null
  }
}

export interface Ensemble {
  readonly servers: readonly ZookeeperServer[]
  /** `host:port,...` for clients. */
  readonly connect: string
  leader(): Promise<ZookeeperServer>
  stop(): Promise<void>
}

/** Resolves when every server serves. With places, the servers run there, one at each. */
export async function startEnsemble(
  size: 1 | 3,
  places: readonly Place[] = [],
  tickMs = TICK_MS,
): Promise<Ensemble> {
  const hosts = Array.from({ length: size }, (_, i) => places[i] ?? loopback)
  const directory = mkdtempSync(join(tmpdir(), 'odradek-zookeeper-'))
  const ports: number[] = []
  for (let i = 0; i < size * 3; i++) ports.push(await freePort())
  const peers = Array.from({ length: size }, (_, i) => {
    const { host } = hosts[i]
    return `server.${i + 1}=${host}:${ports[size + i]}:${ports[2 * size + i]};${host}:${ports[i]}\n`
  })
  const servers = Array.from({ length: size }, (_, i) => {
    const data = join(directory, String(i + 1))
    mkdirSync(data)
    writeFileSync(join(data, 'myid'), String(i + 1))
    const file = join(directory, `${i + 1}.cfg`)
    const settings = [
      `dataDir=${data}`,
      `tickTime=${tickMs}`,
      'maxSessionTimeout=60000',
      'initLimit=50',
      'syncLimit=10',
      'maxClientCnxns=0',
    ]
    settings.push('4lw.commands.whitelist=srvr,ruok', 'standaloneEnabled=true')
    writeFileSync(
      file,
      `${settings.join('\n')}\n${size === 1 ? `clientPort=${ports[0]}\nclientPortAddress=${hosts[i].host}\n` : peers.join('')}`,
    )
    return new ZookeeperServer(hosts[i], ports[i], file)
  })
  for (const server of servers) server.start()
  const find = async (mode: RegExp): Promise<ZookeeperServer | undefined> => {
    for (const server of servers) if (mode.test((await server.mode()) ?? '')) return server
    return undefined
  }
  await eventually('the ensemble serves', async () => {
    const modes = await Promise.all(servers.map((server) => server.mode()))
    return modes.every((mode) => mode !== null)
  })
  return {
    servers,
    connect: servers.map(({ place, port }) => `${place.host}:${port}`).join(','),
    leader: () => eventually('the ensemble has a leader', () => find(/leader|standalone/)),
    async stop() {
      await Promise.all(servers.map((server) => server.kill()))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function fourLetters({ place, port }: ZookeeperServer, word: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, place.host)
    let said = ''
    socket.setTimeout(1000, () => socket.destroy(new Error('no answer')))
    socket.on('connect', () => socket.end(word))
    socket.on('data', (bytes) => (said += bytes.toString()))
    socket.on('error', reject)
    socket.on('close', () => resolve(said))
  })
}

/** A way to a server that can be cut: connections end, are refused, or fall silent. */
export class Wire {
  readonly #server: Server
  readonly #pairs = new Set<[Socket, Socket]>()
  /** Replies that get through whole before the next is cut in its middle; Infinity: all. */
  #bytesLeft = Infinity
  #silent = false
  #open = true
  port = 0

  constructor(to: number) {
    this.#server = createServer((near) => {
      if (!this.#open) return void near.destroy()
      const far = connect(to, '127.0.0.1')
      const pair: [Socket, Socket] = [near, far]
      this.#pairs.add(pair)
      near.on('data', (bytes) => this.#silent || far.write(bytes))
      far.on('data', (bytes) => this.#pass(near, bytes))
      for (const socket of pair) {
        socket.on('error', () => undefined)
        socket.on('close', () => {
          for (const end of pair) end.destroy()
          this.#pairs.delete(pair)
        })
      }
    })
  }

  #pass(near: Socket, bytes: Buffer): void {
    if (this.#silent) return
    const passing = bytes.subarray(0, Math.min(bytes.length, this.#bytesLeft))
    this.#bytesLeft -= passing.length
    near.write(passing)
    if (this.#bytesLeft > 0) return
    this.#bytesLeft = Infinity
    near.end()
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.port = (this.#server.address() as { port: number }).port
    return this
  }

  /** Connections end; with `refuse` new ones do as well. */
  cut(refuse = false): void {
    this.#open = !refuse
    for (const [near] of this.#pairs) near.destroy()
  }

  /** After so many more bytes of replies the connection ends. */
  cutAfter(bytes: number): void {
    this.#bytesLeft = bytes
  }

  /** Accepts, and passes nothing on, either way. */
  fallSilent(): void {
    this.#silent = true
  }

  restore(): void {
    this.#silent = false
    this.#open = true
    this.#bytesLeft = Infinity
  }

  async stop(): Promise<void> {
    this.cut(true)
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
