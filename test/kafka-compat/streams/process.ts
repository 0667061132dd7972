import type { ChildProcess } from 'node:child_process'
import { eventually } from '../harness/conditions.ts'
import { javaArguments, streamsPrograms } from '../harness/java.ts'
import { ended, startProcess } from '../harness/processes.ts'

/** A Java process with Kafka Streams or Kafka Connect in it, that is killed, stopped and started again. */
export class JavaProcess {
  /** Everything it has printed since its first start, logs included. */
  output = ''
  #args: string[]
  #child: ChildProcess | undefined
  /** Where in `output` the run under way begins. */
  #began = 0

  /** @param args The class and its arguments. */
  constructor(args: string[]) {
    this.#args = args
  }

  async start(): Promise<void> {
    const logs = [
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
      '-Dorg.slf4j.simpleLogger.showDateTime=true',
    ]
    const args = [...logs, ...(await javaArguments(256, streamsPrograms)), ...this.#args]
    this.#began = this.output.length
    this.#child = startProcess('java', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.on('data', (chunk: Buffer) => (this.output += chunk.toString()))
  }

  /** What it has printed since it was started last. */
  get said(): string {
    return this.output.slice(this.#began)
  }

  get runs(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Waits until it has printed this since it was started last; fails where it ends first. */
  async says(text: RegExp, timeoutMs = 180_000): Promise<void> {
    const done = (): boolean => text.test(this.said) || !this.runs
    await eventually(`${text} is printed`, done, timeoutMs).catch((error: unknown) =>
      this.#fail(String(error)),
    )
    if (!text.test(this.said)) this.#fail(`it ended before it printed ${text}`)
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#child!.kill('SIGKILL')
    await ended(this.#child!)
  }

  /** SIGTERM, upon which it ends in order. */
  async shutDown(): Promise<void> {
    this.#child!.kill('SIGTERM')
    await ended(this.#child!)
  }

  /** Ends it whatever its state. */
  async stop(): Promise<void> {
    if (this.runs) await this.kill()
  }

  #fail(what: string): never {
    throw new Error(`${this.#args.slice(0, 2).join(' ')}: ${what}\n${this.output.slice(-8000)}`)
  }
}
