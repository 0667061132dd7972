/** Three families of clients that write to one topic and read it, all the time, and tell a checker what they saw. */
import { createInterface } from 'node:readline'
import { compiledProgram } from '../harness/c-program.ts'
import { javaArguments } from '../harness/java.ts'
import { startProcess } from '../harness/processes.ts'
import type { HistoryChecker, Observation } from './checker.ts'
import { startKafkajs } from './kafkajs-load.ts'

export interface LoadOptions {
  bootstrap: string
  topic: string
  partitions: number
  /** Of each producer, when nothing hinders it. */
  recordsPerSecond: number
}

/** One family. */
export interface Client {
  /** Its producer's name. */
  readonly name: string
  /** Sends no more; resolves when nothing is outstanding. */
  stopProducing(): Promise<unknown>
  stop(): Promise<void>
  /** What it said last, for who looks why it stands still. */
  tail(): string
}

/** By consumer: its group. Java and librdkafka share one; `java-reader` reads for itself. */
export const groups = {
  'java-member': 'shared',
  'rdkafka-member': 'shared',
  'java-reader': 'alone',
  'kafkajs-member': 'kafkajs',
} as const

export const producers = ['java', 'rdkafka', 'kafkajs'] as const

export class Load {
  /** Longest time between two acknowledgements to anybody. */
  longestGapMs = 0
  readonly #checker: HistoryChecker
  #clients: Client[] = []
  readonly #acknowledged = new Map<string, number>(producers.map((name) => [name, 0]))
  readonly #failures: Error[] = []
  #lastMs = performance.now()

  private constructor(checker: HistoryChecker) {
    this.#checker = checker
  }

  static async start(options: LoadOptions, checker: HistoryChecker): Promise<Load> {
    const load = new Load(checker)
    const observe = (seen: Observation): void => load.#observe(seen)
    const fail = (error: Error): void => void load.#failures.push(error)
    const java = ['java', ...(await javaArguments(256)), 'ClusterLoad']
    const rdkafka = [await compiledProgram('clusterload', ['rdkafka', 'pthread'])]
    load.#clients = [
      startProgram('java', java, options, { observe, fail }),
      startProgram('rdkafka', rdkafka, options, { observe, fail }),
      await startKafkajs(options, { observe, fail }),
    ]
    return load
  }

  #observe(seen: Observation): void {
    this.#checker.observe(seen)
    if (seen.kind !== 'acknowledged') return
    this.#acknowledged.set(seen.producer, this.#acknowledged.get(seen.producer)! + 1)
    const nowMs = performance.now()
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.#lastMs)
    this.#lastMs = nowMs
  }

  /** Records acknowledged so far; of one producer, or of all together. */
  acknowledged(producer?: string): number {
    if (producer !== undefined) return this.#acknowledged.get(producer)!
    return [...this.#acknowledged.values()].reduce((a, b) => a + b, 0)
  }

  tailOf(producer: string): string {
    return this.#clients.find(({ name }) => name === producer)!.tail()
  }

  get hasFailed(): boolean {
    return this.#failures.length > 0
  }

  /** Throws where a client has given up. */
  assertAlive(): void {
    if (this.hasFailed) throw new Error(this.#failures.map(String).join('\n'))
  }

  async stopProducing(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stopProducing()))
    this.assertAlive()
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()))
  }
}

export interface Listener {
  observe: (seen: Observation) => void
  /** The client has given up. */
  fail: (error: Error) => void
}

/** A client that is a program: java/ClusterLoad.java or c/clusterload.c, which say the same lines. */
function startProgram(
  name: string,
  [command, ...before]: readonly string[],
  options: LoadOptions,
  { observe, fail }: Listener,
): Client {
  const { bootstrap, topic, partitions, recordsPerSecond } = options
  const args = [...before, bootstrap, topic, String(partitions), String(recordsPerSecond), `${topic}-shared`]
  const child = startProcess(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let complaint = ''
  child.stderr!.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-4000)))
  child.stdin!.on('error', () => undefined)
  const lines = createInterface({ input: child.stdout! })
  const closed = new Promise<void>((resolve) => lines.once('close', resolve))
  let isStopping = false
  const produced = new Promise<void>((resolve) => {
    lines.on('line', (line) => (line === 'produced' ? resolve() : observe(parse(line))))
    child.once('exit', (code) => {
      if (!isStopping) fail(new Error(`the ${name} client ended: exit code ${code}\n${complaint}`))
      resolve()
    })
  })
  return {
    name,
    stopProducing() {
      child.stdin!.write('stop\n')
      return produced
    },
    async stop() {
      isStopping = true
      child.stdin!.end()
      await closed
    },
    tail: () => complaint,
  }
}

/** A line of a client; ClusterLoad.java says which there are. */
export function parse(line: string): Observation {
  const [letter, who, place, ...rest] = line.split(' ')
  const partition = Number(place)
  const [first, second] = rest.map(Number)
  switch (letter) {
    case 's':
      return { kind: 'sending', producer: who, partition, upTo: first }
    case 'a':
      return { kind: 'acknowledged', producer: who, partition, sequence: first, offset: second }
    case 'e':
      return { kind: 'failed', producer: who, partition, sequence: first, error: rest[1] }
    case 'g':
      return { kind: 'positioned', consumer: who, partition, offset: first }
    case 'r': {
      const [producer, sequence] = rest.slice(1)
      return { kind: 'polled', consumer: who, partition, offset: first, producer, sequence: Number(sequence) }
    }
    case 'c':
      return { kind: 'committed', consumer: who, partition, offset: first }
    default:
      throw new Error(`a client said: ${line}`)
  }
}
