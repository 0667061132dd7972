/**
 * Loads one partition directory: removes leftovers, opens its segments, and after an unclean stop recovers them from the
 * recovery point on. Order and rules of Kafka's LogLoader.
 */
import { DiskError } from '../env/disk.ts'
import type { Logger } from '../env/env.ts'
import {
  CLEANED_SUFFIX,
  DELETED_SUFFIX,
  join,
  LOG_SUFFIX,
  OFFSET_INDEX_SUFFIX,
  offsetFileName,
  offsetOfFileName,
  SEGMENT_SUFFIXES,
  SWAP_SUFFIX,
  TEMPORARY_SUFFIX,
  TIME_INDEX_SUFFIX,
  TRANSACTION_INDEX_SUFFIX,
} from './file-names.ts'
import { HeaderScan } from './header-scan.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import { convertOldSegments } from './old-segments.ts'
import { epochStartsOf } from './epoch-scan.ts'
import { findNextOffset, recoverSegment, type Recovered } from './segment-recovery.ts'
import { Segment, type SegmentHost } from './segment.ts'
import type { ProducerSnapshots } from './producer-snapshots.ts'
import type { ProducerState } from './producer-state.ts'
import { replayProducers } from './producer-replay.ts'

export interface LoadRequest {
  readonly host: SegmentHost
  readonly logger: Logger
  readonly directory: string
  /** File names in `directory`. */
  readonly names: readonly string[]
  /** The last stop wrote the clean marker. */
  readonly clean: boolean
  /** From recovery-point-offset-checkpoint; null when it has no entry: nothing is known to be on the disk. */
  readonly recoveryPoint: number | null
  /** The topic is compacted: offsets may be missing anywhere. */
  readonly mayHaveGaps: boolean
  /** From log-start-offset-checkpoint; 0 when it has no entry. */
  readonly logStartOffset: number
  readonly indexIntervalBytes: number
  readonly nowMs: number
  readonly producerIdExpirationMs: number
  readonly epochs: LeaderEpochs
  readonly snapshots: ProducerSnapshots
  /** Filled when segments had to be recovered. */
  readonly producers: ProducerState
}

export interface LoadedLog {
  readonly segments: Segment[]
  readonly logStartOffset: number
  readonly logEndOffset: number
  readonly recoveryPoint: number
  /** `producers` holds the state at the log end; otherwise it is still to be read from a snapshot. */
  readonly producersLoaded: boolean
  readonly wasClean: boolean
}

export function loadLog(request: LoadRequest): LoadedLog {
  const { host, logger, directory } = request
  const names = convertOldSegments({ disk: host.disk, logger, directory, names: removeLeftovers(request) })
  const segments = openSegments(request, names)
  request.snapshots.removeStrays(new Set(segments.map(({ baseOffset }) => baseOffset)))
  if (segments.length === 0) return emptied(request)

  if (!request.clean) request.snapshots.removeBroken()
  const cutBase = recoverWhereNeeded(request, segments, new Set(names))
  if (!request.clean) removeEmptyTail(request, segments, cutBase)
  const logEndOffset = endOf(request, segments)
  for (const segment of segments) segment.isActive = segment === segments.at(-1)
  if (logEndOffset < (request.recoveryPoint ?? 0)) logLostEnd(request, logEndOffset)
  const isBeyond = logEndOffset < request.logStartOffset
  if (isBeyond && !request.clean) return dropAll(request, segments, logEndOffset)
  if (isBeyond) logWrongStart(request, logEndOffset)
  const logStartOffset = Math.max(isBeyond ? 0 : request.logStartOffset, segments[0].baseOffset)
  if (!request.clean) {
    request.epochs.truncateFromEnd(logEndOffset)
    request.epochs.truncateFromStart(logStartOffset)
    request.snapshots.removeAbove(logEndOffset)
    loadProducers(request, segments, logEndOffset)
  }
  // A clean stop without a snapshot had no producers: nothing to look for.
  const producersLoaded = !request.clean || request.snapshots.count === 0
  const recoveryPoint = request.clean ? logEndOffset : Math.min(request.recoveryPoint ?? 0, logEndOffset)
  return { segments, logStartOffset, logEndOffset, recoveryPoint, producersLoaded, wasClean: request.clean }
}

/** Nothing is left of the log but where it starts. */
function emptied({ logStartOffset, epochs, snapshots, producers, clean }: LoadRequest): LoadedLog {
  epochs.clear()
  snapshots.removeAll()
  producers.clear()
  return {
    segments: [],
    logStartOffset,
    logEndOffset: logStartOffset,
    recoveryPoint: logStartOffset,
    producersLoaded: true,
    wasClean: clean,
  }
}

/** The records below the log start were asked to go, and more than that has gone. */
function dropAll(request: LoadRequest, segments: Segment[], logEndOffset: number): LoadedLog {
  request.logger.log('warn', 'log ends below its start offset, its segments are deleted', {
    path: request.directory,
    logEndOffset,
    logStartOffset: request.logStartOffset,
  })
  for (const segment of segments) removeSegmentFiles(request, segment)
  return emptied(request)
}

