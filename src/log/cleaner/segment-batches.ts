/** The batches of one segment, one after the other, checked, through a bounded window. */
import { DiskError } from '../../env/disk.ts'
import { BATCH_OVERHEAD, batchSize, checkBatch, LOG_OVERHEAD } from '../../protocol/record-batch.ts'
import { FileWindow } from '../file-window.ts'
import { LOG_SUFFIX } from '../file-names.ts'
import type { Segment } from '../segment.ts'

export class SegmentBatches {
  /** The batch lies at `at` in `bytes` until the next move. */
  at = 0
  sizeBytes = 0
  readonly #segment: Segment
  readonly #window: FileWindow
  readonly #end: number
  #position: number

  constructor(segment: Segment, position: number, windowBytes: number) {
    this.#segment = segment
    this.#end = segment.sizeBytes
    this.#position = position
    this.#window = new FileWindow(segment.file(), this.#end, BATCH_OVERHEAD, windowBytes)
  }

  get bytes(): Buffer {
    return this.#window.buffer
  }

  /**
   * False at the end. Throws DiskError where no whole and right batch lies: what a cleaning would write anew would get a
   * right CRC around wrong bytes.
   */
  next(): boolean {
    const position = this.#position
    const left = this.#end - position
    if (left === 0) return false
    const window = this.#window
    let at = window.hold(position, Math.min(BATCH_OVERHEAD, left))
    const claimed = left < LOG_OVERHEAD ? 0 : batchSize(window.buffer, at)
    if (claimed <= left) at = window.hold(position, claimed)
    const fault = checkBatch(window.buffer, at, Math.min(left, window.heldFrom(at)))
    if (fault !== null) {
      const path = this.#segment.path(LOG_SUFFIX)
      throw new DiskError('IO', path, `${path} at position ${position}: ${fault.message}`)
    }
    this.at = at
    this.sizeBytes = claimed
    this.#position = position + claimed
    return true
  }
}
