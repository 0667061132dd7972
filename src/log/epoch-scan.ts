/** The leader epochs that the batches themselves name, for a log whose leader-epoch-checkpoint is lost. */
import { partitionLeaderEpoch } from '../protocol/record-batch.ts'
import type { EpochStart } from './leader-epochs.ts'
import type { Segment } from './segment.ts'

/** Where each epoch begins, oldest first. Reads every header of the segments. Throws DiskError. */
export function epochStartsOf(segments: readonly Segment[]): EpochStart[] {
  const starts: EpochStart[] = []
  for (const segment of segments) {
    if (segment.sizeBytes === 0) continue
    const scan = segment.scan(0)
    try {
      while (scan.next()) {
        const epoch = partitionLeaderEpoch(scan.bytes, scan.at)
        if (epoch > (starts.at(-1)?.epoch ?? -1)) starts.push({ epoch, startOffset: scan.baseOffset })
      }
    } finally {
      scan.done()
    }
  }
  return starts
}