/** Cut at the end of a batch, by whatever it was: the files alone would not tell. */
function logLostEnd({ logger, directory, recoveryPoint }: LoadRequest, logEndOffset: number): void {
  const fields = { path: directory, logEndOffset, recoveryPoint }
  logger.log('warn', 'log ends below what was flushed of it', fields)
}

/** A clean stop loses no end: it is the checkpoint that is wrong. */
function logWrongStart({ logger, directory, logStartOffset }: LoadRequest, logEndOffset: number): void {
  const fields = { path: directory, logEndOffset, logStartOffset }
  logger.log('warn', 'checkpoint has a log start beyond the end, going on without it', fields)
}

function removeSegmentFiles(request: LoadRequest, segment: Segment): void {
  for (const path of segment.markDeleted()) request.host.disk.remove(path)
}

/** Unfinished deletions, compactions, splits and replacements of small files. Returns the names that are there afterwards. */
function removeLeftovers(request: LoadRequest): readonly string[] {
  const { names, directory } = request
  const { disk } = request.host
  const suffixes = [DELETED_SUFFIX, CLEANED_SUFFIX, SWAP_SUFFIX, TEMPORARY_SUFFIX]
  const isLeftover = (name: string) => suffixes.some((suffix) => name.endsWith(suffix))
  if (!names.some(isLeftover)) return names
  const cleanedBases = names.filter((name) => name.endsWith(CLEANED_SUFFIX)).map(offsetOfFileName)
  const firstCleaned = Math.min(Infinity, ...cleanedBases)
  const swaps: string[] = []
  for (const name of names.filter(isLeftover)) {
    const finished = name.endsWith(SWAP_SUFFIX) && offsetOfFileName(name) < firstCleaned
    if (finished) swaps.push(name)
    else disk.remove(join(directory, name))
  }
  if (swaps.length > 0) finishSwaps(request, swaps)
  return disk.list(directory)
}

/** Output of a finished compaction takes the place of the segments that it covers (segment-swap.ts). */
function finishSwaps(request: LoadRequest, swaps: readonly string[]): void {
  const { directory, names, host } = request
  const bases = new Set<number>()
  let first = Infinity
  let end = -1
  for (const name of swaps.filter((swap) => swap.endsWith(LOG_SUFFIX + SWAP_SUFFIX))) {
    const base = offsetOfFileName(name)
    bases.add(base)
    first = Math.min(first, base)
    end = Math.max(end, nextOffsetOfFile(host, join(directory, name), base))
  }
  for (const name of names) {
    const offset = offsetOfFileName(name)
    // Of an output without records the base alone says what it covers.
    const isCovered = bases.has(offset) || (offset >= first && offset < end)
    const isOld = SEGMENT_SUFFIXES.some((suffix) => name.endsWith(suffix))
    if (isCovered && isOld) host.disk.remove(join(directory, name))
  }
  // Else a second crash could keep the renaming and bring the old ones back beside it.
  host.disk.syncDirectory(directory)
  for (const name of swaps) {
    host.disk.rename(join(directory, name), join(directory, name.slice(0, -SWAP_SUFFIX.length)))
  }
}

function nextOffsetOfFile(host: SegmentHost, path: string, baseOffset: number): number {
  const file = host.disk.open(path, 'read')
  try {
    const scan = new HeaderScan(file, 0, file.size(), baseOffset)
    let next = baseOffset
    while (scan.next()) next = scan.lastOffset + 1
    scan.done()
    return next
  } finally {
    file.close()
  }
}

function openSegments(request: LoadRequest, names: readonly string[]): Segment[] {
  const { directory, host } = request
  const present = new Set(names)
  for (const name of names) {
    const isIndex = [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX].some((suffix) => {
      return name.endsWith(suffix)
    })
    const offset = offsetOfFileName(name)
    if (isIndex && offset >= 0 && !present.has(offsetFileName(offset, LOG_SUFFIX))) {
      host.disk.remove(join(directory, name))
    }
  }
  return names
    .filter((name) => name.endsWith(LOG_SUFFIX) && offsetOfFileName(name) >= 0)
    .map(offsetOfFileName)
    .sort((a, b) => a - b)
    .map((base) => new Segment(host, directory, base, { createdMs: request.nowMs, isNew: false }))
}

