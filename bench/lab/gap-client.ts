/** A producer that runs beside a measurement and tells how long each partition went without an acknowledgement. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { cleanEnv, endWithUs } from './process.ts'
import { kafkaClassPath, root } from './tools.ts'

export const INTERVAL_MS = 5

/** acks=all and retries of 20 ms; a request that nobody answers is given up after a second. */
export const clientSettings = {
  acks: 'all',
  'retry.backoff.ms': 20,
  'retry.backoff.max.ms': 20,
  'reconnect.backoff.ms': 20,
  'reconnect.backoff.max.ms': 20,
  'request.timeout.ms': 1000,
} as const

const JVM = ['-Xmx128m', '-XX:+UseSerialGC', '-Dlog4j.rootLogger=OFF']

export interface Gap {
  /** Longest time between two acknowledgements since the mark. */
  readonly longestMs: number
  /** Since the last acknowledgement. */
  readonly openMs: number
  /** Records acknowledged since the mark. */
  readonly acknowledged: number
}

interface Answer {
  readonly failed: number
  /** Why the last of them has. */
  readonly lastError: string
  readonly partitions: readonly Gap[]
}

export interface GapClient {
  /** Forgets the gaps so far; a gap that is open counts from its beginning. */
  readonly mark: () => void
  /** Sends nothing until it is resumed. */
  readonly pause: () => void
  readonly resume: () => void
  /** By partition. Rejects when a record was given up. */
  readonly gaps: () => Promise<readonly Gap[]>
  /** Waits until the partitions have been acknowledging for half a second; ten minutes at most. */
  readonly untilSteady: (partitions?: readonly number[]) => Promise<readonly Gap[]>
  readonly stop: () => Promise<void>
}

/** A gap of fewer intervals than that is none: the machine has two cores. */
const STEADY_INTERVALS = 20
const STEADY_FOR_MS = 500
/** Kafka with 10,000 partitions needs minutes to come to rest. */
const STEADY_LIMIT_MS = 600_000

/** `intervalMs`: from one record of a partition to the next; no gap is measured to less. */
export function startGapClient(
  bootstrap: string,
  topic: string,
  partitions: number,
  intervalMs: number = INTERVAL_MS,
): GapClient {
  const steadyGapMs = STEADY_INTERVALS * intervalMs
  const options = {
    'bootstrap.servers': bootstrap,
    topic,
    partitions,
    'interval.ms': intervalMs,
    ...clientSettings,
  }
  const pairs = Object.entries(options).map(([name, value]) => `${name}=${value}`)
  const program = join(root, 'bench', 'clients', 'GapClient.java')
  const child = spawn('java', [...JVM, '-cp', kafkaClassPath(), program, ...pairs], {
    env: cleanEnv(),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  endWithUs(child)
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const gaps = async (): Promise<readonly Gap[]> => {
    child.stdin.write('read\n')
    const { value, done } = await answers.next()
    if (done) throw new Error('the gap client has ended')
    const answer = JSON.parse(value) as Answer
    if (answer.failed > 0)
      throw new Error(`the gap client gave up ${answer.failed} records: ${answer.lastError}`)
    return answer.partitions
  }
  const everyPartition = Array.from({ length: partitions }, (_, partition) => partition)
  const untilSteady = async (wanted: readonly number[] = everyPartition): Promise<readonly Gap[]> => {
    const deadline = performance.now() + STEADY_LIMIT_MS
    for (let steadySince: number | undefined; ; await sleep(20)) {
      const current = await gaps()
      const now = performance.now()
      const isSteady = wanted.every((partition) => {
        const { openMs, acknowledged } = current[partition]
        return acknowledged > 0 && openMs <= steadyGapMs
      })
      steadySince = isSteady ? (steadySince ?? now) : undefined
      if (steadySince !== undefined && now - steadySince >= STEADY_FOR_MS) return current
      if (now > deadline)
        throw new Error(`no steady acknowledgements in ten minutes: ${JSON.stringify(current)}`)
    }
  }
  const command = (name: string) => (): void => void child.stdin.write(`${name}\n`)
  const stop = async (): Promise<void> => {
    const closed = once(child, 'close')
    child.stdin.end()
    await closed
  }
  const [mark, pause, resume] = ['mark', 'pause', 'resume'].map(command)
  return { mark, pause, resume, gaps, untilSteady, stop }
}
