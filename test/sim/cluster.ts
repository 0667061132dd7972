/**
 * Brokers, their disks, the network between them and an ensemble, in one process and from one seed, in virtual time. The
 * same seed gives the same run, event by event: `traceHash` says so.
 */
import { Broker } from '../../src/broker/broker.ts'
import { BrokerConfig, type Properties } from '../../src/broker/config/broker-config.ts'
import { createEmbeddedCoordination } from '../../src/coordination/embedded.ts'
import { CONTROLLER_PATH } from '../../src/controller/znodes.ts'
import type { CoordinationSession } from '../../src/env/coordination.ts'
import type { Env, Logger } from '../../src/env/env.ts'
import { SimEnsemble } from '../../src/env/sim/coordination.ts'
import { SimDisk, type CrashMode } from '../../src/env/sim/disk.ts'
import { SimLinks } from '../../src/env/sim/links.ts'
import { SimNetwork } from '../../src/env/sim/network.ts'
import { SimProcess } from '../../src/env/sim/process.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'
import { crc32c } from '../../src/protocol/crc32c.ts'
import { Ledger } from './ledger.ts'

export const ENSEMBLE = 'zookeeper'
export const SESSION_TIMEOUT_MS = 2000
const PORT = 9092
export const DATA_DIRECTORY = '/data'
/** A process that ended by itself is started again after this, as a supervisor does. */
const SUPERVISOR_MS = 500
/** Lines of the brokers' logs that are kept for whoever looks at a failure. */
const MAX_LINES = 5000

/** Everything waits a tenth of the usual time, so that a short run sees it all. */
const PROPERTIES: Properties = {
  'zookeeper.connect': `${ENSEMBLE}:2181`,
  'zookeeper.session.timeout.ms': String(SESSION_TIMEOUT_MS),
  'replica.lag.time.max.ms': '1500',
  'replica.fetch.wait.max.ms': '200',
  'replica.fetch.backoff.ms': '100',
  'replica.socket.timeout.ms': '1500',
  'controller.socket.timeout.ms': '1500',
  'request.timeout.ms': '2000',
  'replica.high.watermark.checkpoint.interval.ms': '500',
  'log.flush.offset.checkpoint.interval.ms': '500',
  'default.replication.factor': '3',
  'min.insync.replicas': '2',
  'offsets.topic.num.partitions': '1',
  'offsets.topic.replication.factor': '3',
  'transaction.state.log.num.partitions': '1',
  'auto.create.topics.enable': 'false',
  'log.cleaner.enable': 'false',
  'controlled.shutdown.retry.backoff.ms': '200',
  'group.initial.rebalance.delay.ms': '0',
}

/** Something that must hold does not. */
export class InvariantError extends Error {}

export interface SimClusterOptions {
  readonly seed: number
  readonly brokers?: number
  readonly properties?: Properties
  /** Prints what the brokers log while they do. */
  readonly verbose?: boolean
}

export class SimCluster {
  readonly seed: number
  readonly scheduler: SimScheduler
  readonly random: SeededRandom
  readonly links: SimLinks
  readonly network: SimNetwork
  readonly ensemble: SimEnsemble
  readonly nodes: SimNode[]
  readonly ledger: Ledger
  readonly lines: string[] = []
  /** What no code foresaw: a run with any has failed. */
  readonly bugs: unknown[] = []
  /** Of all that arrived anywhere, and when. */
  traceHash = 0x811c9dc5
  readonly verbose: boolean
  readonly #operator: Promise<CoordinationSession>
  readonly #ambushes = new Set<() => void>()

  constructor({ seed, brokers = 3, properties = {}, verbose = false }: SimClusterOptions) {
    this.seed = seed
    this.verbose = verbose
    this.scheduler = new SimScheduler({ seed })
    this.random = new SeededRandom(seed ^ 0x5eed)
    this.links = new SimLinks(this.scheduler, new SeededRandom(seed + 1))
    this.network = new SimNetwork(this.links, new SeededRandom(seed + 2))
    this.network.trace = (from, to, bytes) => this.note(`${from}>${to}`, crc32c(bytes))
    const { clock, timers } = this.scheduler
    const disk = new SimDisk({ random: this.random })
    const store = createEmbeddedCoordination({
      ...{ disk, clock, timers, directory: null },
      logger: this.loggerOf(ENSEMBLE),
    })
    this.ledger = new Ledger((text) => void this.bugs.push(new InvariantError(text)))
    this.#operator = store.connect({ sessionTimeoutMs: SESSION_TIMEOUT_MS })
    this.ensemble = new SimEnsemble({ links: this.links, store: this.ledger.watch(store), host: ENSEMBLE })
    this.nodes = Array.from({ length: brokers }, (_, index) => new SimNode(this, index + 1, properties))
  }

  /** As an operator does who wants another controller: the one that there is hears of it later. */
  deleteController(): void {
    void this.#operator.then((session) => session.delete(CONTROLLER_PATH)).catch(() => undefined)
  }

  node(id: number): SimNode | undefined {
    return this.nodes.find((node) => node.id === id)
  }

  /** `act` once, as soon as `isTime` holds after an event. Gives what calls it off. */
  ambush(isTime: () => boolean, act: () => void): () => void {
    const look = (): void => {
      if (!isTime()) return
      this.#ambushes.delete(look)
      act()
    }
    this.#ambushes.add(look)
    return () => void this.#ambushes.delete(look)
  }

