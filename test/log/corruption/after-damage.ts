/** Starts a log manager on a damaged data directory and looks at all that it serves. */
import { DiskError } from '../../../src/env/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { LogDirError } from '../../../src/log/log-dir-error.ts'
import type { ReplicaLog } from '../../../src/log/types.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import * as batch from '../../../src/protocol/record-batch.ts'
import { batchOf, START_MS, type Fixture } from '../log-fixture.ts'
import type { BaseDirectory } from './base-directories.ts'
import { damage, firstDamagedOffset, type Damage } from './damage.ts'

const EVERYTHING = 1024 * 1024

function must(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message)
}

/** Undefined where it was refused with the error of a disk. */
function unlessRefused<T>(action: () => T): T | undefined {
  try {
    return action()
  } catch (error) {
    if (error instanceof DiskError && error.code === 'IO') return undefined
    throw error
  }
}

interface Batch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly isWhole: boolean
  /** The partition leader epoch, which no CRC covers, left out. */
  readonly bytes: Buffer
}

function batchesIn(bytes: Buffer): Batch[] {
  const batches: Batch[] = []
  for (let at = 0; at < bytes.length;) {
    must(bytes.length - at >= batch.BATCH_OVERHEAD, 'less than a batch was served')
    const size = batch.batchSize(bytes, at)
    must(size >= batch.BATCH_OVERHEAD && at + size <= bytes.length, 'a part of a batch was served')
    const own = Buffer.from(bytes.subarray(at, at + size)).fill(0, 12, 16)
    batches.push({
      baseOffset: batch.baseOffset(bytes, at),
      lastOffset: batch.lastOffset(bytes, at),
      isWhole: batch.checkBatch(bytes, at, size) === null,
      bytes: own,
    })
    at += size
  }
  return batches
}

/** null: refused. */
function readFrom(log: ReplicaLog, offset: number, maxBytes: number): Batch[] | null {
  const slice = unlessRefused(() =>
    log.read(offset, { maxBytes, upperBoundOffset: log.logEndOffset, minOneBatch: true }),
  )
  if (slice === undefined) return null
  must(slice !== null, `offset ${offset} is in the log, and out of range`)
  const batches = batchesIn(slice.bytes)
  slice.release()
  let next = offset
  batches.forEach(({ baseOffset, lastOffset }, index) => {
    const follows = index === 0 ? lastOffset >= next : baseOffset >= next
    must(follows && lastOffset >= baseOffset, `offsets ${baseOffset} to ${lastOffset} where ${next} was next`)
    must(lastOffset < log.logEndOffset, `offset ${lastOffset} of a log that ends at ${log.logEndOffset}`)
    next = lastOffset + 1
  })
  return batches
}

/** What may be missing or refused in one partition. */
interface Excuse {
  /** Nothing at or above it must be there: records are damaged. Infinity: none are. */
  readonly intactBelow: number
  readonly startMayDiffer: boolean
  readonly epochsMayDiffer: boolean
  readonly abortsMayDiffer: boolean
  /** The log was compacted. */
  readonly mayHaveGaps: boolean
  /** What was not flushed before a kill, cut between two batches, leaves no trace. */
  endMayBeLost(logEndOffset: number): boolean
}

function excuseOf(found: Damage, partition: number, base: BaseDirectory): Excuse {
  const isHere = found.path.startsWith(`/data/t-${partition}/`)
  const { kind } = found
  const isRecords = isHere && kind === '.log'
  const isSwap = isHere && kind.endsWith('.swap')
  return {
    intactBelow: isRecords ? firstDamagedOffset(found) : isSwap ? 0 : Infinity,
    endMayBeLost: (end) =>
      isRecords &&
      base.ending === 'killed' &&
      end >= (base.flushedEnds.get(partition) ?? 0) &&
      end === firstDamagedOffset(found) &&
      found.after.length === found.position,
    mayHaveGaps: base.name === 'compacted' || base.name === 'swap',
    startMayDiffer: kind === 'log-start-offset-checkpoint',
    epochsMayDiffer: isHere && kind === 'leader-epoch-checkpoint',
    // What whole entries at the end were cut cannot be told after a clean stop.
    abortsMayDiffer:
      isHere &&
      kind === '.txnindex' &&
      found.after.length < found.before.length &&
      found.after.length % 34 === 0,
  }
}

