/** One family of clients: a process at a time that writes, transforms and reads, killed and replaced at any moment. */
import type { ChildProcess } from 'node:child_process'
import { eventually } from '../harness/conditions.ts'
import { ended, startProcess } from '../harness/processes.ts'
import { parseObservation, type Observation } from './history.ts'

export interface LoadOptions {
  bootstrap: string
  /** Its topics are `ROUND-in` and `ROUND-out`, of so many partitions each. */
  round: string
  partitions: number
  seed: number
  /** Of each family: transactional ids that write, and members of its group that transform. */
  writers: number
  transformers: number
  /** Between two transactions of a writer. */
  pauseMs: number
}

/** What a client's own life is long enough for on a machine that has other things to do. */
const PATIENCE_MS = 120_000

/** What a client has said, and how. */
export type Hear = (seen: Observation, line: string) => void

export class Family {
  readonly name: string
  readonly #command: readonly string[]
  readonly #options: LoadOptions
  readonly #hear: Hear
  #lives = 0
  #current: Instance | null = null
  readonly #retired = new Set<Instance>()
  readonly #failures: Error[] = []

  /** `command` runs the program, to which the arguments of java/TransactionalLoad.java are given. */
  constructor(name: string, command: readonly string[], options: LoadOptions, hear: Hear) {
    this.name = name
    this.#command = command
    this.#options = options
    this.#hear = hear
  }

  /** Throws where a process has ended by itself. */
  assertAlive(): void {
    if (this.#failures.length > 0) throw new Error(this.#failures.map(String).join('\n'))
  }

  start(): void {
    this.#current = this.#launch()
  }

  /** kill -9, and another one. */
  async killAndStart(): Promise<void> {
    await this.#current!.kill()
    this.start()
  }

  /** Another one is started while the old one goes on, which is killed when it has met its successor. */
  async replace(): Promise<void> {
    const old = this.#retire()
    this.start()
    await this.untilInitialised()
    await old.untilFenced(3000)
    await this.#end(old)
  }

  /** The old one stands still until another has taken its transactional ids, and then goes on. */
  async freezeAndReplace(): Promise<void> {
    const old = this.#retire()
    old.signal('SIGSTOP')
    this.start()
    await this.untilInitialised()
    old.signal('SIGCONT')
    await old.untilFenced(3000)
    await this.#end(old)
  }

  /** Resolves when all transactional ids of the process are its own. */
  async untilInitialised(): Promise<void> {
    const wanted = this.#options.writers + (this.name === 'kafkajs' ? 1 : this.#options.transformers)
    await eventually(
      `${this.name} is initialised`,
      () => this.#failures.length > 0 || this.#current!.initialised.size >= wanted,
      PATIENCE_MS,
    )
    this.assertAlive()
  }

  /** The writers end; resolves when their last transactions have. */
  async stopWriting(): Promise<void> {
    const { writers } = this.#options
    const { stopped, tell } = this.#current!
    tell('stop')
    const isDone = (): boolean => [...stopped].filter((name) => /-w\d+$/.test(name)).length >= writers
    await eventually(
      `the writers of ${this.name} end`,
      () => this.#failures.length > 0 || isDone(),
      PATIENCE_MS,
    )
    this.assertAlive()
  }

  /** Ends everything, after the transactions that are open. */
  async stop(): Promise<void> {
    await Promise.all([...this.#retired].map((old) => this.#end(old)))
    await this.#current?.finish(PATIENCE_MS)
  }

  async killAll(): Promise<void> {
    const left = [...this.#retired, this.#current].filter((each) => each !== null)
    await Promise.all(left.map((each) => each.kill()))
  }

  #retire(): Instance {
    const old = this.#current!
    old.tell('retire')
    this.#retired.add(old)
    return old
  }

  async #end(old: Instance): Promise<void> {
    await old.kill()
    this.#retired.delete(old)
  }

  #launch(): Instance {
    const { bootstrap, round, partitions, seed, writers, transformers, pauseMs } = this.#options
    const life = ++this.#lives
    const args = [bootstrap, round, partitions, life, (seed + life * 1000) % 2 ** 31, writers, transformers]
    const [command, ...before] = this.#command
    const child = startProcess(command, [...before, ...args.map(String), String(pauseMs)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    return new Instance(child, this.#hear, (error) =>
      this.#failures.push(new Error(`${this.name}, life ${life}: ${error}`)),
    )
  }
}

class Instance {
  readonly #child: ChildProcess
  readonly #tellOn: Hear
  /** Producers of which this process has an instance. */
  readonly initialised = new Set<string>()
  readonly stopped = new Set<string>()
  readonly #fenced = new Set<string>()
  #isEnding = false
  readonly #closed: Promise<void>

  constructor(child: ChildProcess, tellOn: Hear, fail: (error: string) => void) {
    this.#child = child
    this.#tellOn = tellOn
    let complaint = ''
    child.stderr!.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-4000)))
    child.stdin!.on('error', () => undefined)
    // A line that a kill has cut off was not said.
    let rest = ''
    child.stdout!.setEncoding('utf8')
    child.stdout!.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.#hear(line)
    })
    this.#closed = new Promise((resolve) => child.once('close', () => resolve()))
    child.once('exit', (code, signal) => {
      if (!this.#isEnding) fail(`ended by itself: ${code ?? signal}\n${complaint}`)
    })
  }

  #hear(line: string): void {
    if (line.startsWith('stopped ')) {
      this.stopped.add(line.slice('stopped '.length))
      return
    }
    const seen = parseObservation(line)
    if (seen.kind === 'initialised') this.initialised.add(seen.producer)
    if (seen.kind === 'ended') this.#fenced.add(seen.producer)
    this.#tellOn(seen, line)
  }

  readonly tell = (line: string): void => void this.#child.stdin!.write(`${line}\n`)

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal)
  }

  /** All its producers have been fenced, or the time is over: who has nothing to write is not told. */
  async untilFenced(limitMs: number): Promise<void> {
    const isDone = (): boolean => [...this.initialised].every((name) => this.#fenced.has(name))
    await eventually('a retired client is fenced', isDone, limitMs).catch(() => undefined)
  }

  async kill(): Promise<void> {
    this.#isEnding = true
    this.#child.kill('SIGKILL')
    await ended(this.#child)
    await this.#closed
  }

  async finish(limitMs: number): Promise<void> {
    this.#isEnding = true
    this.#child.stdin!.end()
    await eventually(
      'a client ends',
      () => this.#child.exitCode !== null || this.#child.signalCode !== null,
      limitMs,
    )
    await this.#closed
  }
}
