/** The load clients, run against one broker, with what the broker's process spent meanwhile. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Broker } from './brokers.ts'
import type { Sample } from './interleave.ts'
import { cpuSeconds, runClient } from './process.ts'
import { cache, kafkaClassPath, rdperf } from './tools.ts'

export interface Load {
  readonly topic: string
  readonly partitions: number
  readonly recordBytes: number
  readonly records: number
  readonly codec: 'none' | 'lz4'
}

const PAYLOADS = 2000

/** A file of JSON-like lines of exactly `recordBytes` bytes, all different, the same on every run. lz4 halves them. */
export function payloadFile(recordBytes: number): string {
  let state = recordBytes
  const next = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const words = ['order', 'paid', 'shipped', 'cancelled', 'returned', 'refund', 'invoice', 'created']
  const line = () => {
    let text = `{"id":${next(1e8)},"user":"u${next(1e6)}","sum":${next(1e5) / 100}`
    while (text.length < recordBytes) text += `,"${words[next(words.length)]}":${next(1e9).toString(36)}`
    return text.slice(0, recordBytes - 1) + '}'
  }
  const path = join(cache, 'bench', `payload-${recordBytes}.txt`)
  mkdirSync(join(cache, 'bench'), { recursive: true })
  writeFileSync(path, Array.from({ length: PAYLOADS }, line).join('\n') + '\n')
  return path
}

interface RdperfResult {
  readonly recordsPerSecond: number
  readonly megabytesPerSecond: number
  readonly latencyMs?: { readonly p50: number; readonly p99: number; readonly max: number }
}

/** Runs rdperf; `options` are its name=value pairs. Rejects when a record failed. */
export async function runRdperf(
  broker: { readonly bootstrap: string },
  mode: 'produce' | 'consume' | 'echo',
  options: Record<string, string | number>,
): Promise<RdperfResult> {
  const pairs = Object.entries({ bootstrap: broker.bootstrap, ...options })
  const args = pairs.map(([name, value]) => `${name}=${value}`)
  return JSON.parse((await runClient(rdperf(), [mode, ...args])).stdout) as RdperfResult
}

async function withCpu<T>(broker: Broker, gigabytes: number, work: () => Promise<T>): Promise<[T, number]> {
  const before = cpuSeconds(broker.pid)
  const result = await work()
  return [result, (cpuSeconds(broker.pid) - before) / gigabytes]
}

/** librdkafka, acks=1, linger 20 ms, as fast as it goes. */
export async function produceByRdperf(broker: Broker, load: Load): Promise<Sample> {
  const { topic, records, recordBytes, codec } = load
  const [result, cpuPerGb] = await withCpu(broker, (records * recordBytes) / 1e9, () =>
    runRdperf(broker, 'produce', {
      topic,
      count: records,
      payload: payloadFile(recordBytes),
      'linger.ms': 20,
      'compression.codec': codec,
    }),
  )
  return {
    produceRecords: result.recordsPerSecond,
    produceMegabytes: result.megabytesPerSecond,
    produceCpu: cpuPerGb,
    produceP50: result.latencyMs!.p50,
    produceP99: result.latencyMs!.p99,
  }
}

/** librdkafka, all partitions from the start, `passes` times over. */
export async function consumeByRdperf(broker: Broker, load: Load, passes: number): Promise<Sample> {
  const { topic, records, recordBytes, partitions } = load
  const [result, cpuPerGb] = await withCpu(broker, (records * recordBytes * passes) / 1e9, () =>
    runRdperf(broker, 'consume', { topic, partitions, count: records, passes, 'fetch.wait.max.ms': 10 }),
  )
  return {
    consumeRecords: result.recordsPerSecond,
    consumeMegabytes: result.megabytesPerSecond,
    consumeCpu: cpuPerGb,
  }
}

/** Flags of Kafka's own tools (kafka-run-class) but for the heap, which kafka-producer-perf-test sets so. */
const toolJvm = ['-Xmx512M', '-server', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20', '-Dlog4j.rootLogger=OFF']

function runTool(mainClass: string, args: readonly string[]): Promise<string> {
  return runClient('java', [...toolJvm, '-cp', kafkaClassPath(), mainClass, ...args]).then(
    ({ stdout }) => stdout,
  )
}

/** kafka-producer-perf-test with its defaults but acks=1. One JVM start, which is not in its figures. */
export async function produceByJava(broker: Broker, load: Load): Promise<Sample> {
  const { topic, records, recordBytes, codec } = load
  const properties = [`bootstrap.servers=127.0.0.1:${broker.port}`, 'acks=1', `compression.type=${codec}`]
  const what = [
    '--topic',
    topic,
    '--num-records',
    String(records),
    '--payload-file',
    payloadFile(recordBytes),
  ]
  const args = [...what, '--throughput', '-1', '--producer-props', ...properties]
  const [said, cpuPerGb] = await withCpu(broker, (records * recordBytes) / 1e9, () =>
    runTool('org.apache.kafka.tools.ProducerPerformance', args),
  )
  const line = said.trim().split('\n').at(-1)!
  const figure = (pattern: RegExp) => Number(pattern.exec(line)?.[1] ?? NaN)
  if (figure(/^(\d+) records sent/) !== records) throw new Error(`kafka-producer-perf-test said: ${said}`)
  const perSecond = figure(/([\d.]+) records\/sec/)
  return {
    produceRecords: perSecond,
    produceMegabytes: (perSecond * recordBytes) / 1e6,
    produceCpu: cpuPerGb,
    produceP50: figure(/([\d.]+) ms 50th/),
    produceP99: figure(/([\d.]+) ms 99th/),
  }
}

/** kafka-consumer-perf-test with its defaults, through a group; throughput without the time of the first rebalance. */
export async function consumeByJava(broker: Broker, load: Load): Promise<Sample> {
  const { topic, records, recordBytes } = load
  const where = [
    '--bootstrap-server',
    `127.0.0.1:${broker.port}`,
    '--topic',
    topic,
    '--group',
    `group-of-${topic}`,
  ]
  const args = [...where, '--messages', String(records), '--timeout', '30000', '--hide-header']
  const [said, cpuPerGb] = await withCpu(broker, (records * recordBytes) / 1e9, () =>
    runTool('org.apache.kafka.tools.ConsumerPerformance', args),
  )
  const cells = said.trim().split('\n').at(-1)!.split(',')
  const consumed = Number(cells[4])
  const perSecond = Number(cells[9])
  if (!(consumed >= records) || !(perSecond > 0)) throw new Error(`kafka-consumer-perf-test said: ${said}`)
  return {
    consumeRecords: perSecond,
    consumeMegabytes: (perSecond * recordBytes) / 1e6,
    consumeCpu: cpuPerGb,
  }
}