/** Gives the base of the segment that the log was cut in; -1 where it was not. */
function recoverWhereNeeded(request: LoadRequest, segments: Segment[], names: ReadonlySet<string>): number {
  const { epochs, clean, recoveryPoint } = request
  const firstUnflushed = clean ? segments.length : indexOfSegment(segments, recoveryPoint ?? 0)
  for (let index = 0; index < firstUnflushed; index++) {
    const segment = segments[index]
    const has = (suffix: string): boolean => names.has(offsetFileName(segment.baseOffset, suffix))
    const isBroken = has(TRANSACTION_INDEX_SUFFIX) && segment.transactions.isBroken()
    if (!has(OFFSET_INDEX_SUFFIX) || isBroken) recoverFlushed(request, segments, index)
  }
  if (clean) return -1
  let cutBase = -1
  epochs.rebuild = () => epochStartsOf(segments.slice(0, firstUnflushed))
  epochs.truncateFromEnd(segments[firstUnflushed].baseOffset)
  for (let index = firstUnflushed; index < segments.length; index++) {
    const { cutBytes, nextOffset } = recover(request, segments, index, epochs)
    if (cutBytes > 0) cutBase = segments[index].baseOffset
    const reason =
      cutBytes > 0 ? 'the one before was cut' : reasonToStop(request, segments[index + 1], nextOffset)
    if (reason === null) continue
    const doomed = segments.splice(index + 1)
    logRemoved(request, doomed, reason)
    for (const segment of doomed) removeSegmentFiles(request, segment)
  }
  return cutBase
}

/** Why what follows a whole segment is not what followed it; null when it is. */
function reasonToStop(request: LoadRequest, next: Segment | undefined, nextOffset: number): string | null {
  if (next === undefined || next.baseOffset === nextOffset) return null
  if (next.baseOffset < nextOffset) return `the one before ends at ${nextOffset}`
  // The end of the one before was lost, at a batch's boundary by chance. Where its end had been flushed, or nothing is
  // known of what had been, a gap is another matter: compaction, of earlier days perhaps, leaves such.
  const { recoveryPoint, mayHaveGaps } = request
  const isLost = !mayHaveGaps && recoveryPoint !== null && nextOffset >= recoveryPoint
  return isLost ? `the one before ends at ${nextOffset}` : null
}

/**
 * Files that were made for records which never came to lie in them, nor did those before them. `cutBase`: of the segment that
 * was cut; in a compacted log its name alone may know how far the offsets had come.
 */
function removeEmptyTail(request: LoadRequest, segments: Segment[], cutBase: number): void {
  while (segments.length > 1) {
    const last = segments[segments.length - 1]
    const before = segments[segments.length - 2]
    if (request.mayHaveGaps && last.baseOffset === cutBase) return
    if (last.sizeBytes > 0 || findNextOffset(before) === last.baseOffset) return
    segments.pop()
    logRemoved(request, [last], 'it is empty, and the one before ends below it')
    removeSegmentFiles(request, last)
  }
}

function logRemoved(request: LoadRequest, doomed: readonly Segment[], reason: string): void {
  if (doomed.length === 0) return
  request.logger.log('warn', 'segments after the end of the log are deleted', {
    path: request.directory,
    offset: doomed[0].baseOffset,
    count: doomed.length,
    reason,
  })
}

/** One below the recovery point whose indexes are broken. */
function recoverFlushed(request: LoadRequest, segments: readonly Segment[], index: number): void {
  const { disk } = request.host
  // Written last again: until then every start finds that there is something to recover.
  disk.remove(segments[index].path(OFFSET_INDEX_SUFFIX))
  disk.syncDirectory(request.directory)
  recover(request, segments, index, null)
}

function recover(
  request: LoadRequest,
  segments: readonly Segment[],
  index: number,
  epochs: LeaderEpochs | null,
): Recovered {
  const segment = segments[index]
  const { producers } = request
  loadProducers(request, segments.slice(0, index), segment.baseOffset)
  const recovered = recoverSegment(segment, {
    indexIntervalBytes: request.indexIntervalBytes,
    epochs,
    producers,
  })
  const { cutBytes, nextOffset, reason } = recovered
  request.snapshots.removeAbove(nextOffset)
  if (cutBytes > 0) {
    request.logger.log('warn', 'log is cut at the first invalid batch', {
      path: segment.path(LOG_SUFFIX),
      offset: nextOffset,
      position: segment.sizeBytes,
      bytes: cutBytes,
      reason,
    })
  }
  const isLast = index === segments.length - 1
  if (!isLast) request.snapshots.write(nextOffset, producers)
  return recovered
}

/** Producer state as it was at `offset`: the newest snapshot, then the batches after it. */
function loadProducers(request: LoadRequest, segments: readonly Segment[], offset: number): void {
  replayProducers({
    segments,
    offset,
    logStartOffset: request.logStartOffset,
    snapshots: request.snapshots,
    producers: request.producers,
    nowMs: request.nowMs,
    producerIdExpirationMs: request.producerIdExpirationMs,
  })
}

function indexOfSegment(segments: readonly Segment[], offset: number): number {
  let index = 0
  while (index + 1 < segments.length && segments[index + 1].baseOffset <= offset) index++
  return index
}

function endOf(request: LoadRequest, segments: Segment[]): number {
  const last = segments[segments.length - 1]
  try {
    return findNextOffset(last)
  } catch (error) {
    // The marker said clean, the end of the file says otherwise.
    if (!(error instanceof DiskError) || error.code !== 'IO') throw error
    recover(request, segments, segments.length - 1, null)
    return findNextOffset(last)
  }
}
