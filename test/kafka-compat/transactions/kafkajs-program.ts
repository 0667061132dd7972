/**
 * kafkajs's transactions, a process of its own: BOOTSTRAP ROUND PARTITIONS LIFE SEED WRITERS TRANSFORMERS PAUSE_MS. What it does,
 * says and obeys is that of java/TransactionalLoad.java, but for its group, which has one member always: kafkajs tells the
 * coordinator neither member nor generation with a transaction's offsets (KIP-447), nor does it ask for stable ones. One
 * transactional id for the group keeps it safe, as before that KIP: whoever has initialised it is the only one, and knows
 * what it has committed. What kafkajs's consumer gives it twice after a rebalance, it leaves out itself.
 */
import { createInterface } from 'node:readline'
import type { Admin, Consumer, EachBatchPayload, Message, Producer, Transaction } from 'kafkajs'
import { Random } from '../cluster/random.ts'
import '../harness/kafkajs-cure.ts'
import { loadMendedKafkajs } from './kafkajs-mended.ts'

const kafkajs = loadMendedKafkajs()
const FAMILY = 'kafkajs'
const GROUP = `${FAMILY}-transform`
const READER = `${FAMILY}-reader`
const MAX_BATCH = 40
const COMMIT_EVERY_MS = 500
const ABORTED_PERCENT = 15

const [bootstrap, round, partitionsText, processLife, seed, writers, , pauseMs] = process.argv.slice(2)
const partitions = Number(partitionsText)
const topics = { in: `${round}-in`, out: `${round}-out` }
const told = { stopping: false, retired: false, finishing: false }

const retry = { initialRetryTime: 30, maxRetryTime: 300, retries: 30 }
const kafka = new kafkajs.Kafka({
  clientId: `odradek-${round}`,
  brokers: bootstrap.split(','),
  logLevel: kafkajs.logLevel.NOTHING,
  connectionTimeout: 1500,
  requestTimeout: 5000,
  retry,
})

let said: string[] = []
const nowUs = (): number => Number(process.hrtime.bigint() / 1000n)
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const say = (line: string): void => void said.push(line)
/** What is said so is known whatever becomes of the process: a pipe is written to at once. */
function tell(...lines: string[]): void {
  said.push(...lines)
  if (said.length > 0) process.stdout.write(`${said.join('\n')}\n`)
  said = []
}
setInterval(tell, 50).unref()

type Outcome = 'committed' | 'aborted' | 'lost'

interface Send {
  messages: { partition: number; source?: { partition: number; offset: number } }[]
  offsets?: Map<number, number>
}

/** One transactional id, and the instance that it has just now. Whatever fails ends the instance: the next one fences it. */
class Transactor {
  readonly name: string
  readonly random: Random
  #producer: Producer | null = null
  #first: Transaction | null = null
  #life = ''
  #lives = 0
  #number = 0
  #isFenced = false
  /** What was being done, to tell with a failure. */
  #step = ''

  constructor(name: string, random: Random) {
    this.name = name
    this.random = random
  }

  /** Whether another transaction may begin; a new instance is made where there is none. */
  async isReady(): Promise<boolean> {
    while (this.#producer === null && !(this.#isFenced && told.retired) && !told.finishing) {
      this.#life = `${processLife}.${this.#lives++}`
      const made = kafka.producer({
        transactionalId: `${round}-${this.name}`,
        transactionTimeout: 10_000,
        idempotent: true,
        maxInFlightRequests: 1,
        retry,
        metadataMaxAge: 5000,
      })
      this.#step = 'initialise'
      const begunUs = nowUs()
      try {
        await made.connect()
        // It is initialised with its first transaction.
        this.#first = await made.transaction()
        tell(`i ${nowUs()} ${this.name} ${this.#life} ${begunUs}`)
        this.#producer = made
        this.#number = 0
      } catch (error) {
        this.#giveUp(made, error)
        await pause(100)
      }
    }
    return this.#producer !== null
  }

