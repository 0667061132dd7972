import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from './conditions.ts'
import { prepareKafka } from './kafka-broker.ts'
import { freePort } from './launch.ts'
import type { Launch, LaunchRequest } from './launch.ts'
import { prepareOdradek } from './odradek-broker.ts'
import { ended, startProcess } from './processes.ts'

export { freePort }

/** Which broker the suites run against: ours, or the real one that proves the suites right. */
export type BrokerKind = 'odradek' | 'kafka'

export const brokerKind: BrokerKind = process.env.ODRADEK_COMPAT_BROKER === 'kafka' ? 'kafka' : 'odradek'

export interface BrokerOptions {
  /** Kafka configuration keys and values on top of the suites' own. */
  config?: Record<string, string>
}

/** A broker process of its own for one suite, on 127.0.0.1 and a free port, with a data directory of its own. */
export class TestBroker {
  readonly host = '127.0.0.1'
  readonly port: number
  /** Everything the broker has said since its first start. */
  output = ''
  #launch: Launch
  #directory: string
  #child: ChildProcess | undefined

  constructor(launch: Launch, port: number, directory: string) {
    this.#launch = launch
    this.port = port
    this.#directory = directory
  }

  get bootstrap(): string {
    return `${this.host}:${this.port}`
  }

  /** Where the broker keeps its partitions. */
  get dataDirectory(): string {
    return join(this.#directory, 'data')
  }

  /** The broker's process id. */
  get pid(): number {
    return this.#child!.pid!
  }

  /** Starts the process, again on the same port and data directory after kill(), and waits until it serves. */
  async start(): Promise<void> {
    const child = startProcess(this.#launch.command, this.#launch.args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    let said = ''
    const hear = (chunk: Buffer): void => {
      said += chunk.toString()
      this.output += chunk.toString()
    }
    child.stdout!.on('data', hear)
    child.stderr!.on('data', hear)
    let failure: Error | undefined
    child.once('error', (error) => (failure = error))
    const serves = eventually(
      'the broker serves',
      async () => {
        if (failure !== undefined || child.exitCode !== null || child.signalCode !== null) return true
        if (this.#launch.saysReady?.(said) === false) return false
        return isOpen(this.port)
      },
      this.#launch.readyTimeoutMs,
    )
    await serves.catch((error: unknown) => {
      throw new Error(`${String(error)}; it has said:\n${said}`, { cause: error })
    })
    if (failure !== undefined || child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`the broker ended instead of starting (${failure ?? child.exitCode}):\n${this.output}`)
    }
  }

  /** kill -9, and waits until the process is gone. */
  async kill(): Promise<void> {
    this.#child!.kill('SIGKILL')
    await ended(this.#child!)
  }

  /** SIGTERM; gives the exit code. The data directory stays. */
  async shutDown(): Promise<number | null> {
    this.#child!.kill('SIGTERM')
    return ended(this.#child!)
  }

  /** Ends the process whatever its state and removes its data. */
  async stop(): Promise<void> {
    if (this.#child !== undefined) await this.kill()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** Resident memory of the process, in bytes. */
  residentBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1024
  }
}

/** Starts a broker of the kind the run is for. The caller stops it (afterAll). */
export async function startBroker({ config = {} }: BrokerOptions = {}): Promise<TestBroker> {
  const directory = mkdtempSync(join(tmpdir(), `odradek-compat-${brokerKind}-`))
  const port = await freePort()
  const request: LaunchRequest = { port, directory, config }
  const launch = brokerKind === 'kafka' ? await prepareKafka(request) : prepareOdradek(request)
  const broker = new TestBroker(launch, port, directory)
  try {
    await broker.start()
  } catch (error) {
    await broker.stop()
    throw error
  }
  return broker
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
