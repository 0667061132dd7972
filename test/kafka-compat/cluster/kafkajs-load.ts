/** kafkajs's load on a cluster, in the test's own process: an idempotent producer, and a consumer that is a group of its own. */
import kafkajs from 'kafkajs'
import type { Consumer, EachBatchPayload, LogEntry, Producer } from 'kafkajs'
import { pause } from '../harness/conditions.ts'
import '../harness/kafkajs-cure.ts'
import type { Observation } from './checker.ts'
import type { Client, Listener, LoadOptions } from './load.ts'

const MEMBER = 'kafkajs-member'
const PRODUCER = 'kafkajs'
const TICK_MS = 50
const COMMIT_EVERY_MS = 500
const START_AGAIN_MS = 1000
/** So many of the last lines that kafkajs says are kept, its requests among them. */
const SAID_KEPT = 400
/**
 * What kafkajs's consumer ends with when none of the brokers that it knows answers who the coordinator is: it does not
 * try again, whatever it was told about retries. An application starts another one, and so does this load.
 */
const GAVE_UP = 'Failed to find group coordinator'
/** Without end: what is given up might be in the log or not, and nothing is learned from it. */
const retry = { initialRetryTime: 30, maxRetryTime: 300, retries: 100_000, factor: 0.2, multiplier: 1.5 }

export async function startKafkajs(options: LoadOptions, { observe, fail }: Listener): Promise<Client> {
  const said: LogEntry[] = []
  const kafka = new kafkajs.Kafka({
    clientId: 'odradek-cluster',
    brokers: options.bootstrap.split(','),
    logLevel: kafkajs.logLevel.DEBUG,
    logCreator: () => (entry) => {
      if (said.push(entry) > 2 * SAID_KEPT) said.splice(0, SAID_KEPT)
    },
    connectionTimeout: 1500,
    requestTimeout: 5000,
    retry,
  })
  const load = new KafkajsLoad(options, observe)
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, retry, metadataMaxAge: 5000 })
  await producer.connect()
  let consumer: Consumer
  const startConsumer = async (): Promise<void> => {
    consumer = kafka.consumer({
      groupId: `${options.topic}-kafkajs`,
      sessionTimeout: 10_000,
      heartbeatInterval: 1000,
      maxWaitTimeInMs: 200,
      metadataMaxAge: 5000,
      retry,
    })
    consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
      if (restart || load.stopping) return
      if (!error.message.includes(GAVE_UP))
        return fail(new Error(`the kafkajs consumer ended: ${String(error)}`))
      void startAgain()
    })
    await load.consume(consumer)
  }
  /** As often as it takes: what its group has not read in the end is seen. */
  const startAgain = async (): Promise<void> => {
    while (!load.stopping) {
      const isStarted = await startConsumer().then(
        () => true,
        () => false,
      )
      if (isStarted) return
      await pause(START_AGAIN_MS)
    }
  }
  await startConsumer()
  const produced = load.produce(producer)
  return {
    name: PRODUCER,
    stopProducing: () => {
      load.isProducing = false
      return produced
    },
    async stop() {
      load.isProducing = false
      load.stopping = true
      await Promise.race([Promise.allSettled([producer.disconnect(), consumer.disconnect()]), pause(5000)])
    },
    tail: () =>
      said
        .slice(-SAID_KEPT)
        .map(({ label, log }) => `${label} ${JSON.stringify(log)}`)
        .join('\n'),
  }
}

class KafkajsLoad {
  readonly #options: LoadOptions
  readonly #observe: (seen: Observation) => void
  isProducing = true
  stopping = false
  /** By partition: the offset expected next; absent where the first poll of this generation tells where it began. */
  readonly #next = new Map<number, number>()
  #committedMs = 0

  constructor(options: LoadOptions, observe: (seen: Observation) => void) {
    this.#options = options
    this.#observe = observe
  }

  /** One send after the other, each to one partition: kafkajs keeps the order of a partition only so. */
  async produce(producer: Producer): Promise<void> {
    const { topic, partitions, recordsPerSecond } = this.#options
    const next = Array.from({ length: partitions }, () => 0)
    const batch = Math.max(1, Math.round((recordsPerSecond * TICK_MS) / 1000))
    for (let partition = 0; this.isProducing; partition = (partition + 1) % partitions) {
      const first = next[partition]
      next[partition] += batch
      this.#observe({ kind: 'sending', producer: PRODUCER, partition, upTo: next[partition] })
      const messages = Array.from({ length: batch }, (_, i) => {
        const value = `${PRODUCER} ${first + i} ${'y'.repeat(((first + i) * 7919) % 400)}`
        return { key: PRODUCER, value, partition }
      })
      const common = { producer: PRODUCER, partition }
      try {
        const [{ baseOffset }] = await producer.send({ topic, messages, acks: -1 })
        for (let i = 0; i < batch; i++) {
          const offset = Number(baseOffset) < 0 ? -1 : Number(baseOffset) + i
          this.#observe({ kind: 'acknowledged', ...common, sequence: first + i, offset })
        }
      } catch (failure) {
        const error = (failure as Error).name
        for (let i = 0; i < batch; i++) {
          this.#observe({ kind: 'failed', ...common, sequence: first + i, error })
        }
      }
      await pause(TICK_MS)
    }
  }

  async consume(consumer: Consumer): Promise<void> {
    const { topic } = this.#options
    consumer.on(consumer.events.GROUP_JOIN, () => this.#next.clear())
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => this.#eachBatch(payload),
    })
  }

  async #eachBatch(payload: EachBatchPayload): Promise<void> {
    const { batch, resolveOffset, heartbeat, isRunning, isStale } = payload
    const { partition } = batch
    for (const { value, offset: text } of batch.messages) {
      if (!isRunning() || isStale()) return
      const offset = Number(text)
      const common = { consumer: MEMBER, partition, offset }
      // kafkajs hands out what it had fetched before a rebalance after it, and then goes back by itself, to what is
      // committed: it promises no more than each record at least once.
      if (!(offset >= this.#next.get(partition)!)) this.#observe({ kind: 'positioned', ...common })
      this.#next.set(partition, offset + 1)
      const [producer, sequence] = String(value).split(' ', 2)
      this.#observe({ kind: 'polled', ...common, producer, sequence: Number(sequence) })
      resolveOffset(text)
    }
    await heartbeat()
    if (performance.now() - this.#committedMs < COMMIT_EVERY_MS) return
    this.#committedMs = performance.now()
    const offsets = payload.uncommittedOffsets()
    // Not consumer.commitOffsets(), which asks a coordinator that is none any more until its retries are used up, here
    // without end, and nothing is read meanwhile. What fails here makes kafkajs look for the coordinator and join again.
    await payload.commitOffsetsIfNecessary(offsets)
    for (const each of offsets.topics.flatMap(({ partitions }) => partitions)) {
      const offset = Number(each.offset)
      this.#observe({ kind: 'committed', consumer: MEMBER, partition: each.partition, offset })
    }
  }
}
