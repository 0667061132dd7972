/**
 * The process that is killed: starts the logs of a directory on the real disk, says what it found in them, then appends,
 * truncates, deletes and flushes, while the cleaner and retention run, and says so line by line. See partitions.ts.
 */
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../src/env/env.ts'
import { createNodeEnv } from '../../src/env/node/index.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { createLogManager } from '../../src/log/log-manager.ts'
import type { AppendOutcome, LogManager, ReplicaLog } from '../../src/log/types.ts'
import * as batch from '../../src/protocol/record-batch.ts'
import { cleanerSettings } from '../log/cleaner/cleaner-fixture.ts'
import { TOPIC_ID } from '../log/log-fixture.ts'
import { killingDisk } from './killing-disk.ts'
import { configOf, firstIdOf, keyOf, MAX_BATCH_RECORDS, TOPICS } from './partitions.ts'
import type { Assignment, Message, Moment, Topic } from './partitions.ts'
import { checkLookups, checkProducers, contentOf, PRODUCER_ID } from './serving.ts'

const assignment = JSON.parse(process.argv[2]) as Assignment
const random = new SeededRandom(assignment.seed)

/** At once in the pipe: what is said has been said, whenever the process ends. */
function say(message: Message): void {
  writeSync(1, JSON.stringify(message) + '\n')
}

function die(): never {
  say({ kind: 'dying', moment: assignment.kill!.moment })
  process.kill(process.pid, 'SIGKILL')
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

function fail(reason: string): never {
  say({ kind: 'failed', reason })
  process.exit(1)
}

/** A crash is no reason for an error. */
const logger: Logger = {
  log(level, message, fields) {
    if (level === 'error') fail(`${message} ${JSON.stringify(fields)}`)
  },
}

function openLogs(): LogManager {
  const env = createNodeEnv(logger)
  const { kill, directory } = assignment
  const killing = kill === null ? null : killingDisk(env.disk, kill, die)
  const manager: LogManager = createLogManager({
    env: { ...env, disk: killing?.disk ?? env.disk },
    logDirs: [directory],
    brokerId: 1,
    clusterId: 'killed',
    configFor: configOf,
    highWatermarkOf: (topic, partition) => manager.get(topic, partition)?.logEndOffset ?? 0,
    settings: {
      flushCheckpointIntervalMs: 15,
      logStartCheckpointIntervalMs: 11,
      highWatermarkCheckpointIntervalMs: 9,
      retentionCheckIntervalMs: 7,
      producerIdExpirationMs: 86_400_000,
      cleaner: { ...cleanerSettings, dedupeBufferBytes: 64 * 1024, backoffMs: 3 },
    },
    maxResidentSegments: 16,
  })
  manager.start()
  if (killing !== null) killing.isReady = true
  return manager
}

class Worker {
  readonly #log: ReplicaLog
  readonly #topic: Topic
  #nextId = firstIdOf(assignment.generation)
  #nextSequence: number
  /** Where batches of this process begin. */
  readonly #starts: number[] = []
  /** Appended, and not acknowledged. */
  #isWaiting = false

  constructor(log: ReplicaLog, nextSequence: number) {
    this.#log = log
    this.#topic = log.topic as Topic
    this.#nextSequence = nextSequence
  }

  work(): void {
    const dice = random.next()
    if (this.#isWaiting) return
    if (this.#topic === 'plain' && dice < 0.08) this.#truncate()
    else if (this.#topic === 'retained' && dice < 0.08) this.#raiseLogStart()
    else if (dice > 0.97) this.#log.flush().catch((error: unknown) => fail(`flush: ${String(error)}`))
    else this.#append()
  }

  #append(): void {
    const count = 1 + random.integer(MAX_BATCH_RECORDS)
    const id = this.#nextId
    const bytes = this.#batch(id, count)
    const outcome: AppendOutcome = this.#log.appendAsLeader(bytes, {
      leaderEpoch: assignment.generation,
      origin: 'client',
    })
    if (outcome.error !== 0 || !('firstOffset' in outcome))
      fail(`${this.#topic}: append gives ${JSON.stringify(outcome)}`)
    this.#nextId += count
    this.#nextSequence += count
    const offset = outcome.firstOffset
    this.#starts.push(offset)
    const acknowledge = () => say({ kind: 'appended', topic: this.#topic, offset, id, count })
    if (!this.#log.flushDue) return acknowledge()
    this.#isWaiting = true
    this.#log.flush().then(
      () => {
        this.#isWaiting = false
        acknowledge()
      },
      (error: unknown) => fail(`flush: ${String(error)}`),
    )
  }

  #batch(id: number, count: number): Buffer {
    const records = Array.from({ length: count }, (_, index) => ({
      timestampMs: Date.now() + random.integer(50),
      key: Buffer.from(keyOf(id + index)),
      value: Buffer.from(`${id + index}:${random.bytes(random.integer(80)).toString('hex')}`),
    }))
    const producer =
      this.#topic === 'idempotent'
        ? { producerId: PRODUCER_ID, producerEpoch: 0, baseSequence: this.#nextSequence }
        : {}
    return batch.buildBatch({ records, codec: random.integer(batch.codecNames.length), ...producer })
  }

  #truncate(): void {
    const offset = this.#starts.at(-1 - random.integer(10))
    if (offset === undefined) return
    say({ kind: 'truncating', topic: this.#topic, offset })
    this.#log.truncateTo(offset)
    say({ kind: 'truncated', topic: this.#topic })
    while (this.#starts.length > 0 && this.#starts.at(-1)! >= offset) this.#starts.pop()
  }

  /** DeleteRecords. */
  #raiseLogStart(): void {
    const { logStartOffset, logEndOffset } = this.#log
    const offset = logStartOffset + random.integer(Math.min(10, logEndOffset - logStartOffset + 1))
    say({ kind: 'raising', topic: this.#topic, offset })
    this.#log.raiseLogStart(offset, logEndOffset)
  }
}

/** Where the process is to end in a compaction, say, that compaction gets something to do. */
const FAVOURITES: Partial<Record<Moment, Topic>> = { compaction: 'compacted', retention: 'retained' }

async function main(): Promise<void> {
  const manager = openLogs()
  const isWhole = assignment.isToStop
  const workers = new Map<Topic, Worker>()
  for (const topic of TOPICS) {
    const log = manager.getOrCreate(topic, 0, TOPIC_ID, configOf(topic))
    const content = contentOf(log, assignment.reportFrom[topic])
    say({ kind: 'found', found: content.found })
    checkLookups(log, content, { random, isWhole })
    workers.set(topic, new Worker(log, checkProducers(log, assignment.generation)))
  }
  say({ kind: 'ready' })
  if (assignment.isToStop) return manager.stop()
  const favourite = FAVOURITES[assignment.kill?.moment ?? 'compaction']
  for (let turn = 0; ; turn++) {
    for (let steps = 1 + random.integer(3); steps > 0; steps--) {
      const isFavoured = favourite !== undefined && random.next() < 0.5
      workers.get(isFavoured ? favourite : TOPICS[random.integer(TOPICS.length)])!.work()
    }
    // The cleaner waits for a loop that is idle, and what waits long for its end need not fill the disk.
    await sleep(1 + random.integer(3) + turn / 20)
  }
}

process.on('uncaughtException', (error) => fail(String(error.stack)))
main().catch((error: unknown) => fail(error instanceof Error ? String(error.stack) : String(error)))
