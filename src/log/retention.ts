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

export function segmentsToDelete(segments: readonly Segment[], state: RetentionState): Segment[] {
  const { config, nowMs } = state
  const deletes = config.cleanupPolicy.includes('delete')
  let excessBytes = -1
  if (deletes && config.retentionBytes >= 0) {
    excessBytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) - config.retentionBytes
  }
  const doomed: Segment[] = []
  for (let index = 0; index < segments.length; index++) {
    const segment = segments[index]
    const next = segments[index + 1]
    const passed = next !== undefined && next.baseOffset <= state.logStartOffset
    if (next === undefined && segment.sizeBytes === 0) break
    if (!passed && state.highWatermark < (next?.baseOffset ?? state.logEndOffset)) break
    const tooMuch = excessBytes >= segment.sizeBytes && excessBytes > 0
    const tooOld = deletes && config.retentionMs >= 0 && nowMs - newestMs(segment) > config.retentionMs
    if (!passed && !tooMuch && !tooOld) break
    excessBytes -= segment.sizeBytes
    doomed.push(segment)
  }
  return doomed
}

function newestMs(segment: Segment): number {
  const { timestampMs } = segment.largestTimestamp()
  return timestampMs >= 0 ? timestampMs : segment.modifiedMs()
}
