/**
 * Members of groups with kafkajs: `node kafkajs-members.js BOOTSTRAP`, a process of its own because it is killed. What it
 * obeys and says is what java/ChurnMembers.java does; history.ts says what the lines mean. Each member is a thread: one that
 * is closed while there is no broker may go on in kafkajs, with heartbeats and all, and ends with its thread.
 */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import kafkajs from 'kafkajs'

const COMMIT_EVERY_MS = 300
const CLOSE_MS = 10_000
const retry = { initialRetryTime: 50, maxRetryTime: 500, retries: 100_000, factor: 0.2, multiplier: 1.5 }

class Member {
  #name
  #consumer
  /** What kafkajs gave with the last batch of this generation, for commits of all that was read in it; null: nothing was. */
  #batch = null
  #isCommitting = false
  /** Partitions of this generation; null: the group is between two. */
  #owned = null
  #isGenerationTold = false
  #isClosed = false

  constructor(name, groupId, topic, settings) {
    this.#name = name
    const { session, heartbeat, rebalance, assigner } = settings
    const kafka = new kafkajs.Kafka({
      clientId: name,
      brokers: process.argv[2].split(','),
      logLevel: kafkajs.logLevel.NOTHING,
      connectionTimeout: 1500,
      requestTimeout: 10_000,
      retry,
    })
    this.#consumer = kafka.consumer({
      groupId,
      sessionTimeout: Number(session),
      heartbeatInterval: Number(heartbeat),
      rebalanceTimeout: Number(rebalance),
      partitionAssigners: [kafkajs.PartitionAssigners[assigner]],
      maxWaitTimeInMs: 200,
      metadataMaxAge: 5000,
      // A consumer that is told to stop while it waits to be started anew would be started all the same.
      retry: { ...retry, restartOnFailure: async () => !this.#isClosed },
    })
    this.#listen(topic)
    setInterval(() => this.#commit(), COMMIT_EVERY_MS)
    void this.#run(topic)
  }

  #listen(topic) {
    const { events } = this.#consumer
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => {
      // Out of the group without a word: it lost what it had.
      if (this.#owned !== null) this.say(`l ${this.#owned.join(',')}`)
      this.#owned = payload.memberAssignment[topic] ?? []
      this.#batch = null
      this.#isGenerationTold = false
      this.say(`a -1 ${this.#owned.join(',')}`)
    })
    this.#consumer.on(events.HEARTBEAT, ({ payload }) => {
      if (this.#isGenerationTold || this.#owned === null) return
      this.#isGenerationTold = true
      this.say(`g ${payload.groupGenerationId}`)
    })
    this.#consumer.on(events.REBALANCING, () => this.#giveBack())
    this.#consumer.on(events.CRASH, ({ payload }) => {
      if (this.#owned !== null) this.say(`l ${this.#owned.join(',')}`)
      this.#owned = null
      this.#batch = null
      if (!payload.restart) this.#again(topic, payload.error)
    })
  }

  #giveBack() {
    if (this.#owned !== null) this.say(`v ${this.#owned.join(',')}`)
    this.#owned = null
    this.#batch = null
  }

  async #run(topic) {
    try {
      await this.#consumer.connect()
      await this.#consumer.subscribe({ topics: [topic], fromBeginning: true })
      await this.#consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        eachBatch: (payload) => this.#eachBatch(payload),
      })
    } catch (error) {
      this.#again(topic, error)
    }
  }

  /** What meets no coordinator kafkajs gives up after some tries, whatever the settings: its user starts it again. */
  #again(topic, error) {
    if (this.#isClosed) return
    if (!/coordinator|connection|retries/i.test(String(error))) return this.say(`f ${String(error)}`)
    setTimeout(() => this.#run(topic), 200)
  }

  async #eachBatch(payload) {
    const { batch, resolveOffset, heartbeat, isRunning, isStale } = payload
    for (const { value, offset } of batch.messages) {
      // Fetched in an earlier generation, perhaps: it is given out again from what is committed.
      if (!isRunning() || isStale() || this.#owned === null) return
      this.say(`r ${batch.partition} ${offset} ${String(value)}`)
      resolveOffset(offset)
    }
    this.#batch = payload
    await heartbeat()
  }

  /** A commit that fails is made again by the next, whether or not there is more to read: kafkajs alone would wait for a batch. */
  async #commit() {
    if (this.#batch === null || this.#isCommitting) return
    const { isRunning, uncommittedOffsets, commitOffsetsIfNecessary } = this.#batch
    const offsets = uncommittedOffsets()
    if (!isRunning() || offsets.topics.length === 0) return
    this.#isCommitting = true
    try {
      // With offsets it is always necessary. Both are of the generation that there is now.
      await commitOffsetsIfNecessary(offsets)
      const told = offsets.topics.flatMap(({ partitions }) => partitions)
      this.say(`c ${told.map(({ partition, offset }) => `${partition}:${offset}`).join(',')}`)
    } catch {
      // The heartbeats tell the consumer what is wrong.
    }
    this.#isCommitting = false
  }

  async close() {
    this.#isClosed = true
    await this.#consumer.stop().catch(() => undefined)
    this.#giveBack()
    await this.#consumer.disconnect().catch(() => undefined)
  }

  say(what) {
    // At once: what was said is read, even if this process is killed now.
    writeSync(1, `${Date.now()} ${this.#name} ${what}\n`)
  }
}

function startMember([, name, group, topic, ...settings]) {
  const member = new Member(name, group, topic, Object.fromEntries(settings.map((each) => each.split('='))))
  process.stdin.resume().once('end', async () => {
    await Promise.race([member.close(), new Promise((resolve) => setTimeout(resolve, CLOSE_MS))])
    member.say('x')
    process.exit(0)
  })
}

function obey() {
  const members = new Map()
  const commands = createInterface({ input: process.stdin })
  commands.on('line', (line) => {
    const words = line.split(' ')
    const [verb, name] = words
    // The end of its standard input tells a member to close.
    if (verb === 'close') return members.get(name).stdin.end()
    const options = { argv: [process.argv[2]], workerData: words, stdin: true }
    members.set(name, new Worker(fileURLToPath(import.meta.url), options))
  })
  commands.on('close', () => process.exit(0))
}

if (isMainThread) obey()
else startMember(workerData)
