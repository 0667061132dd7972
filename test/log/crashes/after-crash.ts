/** Ends the process, or the power, at a remembered moment, starts again, and holds what is found against the promises. */
import type { CrashMode, DiskStep, SimDisk } from '../../../src/env/sim/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { SimScheduler } from '../../../src/env/sim/scheduler.ts'
import type { LogConfig, ReplicaLog } from '../../../src/log/types.ts'
import * as batch from '../../../src/protocol/record-batch.ts'
import { openLogs, readAll, type Fixture } from '../log-fixture.ts'
import { checkPartitionFiles, type FilesCheck } from '../partition-files.ts'
import type { KeptBatch, Moment, Promised } from './crash-world.ts'

/** `kill`: every byte stays. The others are power cuts. */
export type Ending = 'kill' | CrashMode

export interface CrashTrial {
  readonly moment: Moment
  readonly ending: Ending
  readonly seed: number
  readonly config: Partial<LogConfig>
  readonly files?: Partial<FilesCheck>
}

/** What each partition held after a start: its batches' bytes. */
type Found = ReadonlyMap<string, { readonly logStartOffset: number; readonly batches: readonly KeptBatch[] }>

/** The disk as the crash leaves it: the step under way may have got through in part. */
export function crashedDisk({ moment, ending, seed }: CrashTrial): SimDisk {
  const random = new SeededRandom(seed)
  const disk = moment.disk.clone(random)
  const { write, path } = moment.step
  if (write !== undefined && write.bytes.length > 1 && random.next() < 0.5) {
    const length = random.integer(write.bytes.length + 1)
    disk.open(path, 'write').write([write.bytes.subarray(0, length)], write.position)
  }
  if (ending === 'kill') disk.kill()
  else disk.crash(ending)
  return disk
}

/** One crash. Gives the moments of the recovery that followed, at which it may crash again. */
export async function tryCrash(trial: CrashTrial): Promise<Moment[]> {
  const disk = crashedDisk(trial)
  const checkpoint = recoveryPointsOn(disk)
  const isCheckpointed = (key: string) => checkpoint.includes(`${key.replace(/-(\d+)$/, ' $1')} `)
  const moments = await startAgain(disk, trial, (found) => {
    for (const [key, promised] of trial.moment.promises)
      expectPromises(key, promised, found, { ending: trial.ending, isCheckpointed: isCheckpointed(key) })
  })
  return moments
}

/** A crash in the recovery from a crash: nothing that the first recovery found may be missing after the second. */
export async function tryCrashInRecovery(trial: CrashTrial, again: Moment, seed: number): Promise<void> {
  const first = await foundBy(crashedDisk(trial), trial)
  // What a kill leaves in the page cache is on no disk yet; what a power cut leaves is.
  const cut = seed % 2 === 0 ? 'drop' : 'random'
  const ending: Ending = trial.ending === 'kill' || seed % 3 === 0 ? 'kill' : cut
  const disk = crashedDisk({ ...trial, moment: again, ending, seed })
  await startAgain(disk, trial, (found) => {
    for (const [key, before] of first) {
      const after = found.get(key)
      expectSame(key, before.batches, after?.batches ?? [])
    }
  })
}

async function foundBy(disk: SimDisk, trial: CrashTrial): Promise<Found> {
  return contentOf(startOn(disk, trial))
}

function startOn(disk: SimDisk, { config, moment }: CrashTrial): Fixture {
  const time = new SimScheduler({ startMs: moment.nowMs })
  return openLogs({ disk, config, time })
}

async function startAgain(
  disk: SimDisk,
  trial: CrashTrial,
  expectFound: (found: Found) => void,
): Promise<Moment[]> {
  const moments: Moment[] = []
  disk.onStep = (step: DiskStep) => {
    moments.push({ ...trial.moment, disk: disk.clone(new SeededRandom(moments.length)), step })
  }
  const fixture = startOn(disk, trial)
  disk.onStep = null
  const complaints = fixture.logger.lines.filter((line) => line.startsWith('error'))
  if (complaints.length > 0) throw new Error(`the start complains: ${complaints.join(' | ')}`)
  const found = contentOf(fixture)
  expectFound(found)
  for (const log of fixture.manager.all()) expectServing(log, found.get(keyOf(log))!.batches)
  await fixture.manager.stop()
  expectFilesAgree(disk, trial.files, (key) => found.get(key)?.logStartOffset ?? 0)
  disk.kill()
  const next = startOn(disk, trial)
  if (next.logger.lines.length > 0) throw new Error(`the clean start says: ${next.logger.lines.join(' | ')}`)
  const again = contentOf(next)
  for (const [key, { batches }] of found) expectSame(key, batches, again.get(key)!.batches)
  return moments
}