  async transact({ messages, offsets }: Send): Promise<Outcome> {
    const name = `${this.name}/${this.#life}/${++this.#number}`
    const topic = offsets === undefined ? topics.in : topics.out
    for (const [i, { partition, source }] of messages.entries()) {
      const from = source && ` ${GROUP} ${topics.in}-${source.partition} ${source.offset}`
      say(`w ${nowUs()} ${name} ${i} ${topic}-${partition}${from ?? ''}`)
    }
    for (const [partition, offset] of offsets ?? []) {
      say(`o ${nowUs()} ${name} ${GROUP} ${topics.in}-${partition} ${offset}`)
    }
    tell()
    try {
      const transaction = this.#first ?? (await this.#producer!.transaction())
      this.#first = null
      this.#step = 'send'
      await this.#send(transaction, name, topic, messages)
      this.#step = 'offsets'
      if (offsets !== undefined) await transaction.sendOffsets(sentOffsets(offsets))
      if (this.random.below(100) < ABORTED_PERCENT) {
        this.#step = 'abort'
        await transaction.abort()
        say(`A ${nowUs()} ${name}`)
        return 'aborted'
      }
      this.#step = 'commit'
      tell(`c ${nowUs()} ${name}`)
      await transaction.commit()
      say(`C ${nowUs()} ${name}`)
      return 'committed'
    } catch (error) {
      this.#giveUp(this.#producer!, error)
      return 'lost'
    }
  }

  /**
   * One partition after the other. Where leaders move between two tries of a request for several, kafkajs leaves out what
   * comes to a broker that has answered before, and sends twice what goes from such a one to another.
   */
  async #send(
    transaction: Transaction,
    name: string,
    topic: string,
    messages: Send['messages'],
  ): Promise<void> {
    for (const partition of new Set(messages.map((each) => each.partition))) {
      const indexes = [...messages.keys()].filter((i) => messages[i].partition === partition)
      const sent = indexes.map((i): Message => {
        return { partition, value: `${name} ${i} ${'y'.repeat(this.random.below(300))}` }
      })
      const [{ baseOffset }] = await transaction.send({ topic, messages: sent, acks: -1 })
      for (const [place, i] of indexes.entries()) {
        say(`s ${nowUs()} ${name} ${i} ${topic}-${partition} ${Number(baseOffset) + place}`)
      }
    }
  }

  #giveUp(producer: Producer, error: unknown): void {
    const { type, name } = error as { type?: string; name: string }
    this.#isFenced = type === 'INVALID_PRODUCER_EPOCH' || type === 'PRODUCER_FENCED'
    tell(`f ${nowUs()} ${this.name} ${this.#life} ${type ?? name} at ${this.#step}`)
    this.#producer = null
    this.#first = null
    producer.disconnect().catch(() => undefined)
  }

  async end(): Promise<void> {
    await Promise.race([this.#producer?.disconnect().catch(() => undefined), pause(2000)])
    tell(`stopped ${this.name}`)
  }
}

function sentOffsets(offsets: Map<number, number>): Parameters<Transaction['sendOffsets']>[0] {
  const list = [...offsets].map(([partition, offset]) => ({ partition, offset: String(offset) }))
  return { consumerGroupId: `${round}-${GROUP}`, topics: [{ topic: topics.in, partitions: list }] }
}

async function write(number: number): Promise<void> {
  const transactor = new Transactor(`${FAMILY}-w${number}`, new Random(Number(seed) + number))
  const { random } = transactor
  while (!told.stopping && (await transactor.isReady())) {
    const messages = Array.from({ length: 1 + random.below(4) }, () => ({
      partition: random.below(partitions),
    }))
    // A transaction that meets the markers of the one before is refused, and kafkajs asks once.
    await transactor.transact({ messages })
    await pause(Number(pauseMs))
  }
  await transactor.end()
}

/** A consumer that is a group of its own; resolves when kafkajs has given it up, or `isOver` says so. */
async function consume(
  group: string,
  topicNames: string[],
  each: (payload: EachBatchPayload, consumer: Consumer) => Promise<void>,
  isOver: () => boolean,
): Promise<void> {
  const consumer = kafka.consumer({
    groupId: `${round}-${group}`,
    sessionTimeout: 6000,
    heartbeatInterval: 500,
    maxWaitTimeInMs: 100,
    metadataMaxAge: 5000,
    retry,
  })
  const state = { isCrashed: false }
  consumer.on(consumer.events.CRASH, ({ payload: { restart } }) => {
    if (!restart) state.isCrashed = true
  })
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: topicNames, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => each(payload, consumer),
    })
    while (!state.isCrashed && !told.finishing && !isOver()) await pause(20)
  } catch {
    await pause(200)
  }
  await Promise.race([consumer.disconnect().catch(() => undefined), pause(3000)])
}

let instances = 0
let polls = 0

function sayPolled(
  instance: string,
  topic: string,
  partition: number,
  message: Message & { offset: string },
): void {
  const [transaction, index] = String(message.value).split(' ', 2)
  say(`r ${nowUs()} ${instance} ${polls} ${topic}-${partition} ${message.offset} ${transaction} ${index}`)
}