/** What the undamaged directory answers in one partition. Asked thousands of times: each answer is kept. */
class Right {
  readonly log: ReplicaLog
  readonly batches: readonly Batch[]
  /** As written, those below the log start too, by base offset. */
  readonly written = new Map<number, Buffer>()
  readonly #answers = new Map<string, unknown>()

  constructor(base: BaseDirectory, log: ReplicaLog) {
    this.log = log
    this.batches = readAll(log)
    for (const name of base.disk.list(log.directory).filter((each) => each.endsWith('.log'))) {
      const bytes = base.disk.readFile(`${log.directory}/${name}`)
      for (const each of batchesIn(bytes)) this.written.set(each.baseOffset, each.bytes)
    }
    for (const each of this.batches) this.written.set(each.baseOffset, each.bytes)
  }

  /** The batch that a read of `offset` begins with. */
  batchFor(offset: number): Batch | undefined {
    return this.batches.find(({ lastOffset }) => lastOffset >= offset)
  }

  answer<T>(question: string, ask: (log: ReplicaLog) => T): T {
    if (!this.#answers.has(question)) this.#answers.set(question, ask(this.log))
    return this.#answers.get(question) as T
  }
}

const rights = new WeakMap<BaseDirectory, ReadonlyMap<number, Right>>()

function rightsOf(base: BaseDirectory): ReadonlyMap<number, Right> {
  let known = rights.get(base)
  if (known === undefined) {
    known = new Map([...base.right.all()].map((log) => [log.partition, new Right(base, log)]))
    rights.set(base, known)
  }
  return known
}

function readAll(log: ReplicaLog): Batch[] {
  const batches: Batch[] = []
  let next = log.logStartOffset
  while (next < log.logEndOffset) {
    const more = readFrom(log, next, EVERYTHING)!
    if (more.length === 0) break
    batches.push(...more)
    next = batches.at(-1)!.lastOffset + 1
  }
  return batches
}

interface Looked {
  readonly log: ReplicaLog
  readonly right: Right
  readonly excuse: Excuse
  /** What was appended after the damage. */
  readonly appended: Appended | undefined
  readonly seed: number
}

interface Appended {
  readonly baseOffset: number
  readonly bytes: Buffer
}

/** Whether a whole batch is one that was written. Its base offset has no CRC: where nothing contradicts it, it may be too high. */
function isWritten({ baseOffset, bytes }: Batch, { right, appended, excuse }: Looked): boolean {
  if (right.written.get(baseOffset)?.equals(bytes)) return true
  if (appended !== undefined && appended.bytes.equals(bytes)) return true
  if (excuse.intactBelow === Infinity) return false
  const last = right.batches.at(-1)
  const isMoved = (each: Batch): boolean =>
    each.baseOffset < baseOffset && each.bytes.subarray(8).equals(bytes.subarray(8))
  return excuse.mayHaveGaps ? right.batches.some(isMoved) : last !== undefined && isMoved(last)
}

function checkReads(looked: Looked, maxBytes: number): void {
  const { log, right, excuse } = looked
  const seen = new Set<number>()
  let next = log.logStartOffset
  for (let reads = 0; next < log.logEndOffset; reads++) {
    must(reads < 1000, 'a thousand reads and no end')
    const batches = readFrom(log, next, maxBytes)
    if (batches === null || batches.length === 0) {
      const isEnd = batches !== null && right.batchFor(next) === undefined
      must(
        isEnd || (right.batchFor(next)?.lastOffset ?? next) >= excuse.intactBelow,
        `offset ${next} is ${batches === null ? 'refused' : 'not served'}`,
      )
      next = right.batches.find(({ baseOffset }) => baseOffset > next)?.baseOffset ?? Infinity
      continue
    }
    for (const each of batches) {
      const { baseOffset, isWhole } = each
      seen.add(baseOffset)
      if (isWhole) must(isWritten(each, looked), `the batch at ${baseOffset} is not what was written`)
      else must(excuse.intactBelow <= baseOffset, `the batch at ${baseOffset} is broken`)
    }
    next = batches.at(-1)!.lastOffset + 1
  }
  for (const { baseOffset, lastOffset } of right.batches) {
    const isIntact = lastOffset < excuse.intactBelow && baseOffset >= log.logStartOffset
    if (isIntact) must(seen.has(baseOffset), `the batch at ${baseOffset} is lost`)
  }
}

function checkOffsets({ log, right, excuse }: Looked, random: SeededRandom): void {
  for (let count = 0; count < 4; count++) {
    const offset = log.logStartOffset + random.integer(Math.max(1, log.logEndOffset - log.logStartOffset))
    const expected = right.batchFor(offset)
    if (offset >= log.logEndOffset || offset < right.log.logStartOffset || expected === undefined) continue
    if (expected.lastOffset >= excuse.intactBelow) continue
    const found = readFrom(log, offset, 1)
    const isRight = found?.length === 1 && found[0].bytes.equals(expected.bytes)
    must(isRight, `a read of offset ${offset} gives ${found?.[0]?.baseOffset ?? 'nothing'}`)
  }
}

function checkLookups({ log, right, excuse }: Looked, random: SeededRandom, hasMore: boolean): void {
  const isIntact = excuse.intactBelow === Infinity && !excuse.startMayDiffer
  for (let count = 0; count < 4; count++) {
    const timestampMs = START_MS - 5 + random.integer(370)
    const found = unlessRefused(() => log.offsetForTimestamp(timestampMs))
    const expected = right.answer(`timestamp ${timestampMs}`, (log) => log.offsetForTimestamp(timestampMs))
    if (isIntact && !(hasMore && expected === null))
      must(
        found?.offset === expected?.offset,
        `timestamp ${timestampMs}: ${JSON.stringify(found)} for ${JSON.stringify(expected)}`,
      )
    if (found)
      must(
        found.timestampMs >= timestampMs && found.offset < log.logEndOffset,
        `timestamp ${timestampMs} gives ${JSON.stringify(found)}`,
      )
  }
  const newest = unlessRefused(() => log.offsetOfMaxTimestamp())
  if (isIntact && !hasMore)
    must(
      newest?.offset === right.answer('newest', (log) => log.offsetOfMaxTimestamp())?.offset,
      `the greatest timestamp: ${JSON.stringify(newest)}`,
    )
}

function checkTransactions({ log, right, excuse }: Looked, random: SeededRandom): void {
  const from = random.integer(right.log.logEndOffset)
  for (const [start, end] of [
    [0, right.log.logEndOffset],
    [from, Math.min(right.log.logEndOffset, from + 1 + random.integer(20))],
  ]) {
    const found = unlessRefused(() => log.abortedTransactions(start, end))
    if (excuse.intactBelow < Infinity || excuse.abortsMayDiffer) continue
    const [got, expected] = [
      JSON.stringify(found),
      right.answer(`aborted ${start} ${end}`, (log) => JSON.stringify(log.abortedTransactions(start, end))),
    ]
    must(got === expected, `aborted in ${start} to ${end}: ${got} for ${expected}`)
  }
}

function checkEpochs({ log, right, excuse }: Looked): void {
  for (let epoch = 0; epoch < 5; epoch++) {
    const found = unlessRefused(() => log.endOffsetForEpoch(epoch))
    if (
      excuse.intactBelow < Infinity ||
      excuse.epochsMayDiffer ||
      excuse.startMayDiffer ||
      epoch >= right.log.latestLeaderEpoch
    )
      continue
    must(
      JSON.stringify(found) === JSON.stringify(right.log.endOffsetForEpoch(epoch)),
      `the end of epoch ${epoch} is ${JSON.stringify(found)}`,
    )
  }
}

function look(looked: Looked, hasMore: boolean): void {
  const random = new SeededRandom(looked.seed)
  const small = looked.seed % 2 === 0 ? 1 : 400
  for (const maxBytes of hasMore ? [400] : [small, EVERYTHING]) checkReads(looked, maxBytes)
  checkOffsets(looked, random)
  checkLookups(looked, random, hasMore)
  checkTransactions(looked, random)
  checkEpochs(looked)
}

function checkStart({ log, right, excuse }: Looked, { logger }: Fixture): void {
  if (log.logEndOffset === right.log.logEndOffset || excuse.endMayBeLost(log.logEndOffset)) return
  must(
    excuse.intactBelow < Infinity || excuse.startMayDiffer,
    `the log ends at ${log.logEndOffset}, not at ${right.log.logEndOffset}`,
  )
  must(
    log.logEndOffset >= Math.min(excuse.intactBelow, right.log.logEndOffset) || excuse.startMayDiffer,
    `the log ends at ${log.logEndOffset}, below its damage`,
  )
  must(
    logger.lines.some((line) => /^(warn|error)/.test(line)),
    `nothing is said of the log's end at ${log.logEndOffset}`,
  )
}

/** Appends; gives what was written. */
function write(log: ReplicaLog, base: BaseDirectory, excuse: Excuse): Appended | null {
  const { logEndOffset } = log
  for (const { partition, bytes, firstOffset } of base.repeated.slice(-1)) {
    if (partition !== log.partition || excuse.intactBelow < Infinity) continue
    const outcome = log.appendAsLeader(Buffer.from(bytes), { leaderEpoch: 9, origin: 'client' })
    must(
      outcome.error === 0 &&
        'duplicate' in outcome &&
        outcome.duplicate &&
        outcome.firstOffset === firstOffset,
      `sent again: ${JSON.stringify(outcome)}`,
    )
  }
  const bytes = batchOf({ values: ['after the damage'], timestampMs: START_MS + 1_000_000 })
  const outcome = log.appendAsLeader(bytes, { leaderEpoch: 9, origin: 'client' })
  if (!('firstOffset' in outcome)) {
    must(
      excuse.intactBelow < Infinity && outcome.error === ErrorCode.KAFKA_STORAGE_ERROR,
      `append: ${JSON.stringify(outcome)}`,
    )
    return null
  }
  must(
    outcome.firstOffset === logEndOffset,
    `appended at ${outcome.firstOffset} to a log that ended at ${logEndOffset}`,
  )
  return { baseOffset: logEndOffset, bytes: Buffer.from(bytes).fill(0, 12, 16) }
}

/** null where the start refused the directory with one line for the operator, as it may where the damage is in `allowed`. */
function start(base: BaseDirectory, disk: BaseDirectory['disk'], found: Damage): Fixture | null {
  try {
    return base.open(disk)
  } catch (error) {
    if (!(error instanceof LogDirError) || found.kind !== 'meta.properties') throw error
    must(!error.message.includes('\n'), 'more than one line')
    return null
  }
}

/** The rules of corruption.test.ts. Throws where one is broken; gives what was damaged. */
export async function tryDamage(base: BaseDirectory, seed: number): Promise<Damage> {
  const disk = base.disk.clone(new SeededRandom(seed))
  const found = damage(disk, seed)
  try {
    const written = new Map<number, Appended>()
    for (const isFirst of [true, false]) {
      const fixture = start(base, disk, found)
      if (fixture === null) return found
      for (const [partition, right] of rightsOf(base)) {
        const log = fixture.manager.get('t', partition)
        must(log !== undefined, `partition ${partition} is gone`)
        const appended = written.get(partition)
        const looked = { log, right, excuse: excuseOf(found, partition, base), appended, seed }
        if (isFirst) checkStart(looked, fixture)
        if (appended !== undefined) must(log.logEndOffset > appended.baseOffset, 'what was appended is lost')
        look(looked, !isFirst)
        const own = isFirst ? write(log, base, looked.excuse) : null
        if (own !== null) written.set(partition, own)
      }
      await fixture.manager.stop()
      disk.kill()
    }
    return found
  } catch (error) {
    const where = `${base.name} ${base.ending}, seed ${seed}: ${found.how} of ${found.path} at ${found.position}`
    throw new Error(`${where}: ${(error as Error).message}`, { cause: error })
  }
}