const keyOf = ({ topic, partition }: ReplicaLog): string => `${topic}-${partition}`

function contentOf({ manager }: Fixture): Found {
  const found = new Map<string, { logStartOffset: number; batches: KeptBatch[] }>()
  for (const log of manager.all()) {
    const batches = split(readAll(log))
    found.set(keyOf(log), { logStartOffset: log.logStartOffset, batches })
    const end = batches.length === 0 ? log.logStartOffset : batches.at(-1)!.lastOffset + 1
    if (log.logEndOffset !== end)
      throw new Error(`${keyOf(log)} ends at ${log.logEndOffset}, its batches at ${end}`)
  }
  return found
}

function split(bytes: Buffer): KeptBatch[] {
  const batches: KeptBatch[] = []
  for (let at = 0; at < bytes.length;) {
    const bad = batch.checkBatch(bytes, at, bytes.length - at)
    if (bad !== null) throw new Error(`served a bad batch: ${bad.message}`)
    const size = batch.batchSize(bytes, at)
    const copy = bytes.subarray(at, at + size)
    batches.push({
      baseOffset: batch.baseOffset(copy, 0),
      lastOffset: batch.lastOffset(copy, 0),
      bytes: copy,
    })
    at += size
  }
  return batches
}

function expectSame(key: string, expected: readonly KeptBatch[], found: readonly KeptBatch[]): void {
  const [one, other] = [expected, found].map((batches) => batches.map(({ baseOffset }) => baseOffset).join())
  if (one !== other) throw new Error(`${key}: batches at ${other} instead of ${one}`)
  expected.forEach(({ bytes, baseOffset }, index) => {
    if (!bytes.equals(found[index].bytes)) throw new Error(`${key}: other bytes at offset ${baseOffset}`)
  })
}

function recoveryPointsOn(disk: SimDisk): string {
  const path = '/data/recovery-point-offset-checkpoint'
  return disk.stat(path) === null ? '' : disk.readFile(path).toString()
}

function expectPromises(
  key: string,
  promised: Promised,
  all: Found,
  { ending, isCheckpointed }: { ending: Ending; isCheckpointed: boolean },
): void {
  const { logStartOffset, batches } = all.get(key) ?? { logStartOffset: 0, batches: [] }
  const isKill = ending === 'kill'
  const minEnd = isKill ? promised.killEnd : promised.powerEnd
  const end = (batches.at(-1)?.lastOffset ?? logStartOffset - 1) + 1
  const isGone = batches.length === 0 && (promised.removable || minEnd <= promised.highestStart)
  if (!isGone && end < minEnd) throw new Error(`${key} ends at ${end}, ${minEnd} was acknowledged`)
  if (!isGone && logStartOffset < promised.lowestStart)
    throw new Error(`${key} starts at ${logStartOffset}, ${promised.lowestStart} was deleted`)
  // A power cut may take the names of segments that no flush has followed.
  const lacksHead = logStartOffset > promised.highestStart
  if (lacksHead && (isKill || promised.powerEnd > 0)) throw new Error(`${key} starts at ${logStartOffset}`)
  // Where nothing says up to where the disk was right, what was not flushed may be missing in the middle, too.
  const holesFrom = !isKill && (lacksHead || !isCheckpointed) ? promised.powerEnd : Infinity
  const inFlight = promised.inFlight === null ? [] : split(promised.inFlight)
  const histories = [[...promised.batches, ...inFlight]]
  if (!isKill || promised.removable || promised.killEnd < promised.end) histories.push(...promised.undone)
  const gaps = { below: promised.highestStart, from: holesFrom }
  const failures = histories.map((history) => differenceFrom(history, batches, gaps))
  if (!failures.includes(null)) throw new Error(`${key}: ${failures[0]}`)
}

/**
 * null: what is found is the history's head. Batches may be missing below one offset, where they were deleted and a power
 * cut may bring some back, and from another one on.
 */
function differenceFrom(
  history: readonly KeptBatch[],
  found: readonly KeptBatch[],
  gaps: { below: number; from: number },
): string | null {
  let index = 0
  for (const { baseOffset, bytes } of found) {
    const mayLack = (each: KeptBatch): boolean =>
      each.lastOffset < gaps.below ||
      each.baseOffset >= gaps.from ||
      (index === 0 && baseOffset <= gaps.below)
    while (index < history.length && history[index].baseOffset < baseOffset && mayLack(history[index]))
      index++
    if (index === history.length) return `offset ${baseOffset} was never appended`
    if (history[index].baseOffset !== baseOffset)
      return `offset ${baseOffset} where ${history[index].baseOffset} is next`
    if (!history[index].bytes.equals(bytes)) return `other bytes at offset ${baseOffset}`
    index++
  }
  return null
}