async function transformAll(): Promise<void> {
  const transactor = new Transactor(`${FAMILY}-x0`, new Random(Number(seed) - 1))
  const admin = kafka.admin()
  while (!told.finishing && (await transactor.isReady())) {
    const instance = `${GROUP}:x0.${processLife}.${instances++}`
    const next = await committedOffsets(admin, instance)
    let isLost = next === null
    if (isLost) continue
    await consume(
      GROUP,
      [topics.in],
      async (payload) => {
        isLost ||= (await transform(payload, { transactor, next: next!, instance })) === 'lost'
      },
      () => isLost,
    )
  }
  await admin.disconnect().catch(() => undefined)
  await transactor.end()
}

/** By partition, of the group that transforms; null where nobody tells. */
async function committedOffsets(admin: Admin, instance: string): Promise<Map<number, number> | null> {
  try {
    await admin.connect()
    const atUs = nowUs()
    const [fetched] = await admin.fetchOffsets({ groupId: `${round}-${GROUP}`, topics: [topics.in] })
    const known = new Map(fetched.partitions.map(({ partition, offset }) => [partition, Number(offset)]))
    const next = new Map(
      Array.from({ length: partitions }, (_, partition) => [
        partition,
        Math.max(0, known.get(partition) ?? 0),
      ]),
    )
    for (const [partition, offset] of next) say(`p ${atUs} ${instance} ${topics.in}-${partition} ${offset}`)
    return next
  } catch {
    await pause(100)
    return null
  }
}

interface Transforming {
  transactor: Transactor
  /** By partition: what has been committed ends before this. */
  next: Map<number, number>
  instance: string
}

async function transform(
  { batch, resolveOffset, heartbeat, isRunning, isStale }: EachBatchPayload,
  { transactor, next, instance }: Transforming,
): Promise<Outcome> {
  const { partition } = batch
  const left = batch.messages.filter(({ offset }) => Number(offset) >= next.get(partition)!)
  polls++
  for (const message of left) sayPolled(instance, batch.topic, partition, message)
  try {
    while (left.length > 0 && isRunning() && !isStale() && !told.finishing) {
      const part = left.slice(0, MAX_BATCH)
      const offset = Number(part.at(-1)!.offset) + 1
      const messages = part.map((each) => ({
        partition,
        source: { partition, offset: Number(each.offset) },
      }))
      const outcome = await transactor.transact({ messages, offsets: new Map([[partition, offset]]) })
      if (outcome === 'lost') return outcome
      if (outcome === 'committed') {
        left.splice(0, part.length)
        next.set(partition, offset)
        resolveOffset(part.at(-1)!.offset)
      }
      await heartbeat()
    }
    if (left.length === 0) resolveOffset(batch.lastOffset())
  } finally {
    // Read again, also where the heartbeat throws: the group has another generation.
    const unread = left.length > 0
    if (unread) say(`p ${nowUs()} ${instance} ${batch.topic}-${partition} ${next.get(partition)}`)
  }
  return 'committed'
}

async function readAll(): Promise<void> {
  while (!told.finishing) {
    let committedMs = 0
    /** Of this generation: the offset expected next, by topic and partition. */
    const next = new Map<string, number>()
    const instance = `${READER}:${processLife}.${instances++}`
    await consume(
      READER,
      [topics.in, topics.out],
      async (payload, consumer) => {
        if (committedMs === 0) consumer.on(consumer.events.GROUP_JOIN, () => next.clear())
        const { batch, resolveOffset, heartbeat, isRunning, isStale } = payload
        polls++
        for (const message of batch.messages) {
          if (!isRunning() || isStale()) return
          const place = `${batch.topic}-${batch.partition}`
          // cluster/kafkajs-load.ts says why it goes back.
          if (!(Number(message.offset) >= next.get(place)!))
            say(`p ${nowUs()} ${instance} ${place} ${message.offset}`)
          next.set(place, Number(message.offset) + 1)
          sayPolled(instance, batch.topic, batch.partition, message)
          resolveOffset(message.offset)
        }
        await heartbeat()
        if (committedMs !== 0 && performance.now() - committedMs < COMMIT_EVERY_MS) return
        committedMs = performance.now()
        tell()
        await payload.commitOffsetsIfNecessary(payload.uncommittedOffsets())
      },
      () => false,
    )
  }
}

const commands = createInterface({ input: process.stdin })
commands.on('line', (line) => {
  if (line === 'stop') told.stopping = true
  if (line === 'retire') told.retired = true
})
commands.once('close', () => (told.stopping = told.finishing = true))
const tasks = [transformAll(), readAll(), ...Array.from({ length: Number(writers) }, (_, i) => write(i))]
await Promise.all(tasks)
tell()
process.exit(0)
