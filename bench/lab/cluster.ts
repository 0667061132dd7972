/** Three brokers of one kind on an ensemble, each a process that is killed, frozen, stopped and started again. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { kafkaJvm, log4j, sameSettings } from './brokers.ts'
import type { Ensemble } from './ensemble.ts'
import { freePort, startServer } from './process.ts'
import type { Started } from './process.ts'
import { kafkaClassPath, odradekBundle } from './tools.ts'
import { int16, int32, string, viewOf, withWire } from './wire.ts'
import type { ClusterView, Wire } from './wire.ts'

export type Kind = 'odradek' | 'kafka'

export const BROKER_IDS: readonly number[] = [1, 2, 3]
export const SESSION_TIMEOUT_MS = 6000

/** Kafka's config/server.properties, three copies of everything, and no leader moved but by the measurement. */
const settings = [
  `zookeeper.session.timeout.ms=${SESSION_TIMEOUT_MS}`,
  'zookeeper.connection.timeout.ms=18000',
  'num.network.threads=3',
  'num.io.threads=8',
  'socket.send.buffer.bytes=102400',
  'socket.receive.buffer.bytes=102400',
  'socket.request.max.bytes=104857600',
  'num.recovery.threads.per.data.dir=1',
  'min.insync.replicas=2',
  'offsets.topic.replication.factor=3',
  'transaction.state.log.replication.factor=3',
  'transaction.state.log.min.isr=2',
  'group.initial.rebalance.delay.ms=0',
  'auto.create.topics.enable=false',
  'auto.leader.rebalance.enable=false',
  ...sameSettings,
]

/** How a broker is reached where it is not reached directly: by a port before its own, and by one before each server. */
export interface Detour {
  readonly listenerPort: (brokerId: number, port: number) => Promise<number>
  readonly zooKeeperPorts: (brokerId: number, ports: readonly number[]) => Promise<readonly number[]>
}

const direct: Detour = {
  listenerPort: (_, port) => Promise.resolve(port),
  zooKeeperPorts: (_, ports) => Promise.resolve(ports),
}

interface Member {
  readonly configFile: string
  readonly directory: string
  /** The port that clients and brokers are told. */
  readonly port: number
  process: Started | undefined
}

const NOT_CONTROLLER = 41
const REQUEST_TIMED_OUT = 7
const INVALID_REPLICATION_FACTOR = 38
const INVALID_REPLICA_ASSIGNMENT = 39
const CREATE_TOPICS = 19
const DELETE_TOPICS = 20
const ELECT_LEADERS = 43
const ADMIN_TIMEOUT_MS = 60_000
/** Kafka needs minutes for 10,000 partitions. */
const BELIEF_LIMIT_MS = 900_000
/** Of the time that an answer took: what is asked of 10,000 partitions would keep a broker busy by itself. */
const PAUSES_PER_ANSWER = 4
const LEAST_PAUSE_MS = 20
const MOST_SHOWN = 1000

export class BenchCluster {
  readonly kind: Kind
  readonly #members: ReadonlyMap<number, Member>
  readonly #nodeArgs: readonly string[] | undefined

  private constructor(kind: Kind, members: ReadonlyMap<number, Member>, nodeArgs?: readonly string[]) {
    this.kind = kind
    this.#members = members
    this.#nodeArgs = nodeArgs
  }