/** Reads from anywhere, lookups, and what is known of producers. Changes nothing. */
function expectServing(log: ReplicaLog, batches: readonly KeptBatch[]): void {
  for (const { baseOffset, lastOffset, bytes } of batches) {
    const from = Math.max(lastOffset, log.logStartOffset)
    const slice = log.read(from, { maxBytes: 1, upperBoundOffset: Infinity, minOneBatch: true })
    if (slice === null || !slice.bytes.equals(bytes)) throw new Error(`offset ${from} is not served`)
    slice.release()
    const epoch = log.epochForOffset(baseOffset)
    const claimed = batch.partitionLeaderEpoch(bytes, 0)
    if (baseOffset >= log.logStartOffset && epoch !== claimed)
      throw new Error(`offset ${baseOffset} is of epoch ${claimed}, the log says ${epoch}`)
  }
  expectLookups(log, batches)
  expectProducers(log, batches)
}

function expectLookups(log: ReplicaLog, batches: readonly KeptBatch[]): void {
  const records = batches
    .filter(({ bytes }) => !batch.isControl(batch.attributes(bytes, 0)))
    .flatMap(({ bytes }) => batch.decodeRecords(bytes))
    .filter(({ offset }) => offset >= log.logStartOffset)
  for (let index = 0; index < records.length; index += 7) {
    const { timestampMs } = records[index]
    const first = allRecords(batches).find(
      (record) => record.timestampMs >= timestampMs && record.offset >= log.logStartOffset,
    )
    const found = log.offsetForTimestamp(timestampMs)
    if (found?.offset !== first?.offset)
      throw new Error(`timestamp ${timestampMs} is at ${found?.offset}, not ${first?.offset}`)
  }
}

const allRecords = (batches: readonly KeptBatch[]) =>
  batches.flatMap(({ bytes }) => batch.decodeRecords(bytes))

/** The last batch of each producer is known as a duplicate, and one that skips sequence numbers is refused. */
function expectProducers(log: ReplicaLog, batches: readonly KeptBatch[]): void {
  const last = new Map<number, KeptBatch>()
  for (const stored of batches) {
    const producerId = batch.producerId(stored.bytes, 0)
    if (producerId >= 0 && !batch.isControl(batch.attributes(stored.bytes, 0))) last.set(producerId, stored)
  }
  for (const [producerId, { bytes, lastOffset }] of last) {
    const again = Buffer.from(bytes)
    batch.setBaseOffset(again, 0, 0)
    const outcome = log.appendAsLeader(again, { leaderEpoch: 9, origin: 'client' })
    if (
      outcome.error !== 0 ||
      !('duplicate' in outcome) ||
      !outcome.duplicate ||
      outcome.lastOffset !== lastOffset
    )
      throw new Error(`producer ${producerId}: a batch sent twice gives ${JSON.stringify(outcome)}`)
    const skipping = batch.buildBatch({
      records: [{ timestampMs: 1, key: Buffer.from('k'), value: null }],
      producerId,
      producerEpoch: batch.producerEpoch(bytes, 0),
      baseSequence: batch.lastSequence(bytes, 0) + 5,
      transactional: batch.isTransactional(batch.attributes(bytes, 0)),
    })
    const refusal = log.appendAsLeader(skipping, { leaderEpoch: 9, origin: 'client' })
    if (refusal.error !== 45)
      throw new Error(`producer ${producerId}: skipped numbers give ${JSON.stringify(refusal)}`)
  }
}

function expectFilesAgree(
  disk: SimDisk,
  check: Partial<FilesCheck> = {},
  logStartOf: (key: string) => number,
): void {
  for (const name of disk.list('/data')) {
    const path = `/data/${name}`
    if (!disk.stat(path)!.isDirectory || /-(delete|stray)$/.test(name)) continue
    const files = new Map(disk.list(path).map((file) => [file, disk.readFile(`${path}/${file}`)]))
    const { problems } = checkPartitionFiles(files, {
      closed: true,
      logStartOffset: logStartOf(name),
      ...check,
    })
    if (problems.length > 0) throw new Error(`${path}: ${problems.join(' | ')}`)
  }
}
