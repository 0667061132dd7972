/** One broker of a test cluster: a process of either kind that is killed, frozen, replaced by the other kind. */
import type { ChildProcess } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { metadataApi } from '../../../src/protocol/messages/03-metadata.ts'
import { WireClient } from '../../broker/wire-client.ts'
import type { BrokerKind } from './broker.ts'
import { eventually, pause } from './conditions.ts'
import { kafka39ClassPath, repository } from './paths.ts'
import type { Place } from './place.ts'
import { ended, startProcess } from './processes.ts'

export interface MemberOptions {
  brokerId: number
  kind: BrokerKind
  place: Place
  port: number
  /** Of its own: server.properties, output.log, and the log directory `data` where no other is given. */
  directory: string
  logDir?: string
  /** All of server.properties but broker.id, listeners and log.dirs. */
  properties: Readonly<Record<string, string>>
}

/** A session that has to end first, or an ensemble without a majority: a fault run loses it for half a minute. */
const START_AGAIN_MS = 60_000
/** Kafka ends when the znode of its last life is still there, and both kinds when no ensemble has answered for as long as they wait. */
const MAY_START_LATER = {
  kafka: /NodeExists|ZooKeeperClientTimeoutException/,
  odradek: /no server of the ensemble has answered/,
}
const READY_TIMEOUT_MS = 90_000
const END_TIMEOUT_MS = 90_000

const jvm = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']

export class ClusterMember {
  readonly brokerId: number
  readonly place: Place
  readonly port: number
  readonly directory: string
  readonly logDir: string
  readonly properties: Record<string, string>
  #kind: BrokerKind
  #process: ChildProcess | undefined
  #isFrozen = false

  constructor({ brokerId, kind, place, port, directory, logDir, properties }: MemberOptions) {
    this.brokerId = brokerId
    this.#kind = kind
    this.place = place
    this.port = port
    this.directory = directory
    this.logDir = logDir ?? join(directory, 'data')
    this.properties = { ...properties }
    mkdirSync(directory, { recursive: true })
  }

  get kind(): BrokerKind {
    return this.#kind
  }

  get host(): string {
    return this.place.host
  }

  get address(): string {
    return `${this.host}:${this.port}`
  }

  get isRunning(): boolean {
    const child = this.#process
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  get isFrozen(): boolean {
    return this.#isFrozen
  }

  get pid(): number {
    return this.#process!.pid!
  }

  /** All that it has said since the cluster was made, over all starts. */
  output(): string {
    const file = join(this.directory, 'output.log')
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }

  /** Starts the process and resolves when it serves; see `untilServing`. */
  async start(): Promise<void> {
    const deadline = performance.now() + START_AGAIN_MS
    for (;;) {
      this.launch()
      const serves = await this.untilServing()
      if (serves) return
      // Its operators start it again, and so do we.
      const isTooEarly = MAY_START_LATER[this.#kind].test(this.output().slice(-20_000))
      if (!isTooEarly || performance.now() > deadline) {
        throw new Error(`broker ${this.brokerId} (${this.#kind}) ended instead of starting:\n${this.tail()}`)
      }
      await pause(500)
    }
  }

  /** Starts the process, and that is all. */
  launch(): void {
    const file = join(this.directory, 'server.properties')
    const properties = {
      'broker.id': String(this.brokerId),
      listeners: `PLAINTEXT://${this.address}`,
      'log.dirs': this.logDir,
      ...this.properties,
    }
    const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`)
    writeFileSync(file, lines.join(''))
    const [command, args] = this.#kind === 'kafka' ? this.#kafka(file) : odradek(file)
    const output = openSync(join(this.directory, 'output.log'), 'a')
    const launch = this.place.launch(command, args)
    this.#process = startProcess(...launch, { stdio: ['ignore', output, output] })
    closeSync(output)
    this.#isFrozen = false
  }

  /** True when it is a broker of its own metadata; false when the process has ended; fails after 90 s. */
  async untilServing(): Promise<boolean> {
    await eventually(
      `broker ${this.brokerId} (${this.#kind}) serves`,
      async () => !this.isRunning || (await this.#knowsItself()),
      READY_TIMEOUT_MS,
    ).catch((error: unknown) => {
      throw new Error(`broker ${this.brokerId}:\n${this.tail()}`, { cause: error })
    })
    return this.isRunning
  }

  async #knowsItself(): Promise<boolean> {
    const client = await WireClient.connect(this.port, this.host)
    try {
      const { brokers } = await client.request(metadataApi, 1, { topics: [] })
      return brokers.some(({ nodeId, port }) => nodeId === this.brokerId && port === this.port)
    } finally {
      client.close()
    }
  }

  tail(): string {
    return this.output().slice(-8000)
  }

  /** kill -9, and waits until the process is gone. */
  async kill(): Promise<void> {
    this.#process!.kill('SIGKILL')
    await ended(this.#process!)
  }

  /** SIGTERM, and waits for the end: controlled shutdown. Gives the exit code; null when a signal ended it. */
  async shutDown(): Promise<number | null> {
    this.#process!.kill('SIGTERM')
    return this.exitCode()
  }

  /** Waits for the end of a process that ends by itself, and fails after a while; null when a signal ended it. */
  async exitCode(): Promise<number | null> {
    await eventually(`broker ${this.brokerId} ends`, () => !this.isRunning, END_TIMEOUT_MS).catch(
      (error: unknown) => {
        throw new Error(`broker ${this.brokerId} (${this.#kind}):\n${this.tail()}`, { cause: error })
      },
    )
    return this.#process!.exitCode
  }

  freeze(): void {
    this.#isFrozen = true
    this.#process!.kill('SIGSTOP')
  }

  thaw(): void {
    this.#isFrozen = false
    this.#process!.kill('SIGCONT')
  }

  /** From its next start on it is of this kind, on the same address and, unless `emptyDisk`, the same data. */
  become(kind: BrokerKind, { emptyDisk = false } = {}): void {
    if (this.isRunning) throw new Error(`broker ${this.brokerId} is running`)
    this.#kind = kind
    if (emptyDisk) rmSync(this.logDir, { recursive: true, force: true })
  }

  async stop(): Promise<void> {
    if (this.isRunning) await this.kill()
  }

  #kafka(propertiesFile: string): [string, string[]] {
    const logging = join(this.directory, 'log4j.properties')
    const lines = [
      readFileSync(join(repository, 'bench/kafka/log4j.properties'), 'utf8').trimEnd(),
      'log4j.logger.kafka.controller=INFO',
      'log4j.logger.state.change.logger=WARN',
    ]
    writeFileSync(logging, `${lines.join('\n')}\n`)
    const options = [`-Dlog4j.configuration=file:${logging}`, `-Dkafka.logs.dir=${this.directory}`]
    return ['java', [...jvm, ...options, '-cp', kafka39ClassPath(), 'kafka.Kafka', propertiesFile]]
  }
}

function odradek(propertiesFile: string): [string, string[]] {
  const command = process.env.ODRADEK_BESIDE_COMMAND ?? join(repository, 'dist/odradek.js')
  if (!existsSync(command)) throw new Error('dist/odradek.js is not there: npm run build')
  return [process.execPath, [command, propertiesFile]]
}
