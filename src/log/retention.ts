/** Which segments a log may drop. Oldest first, stopping at the first that stays; never beyond the high watermark. */
import type { Segment } from './segment.ts'
import type { LogConfig } from './types.ts'

export interface RetentionState {
  readonly config: LogConfig
  readonly nowMs: number
  readonly highWatermark: number
  readonly logStartOffset: number
  readonly logEndOffset: number
}

/**
 * In Kafka's three passes (UnifiedLog.deleteOldSegments), each going on where the one before stopped: what lies below the log
 * start; then, where the policy deletes, what is more than retention.bytes, and what is older than retention.ms. The active
 * segment may be among them unless it is empty.
 */
export function segmentsToDelete(segments: readonly Segment[], state: RetentionState): readonly Segment[] {
  const { config, nowMs, highWatermark, logStartOffset, logEndOffset } = state
  let doomed = 0
  const pass = (mayGo: (segment: Segment, next: Segment | undefined) => boolean): void => {
    for (; doomed < segments.length; doomed++) {
      const segment = segments[doomed]
      const next = segments[doomed + 1]
      if (next === undefined && segment.sizeBytes === 0) return
      if (highWatermark < (next?.baseOffset ?? logEndOffset) || !mayGo(segment, next)) return
    }
  }
  pass((_, next) => next !== undefined && next.baseOffset <= logStartOffset)
  if (!config.cleanupPolicy.includes('delete')) return segments.slice(0, doomed)
  if (config.retentionBytes >= 0) {
    const keptBytes = segments.slice(doomed).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    let excessBytes = keptBytes - config.retentionBytes
    pass(({ sizeBytes }) => {
      excessBytes -= sizeBytes
      return excessBytes >= 0
    })
  }
  if (config.retentionMs >= 0) pass((segment) => nowMs - newestMs(segment) > config.retentionMs)
  return segments.slice(0, doomed)
}

function newestMs(segment: Segment): number {
  const { timestampMs } = segment.largestTimestamp()
  return timestampMs >= 0 ? timestampMs : segment.modifiedMs()
}
