/** What of a log is dirty, how much of that may be cleaned now, and how urgent it is. Pure. Kafka: LogCleanerManager. */
import type { LogConfig } from '../types.ts'

export interface RangeSegment {
  readonly baseOffset: number
  readonly sizeBytes: number
  /** -1: none. Only asked where min.compaction.lag.ms is set. */
  largestTimestampMs(): number
  /** Of its first batch; -1: none. Only asked where max.compaction.lag.ms is set. */
  firstTimestampMs(): number
}

export interface RangeState {
  /** Oldest first; the last one is active. */
  readonly segments: readonly RangeSegment[]
  readonly logStartOffset: number
  readonly logEndOffset: number
  /** Nothing at or above it is cleaned: the last stable offset, which is at or below the high watermark. */
  readonly lastStableOffset: number
  /** From cleaner-offset-checkpoint; undefined when it has no entry. */
  readonly checkpoint: number | undefined
  readonly config: LogConfig
  readonly nowMs: number
}

export interface CleanableRange {
  readonly firstDirtyOffset: number
  /** Base of the first segment that is not cleaned. */
  readonly endOffset: number
  readonly cleanableBytes: number
  /** Cleanable bytes over those and the clean ones; 0 for an empty log. */
  readonly dirtyRatio: number
  /** max.compaction.lag.ms has passed for something dirty. */
  readonly isOverdue: boolean
}

export function cleanableRange(state: RangeState): CleanableRange {
  const { segments, logEndOffset, logStartOffset, checkpoint = logStartOffset } = state
  // Behind the log start, or ahead of the log end after a loss: all may be dirty.
  const isValid = checkpoint >= logStartOffset && checkpoint <= logEndOffset
  const firstDirtyOffset = isValid ? checkpoint : logStartOffset
  const active = segments[segments.length - 1]
  if (active === undefined) {
    return {
      firstDirtyOffset,
      endOffset: firstDirtyOffset,
      cleanableBytes: 0,
      dirtyRatio: 0,
      isOverdue: false,
    }
  }
  const bound = Math.max(firstDirtyOffset, uncleanableFrom(state, firstDirtyOffset))
  const end = segments.findLast(({ baseOffset }) => baseOffset <= bound) ?? segments[0]
  let cleanBytes = 0
  let cleanableBytes = 0
  for (const [index, { baseOffset, sizeBytes }] of segments.entries()) {
    if (baseOffset >= end.baseOffset) break
    const isDirty = segments[index + 1].baseOffset > firstDirtyOffset
    if (isDirty) cleanableBytes += sizeBytes
    if (baseOffset < firstDirtyOffset) cleanBytes += sizeBytes
  }
  const totalBytes = cleanBytes + cleanableBytes
  return {
    firstDirtyOffset,
    endOffset: end.baseOffset,
    cleanableBytes,
    dirtyRatio: totalBytes === 0 ? 0 : cleanableBytes / totalBytes,
    isOverdue: isOverdue(state, firstDirtyOffset),
  }
}

/** Worth a cleaning by the topic's settings. */
export function isDue(range: CleanableRange, config: LogConfig): boolean {
  if (range.cleanableBytes === 0) return false
  return range.isOverdue || range.dirtyRatio > config.minCleanableDirtyRatio
}

function uncleanableFrom(state: RangeState, firstDirtyOffset: number): number {
  const { lastStableOffset, segments, config, nowMs } = state
  const active = segments[segments.length - 1]
  const bound = Math.min(lastStableOffset, active.baseOffset)
  if (config.minCompactionLagMs <= 0) return bound
  const tooYoung = dirtyInactive(segments, firstDirtyOffset).find((segment) => {
    return segment.largestTimestampMs() > nowMs - config.minCompactionLagMs
  })
  return Math.min(bound, tooYoung?.baseOffset ?? bound)
}

function isOverdue({ segments, config, nowMs }: RangeState, firstDirtyOffset: number): boolean {
  if (config.maxCompactionLagMs === Infinity) return false
  return dirtyInactive(segments, firstDirtyOffset).some((segment) => {
    const firstMs = segment.firstTimestampMs()
    return firstMs > 0 && firstMs < nowMs - config.maxCompactionLagMs
  })
}

function dirtyInactive(segments: readonly RangeSegment[], firstDirtyOffset: number): readonly RangeSegment[] {
  return segments.filter((_, index) => {
    const next = segments[index + 1]
    return next !== undefined && next.baseOffset > firstDirtyOffset
  })
}