  /** Its chroot on the ensemble is its kind's name, or `chroot`. Resolves when every broker knows of all three. */
  static async start(
    kind: Kind,
    { directory, ensemble, chroot = kind, detour = direct, nodeArgs }: ClusterPlace,
  ): Promise<BenchCluster> {
    const members = new Map<number, Member>()
    for (const id of BROKER_IDS) {
      const own = join(directory, String(id))
      mkdirSync(own, { recursive: true })
      const port = await freePort()
      const told = await detour.listenerPort(id, port)
      const servers = (await detour.zooKeeperPorts(id, ensemble.ports)).map((each) => `127.0.0.1:${each}`)
      const lines = [
        `broker.id=${id}`,
        `listeners=PLAINTEXT://127.0.0.1:${port}`,
        `advertised.listeners=PLAINTEXT://127.0.0.1:${told}`,
        `log.dirs=${own}`,
        `zookeeper.connect=${servers.join(',')}/${chroot}`,
        ...settings,
      ]
      const configFile = join(directory, `${id}.properties`)
      writeFileSync(configFile, lines.join('\n') + '\n')
      members.set(id, { configFile, directory: own, port: told, process: undefined })
    }
    const cluster = new BenchCluster(kind, members, nodeArgs)
    await Promise.all(BROKER_IDS.map((id) => cluster.start(id)))
    await cluster.untilAll('know each other', ({ brokerIds }) => brokerIds.length === BROKER_IDS.length)
    return cluster
  }

  get bootstrap(): string {
    return [...this.#members.values()].map(({ port }) => `127.0.0.1:${port}`).join(',')
  }

  get pids(): number[] {
    return [...this.#members.values()].flatMap(({ process }) => (process === undefined ? [] : [process.pid]))
  }

  pid(id: number): number {
    return this.#members.get(id)!.process!.pid
  }

  /** Starts the process of a broker and resolves when it says that it is ready. */
  async start(id: number): Promise<void> {
    const member = this.#members.get(id)!
    member.process = await (this.kind === 'kafka' ? startKafka(member) : startOdradek(member, this.#nodeArgs))
  }

  /** Signals a broker and waits for its end. */
  async stop(id: number, signal: NodeJS.Signals): Promise<void> {
    const member = this.#members.get(id)!
    const { process } = member
    member.process = undefined
    await process!.stop(signal)
  }

  /** SIGSTOP or SIGCONT. */
  signal(id: number, signal: NodeJS.Signals): void {
    process.kill(this.pid(id), signal)
  }

  async stopAll(): Promise<void> {
    const running = BROKER_IDS.filter((id) => this.#members.get(id)!.process !== undefined)
    await Promise.all(running.map((id) => this.stop(id, 'SIGKILL')))
  }

  /** What a broker believes; asked over a connection of its own. */
  view(id: number, topic: string): Promise<ClusterView> {
    return withWire(this.#members.get(id)!.port, (wire) => viewOf(wire, topic))
  }

  /** Waits until every one of `ids` believes it; a quarter of an hour at most. */
  async untilAll(
    what: string,
    believed: (view: ClusterView) => boolean,
    topic = '',
    ids: readonly number[] = BROKER_IDS,
  ): Promise<void> {
    const deadline = performance.now() + BELIEF_LIMIT_MS
    for (const id of ids)
      for (;;) {
        const askedAt = performance.now()
        const view = await this.view(id, topic).catch(() => undefined)
        if (view !== undefined && believed(view)) break
        const now = performance.now()
        if (now > deadline) {
          const seen = JSON.stringify(view)?.slice(0, MOST_SHOWN)
          throw new Error(`${this.kind}: not in time: ${what}; broker ${id} sees ${seen}`)
        }
        await sleep(Math.max(LEAST_PAUSE_MS, PAUSES_PER_ANSWER * (now - askedAt)))
      }
  }

  /** Every partition has all its replicas in sync, as all brokers see it. */
  untilInSync(topic: string): Promise<void> {
    const isWhole = ({ partitions }: ClusterView) =>
      partitions.length > 0 &&
      partitions.every(({ leader, replicas, inSync }) => leader >= 0 && inSync.length === replicas.length)
    return this.untilAll(`${topic} is in sync`, isWhole, topic)
  }

  /** The controller that all running brokers agree on. */
  async controller(): Promise<number> {
    let agreed = -1
    await this.untilAll('there is a controller', ({ controllerId }) => (agreed = controllerId) >= 0)
    return agreed
  }

  /** CreateTopics 0 with the replicas of each partition, the preferred leader first; resolves when all are in sync. */
  async createTopic(topic: string, replicas: readonly (readonly number[])[]): Promise<void> {
    const assignment = replicas.map((ids, partition) =>
      Buffer.concat([int32(partition), int32(ids.length), ...ids.map(int32)]),
    )
    const shape = [int32(-1), int16(-1), int32(replicas.length), ...assignment, int32(0)]
    const body = [int32(1), string(topic), ...shape, int32(ADMIN_TIMEOUT_MS)]
    // A broker that has only just started is not yet one to place partitions on.
    const again = [INVALID_REPLICATION_FACTOR, INVALID_REPLICA_ASSIGNMENT]
    const at = 4 + 2 + Buffer.byteLength(topic)
    await this.#atController(async (wire) => {
      const answer = await wire.request(CREATE_TOPICS, 0, body)
      const error = answer.readInt16BE(at)
      // Kafka has 10,000 partitions in work for longer than it may answer; it is waited for.
      return error === REQUEST_TIMED_OUT ? 0 : error
    }, again)
    await this.untilInSync(topic)
  }

  /** DeleteTopics 0; resolves when no broker knows it any more. */
  async deleteTopic(topic: string): Promise<void> {
    const body = [int32(1), string(topic), int32(ADMIN_TIMEOUT_MS)]
    await this.#atController(async (wire) => {
      const answer = await wire.request(DELETE_TOPICS, 0, body)
      return answer.readInt16BE(4 + 2 + Buffer.byteLength(topic))
    })
    await this.untilAll(`${topic} is gone`, ({ partitions }) => partitions.length === 0, topic)
  }

  /** ElectLeaders 0: each partition is led by the first of its replicas again, as all brokers see it. */
  async electPreferred(topic: string, partitions: number): Promise<void> {
    const numbers = Array.from({ length: partitions }, (_, partition) => int32(partition))
    const body = [int32(1), string(topic), int32(partitions), ...numbers, int32(ADMIN_TIMEOUT_MS)]
    // An answer holds an error per partition; NOT_CONTROLLER is that of every one.
    const firstError = 4 + 4 + 2 + Buffer.byteLength(topic) + 4 + 4
    await this.#atController(async (wire) => {
      const answer = await wire.request(ELECT_LEADERS, 0, body)
      return answer.length > firstError && answer.readInt16BE(firstError) === NOT_CONTROLLER
        ? NOT_CONTROLLER
        : 0
    })
    const isPreferred = (view: ClusterView) =>
      view.partitions.every(({ leader, replicas }) => leader === replicas[0])
    await this.untilAll(`${topic} is led by its preferred replicas`, isPreferred, topic)
  }