  /** After each event. */
  look(): void {
    for (const look of this.#ambushes) look()
  }

  get bootstrap(): { host: string; port: number }[] {
    return this.nodes.map(({ host }) => ({ host, port: PORT }))
  }

  /** All brokers are up and know of each other. */
  async start(): Promise<void> {
    for (const node of this.nodes) node.start()
    await this.until(() => this.nodes.every((node) => node.broker !== null), 30_000, 'the brokers start')
  }

  /** Lets time pass until `condition` holds; rejects when it does not. */
  async until(condition: () => boolean, limitMs: number, what: string): Promise<void> {
    const endMs = this.scheduler.elapsedMs + limitMs
    while (!condition()) {
      if (this.scheduler.elapsedMs >= endMs) throw new Error(`after ${limitMs} ms it is not so that ${what}`)
      await this.scheduler.advance(20)
    }
  }

  log(from: string, text: string): void {
    const line = `${this.scheduler.elapsedMs.toFixed(1).padStart(9)} ${from} ${text}`
    if (this.verbose) console.log(line)
    this.lines.push(line)
    if (this.lines.length > MAX_LINES) this.lines.splice(0, MAX_LINES / 2)
  }

  loggerOf(from: string): Logger {
    return {
      log: (level, message, fields) => {
        if (level !== 'debug' || this.verbose)
          this.log(from, `${level} ${message} ${fields ? JSON.stringify(fields) : ''}`)
      },
    }
  }

  /** Takes an event into the trace. */
  note(name: string, value: number): void {
    let hash = this.traceHash
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
    hash = Math.imul(hash ^ value, 0x01000193)
    hash = Math.imul(hash ^ Math.floor(this.scheduler.elapsedMs * 1000), 0x01000193)
    this.traceHash = hash >>> 0
  }
}

/** One machine with one broker, which is started again when it has ended. */
export class SimNode {
  readonly id: number
  readonly host: string
  readonly disk: SimDisk
  /** Serving; null while it starts and while it is down. */
  broker: Broker | null = null
  process: SimProcess | null = null
  /** False: it stays down until `start`. */
  wanted = false
  /** How many processes there have been. */
  lives = 0
  readonly #cluster: SimCluster
  readonly #properties: Properties

  constructor(cluster: SimCluster, id: number, properties: Properties) {
    this.id = id
    this.host = `broker-${id}`
    this.#cluster = cluster
    this.#properties = {
      ...PROPERTIES,
      'broker.id': String(id),
      listeners: `PLAINTEXT://${this.host}:${PORT}`,
      'log.dirs': DATA_DIRECTORY,
      ...properties,
    }
    const clock = cluster.scheduler.clock
    this.disk = new SimDisk({ random: new SeededRandom(cluster.seed * 31 + id), clock })
  }

  get isUp(): boolean {
    return this.process !== null
  }

  start(): void {
    this.wanted = true
    if (this.process !== null) return
    const cluster = this.#cluster
    const life = ++this.lives
    const process = new SimProcess({
      scheduler: cluster.scheduler,
      seed: cluster.seed * 1009 + this.id * 101 + life,
    })
    this.process = process
    cluster.log(this.host, 'starts')
    const env: Env = {
      ...{ clock: process.clock, timers: process.timers, random: process.random, disk: this.disk },
      network: cluster.network.of(process, this.host),
      coordination: cluster.ensemble.of(process, this.host),
      logger: cluster.loggerOf(this.host),
    }
    const config = new BrokerConfig(this.#properties)
    const onBug = (error: unknown): void => void cluster.bugs.push(error)
    Broker.start(config, env, { onBug }).then(
      (broker) => {
        if (this.process === process) this.broker = broker
      },
      (error: unknown) => {
        cluster.log(this.host, `could not start: ${String(error)}`)
        if (this.process === process) this.#exit()
      },
    )
  }

  /** As SIGKILL; the bytes on its disk meet `mode`. */
  kill(mode: CrashMode = 'keep'): void {
    const { process } = this
    if (process === null) return
    this.#cluster.log(this.host, `is killed, its disk: ${mode}`)
    this.wanted = false
    this.process = null
    this.broker = null
    process.kill()
    if (mode === 'keep') this.disk.kill()
    else this.disk.crash(mode)
  }

  /** The machine loses its power: nothing is said to anyone. */
  powerOff(): void {
    if (this.process !== null) this.#cluster.network.powerOff(this.process, this.host)
    this.kill('random')
  }

  powerOn(): void {
    this.#cluster.network.powerOn(this.host)
    this.start()
  }

  /** As SIGTERM. Whether it has come to its end by itself. */
  async stop(): Promise<boolean> {
    const { broker, process } = this
    if (broker === null || process === null) {
      this.kill()
      return false
    }
    this.#cluster.log(this.host, 'is told to stop')
    this.wanted = false
    await broker.stop()
    if (this.process !== process) return false
    this.kill()
    return true
  }

  /** As a machine that is shut down: its power goes when the broker has come to its end. */
  async switchOff(): Promise<void> {
    if (!(await this.stop())) return
    this.#cluster.log(this.host, 'is switched off')
    this.#cluster.links.setDown(this.host, true)
    this.disk.crash('random')
  }

  /** The process has ended by itself. */
  #exit(): void {
    const { wanted } = this
    this.kill()
    this.wanted = wanted
    if (!wanted) return
    this.#cluster.scheduler.timers.after(SUPERVISOR_MS, () => {
      if (this.wanted) this.start()
    })
  }
}