  /** Asks the controller until it answers 0; `again` are the errors that pass with time. Rejects with the others. */
  async #atController(ask: (wire: Wire) => Promise<number>, again: readonly number[] = []): Promise<void> {
    const deadline = performance.now() + 30_000
    for (;;) {
      const { port } = this.#members.get(await this.controller())!
      const error = await withWire(port, ask)
      if (error === 0) return
      if (performance.now() > deadline || ![NOT_CONTROLLER, ...again].includes(error))
        throw new Error(`${this.kind}: the controller answered error ${error}`)
      await sleep(50)
    }
  }
}

export interface ClusterPlace {
  readonly directory: string
  readonly ensemble: Ensemble
  readonly chroot?: string
  readonly detour?: Detour
  /** What Node runs as a broker of ours, in place of the command that is built. */
  readonly nodeArgs?: readonly string[]
}

function startKafka({ configFile, directory }: Member): Promise<Started> {
  const options = [`-Dlog4j.configuration=${log4j()}`, `-Dkafka.logs.dir=${directory}`]
  const args = [...kafkaJvm, ...options, '-cp', kafkaClassPath(), 'kafka.Kafka', configFile]
  return startServer('java', args, /started \(kafka/)
}

function startOdradek(
  { configFile }: Member,
  nodeArgs: readonly string[] = [odradekBundle()],
): Promise<Started> {
  return startServer(process.execPath, [...nodeArgs, configFile], /^odradek .* ready in /m)
}
