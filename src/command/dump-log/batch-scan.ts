/** Walks what lies back to back in a segment, of any format, by the sizes that are claimed. */
import type { DiskFile } from '../../env/disk.ts'
import { FileWindow } from '../../log/file-window.ts'
import * as batch from '../../protocol/record-batch.ts'

/** Up to and with the magic byte, which lies in one place in all formats. */
const MAGIC_END = 17
/** Offset, size, CRC, magic, attributes, key length, value length. */
const SMALLEST_MESSAGE_BYTES = 26

/** What ends the walk before the end of the file. */
export type ScanEnd = 'end' | 'cut short' | 'not a batch'

export class BatchScan {
  readonly #window: FileWindow
  readonly #fileEnd: number
  /** Where the current batch lies; after the last: where the walk stopped. */
  position = 0
  sizeBytes = 0
  /** Where it begins in `bytes`; its header is there, all of it after `holdWhole`. */
  at = 0
  /** Why `next` gave false. */
  ending: ScanEnd = 'end'

  /** `windowBytes`: how much is read at a time; left out, what suits a walk through all of a file. */
  constructor(file: DiskFile, position: number, end: number, windowBytes?: number) {
    this.#window = new FileWindow(file, end, batch.BATCH_OVERHEAD, windowBytes)
    this.position = position
    this.#fileEnd = end
  }

  get bytes(): Buffer {
    return this.#window.buffer
  }

  get magic(): number {
    return batch.magic(this.bytes, this.at)
  }

  get baseOffset(): number {
    return batch.baseOffset(this.bytes, this.at)
  }

  /** Of formats 0 and 1: the message's own, or that of the last one inside. */
  get lastOffset(): number {
    return this.magic === batch.MAGIC_V2
      ? batch.lastOffset(this.bytes, this.at)
      : batch.baseOffset(this.bytes, this.at)
  }

  /** Where the current batch ends, and the next would begin. */
  get end(): number {
    return this.position + this.sizeBytes
  }

  /** Moves to the first, then to each following batch; false at the end, or where no whole one can be. */
  next(): boolean {
    this.position = this.end
    this.sizeBytes = 0
    const left = this.#fileEnd - this.position
    if (left <= 0) return this.#stop('end')
    this.at = this.#window.hold(this.position, Math.min(left, batch.BATCH_OVERHEAD))
    const held = this.#window.heldFrom(this.at)
    if (held < MAGIC_END) return this.#stop('cut short')
    const size = batch.batchSize(this.bytes, this.at)
    const { magic } = this
    const smallest = magic === batch.MAGIC_V2 ? batch.BATCH_OVERHEAD : SMALLEST_MESSAGE_BYTES
    if (magic < 0 || magic > batch.MAGIC_V2 || size < smallest) return this.#stop('not a batch')
    if (size > left || held < smallest) return this.#stop('cut short')
    this.sizeBytes = size
    return true
  }

  #stop(ending: ScanEnd): false {
    this.ending = ending
    return false
  }

  /** Brings the whole batch into `bytes`; false when the file has been cut meanwhile. */
  holdWhole(): boolean {
    this.at = this.#window.hold(this.position, this.sizeBytes)
    return this.#window.heldFrom(this.at) >= this.sizeBytes
  }

  /** Whether nothing but zeros follows the batches, as in a file that was allocated ahead. */
  restIsZero(): boolean {
    let position = this.end
    while (position < this.#fileEnd) {
      const at = this.#window.hold(position, 1)
      const held = this.#window.heldFrom(at)
      if (held <= 0) return true
      if (!isZero(this.bytes, at, held)) return false
      position += held
    }
    return true
  }
}

export function isZero(bytes: Buffer, at: number, length: number): boolean {
  for (let index = at; index < at + length; index++) if (bytes[index] !== 0) return false
  return true
}

/** Of the attributes of all formats but 0. */
export function timestampTypeName(attributeBits: number): 'CreateTime' | 'LogAppendTime' {
  return batch.timestampTypeOf(attributeBits) === batch.LOG_APPEND_TIME ? 'LogAppendTime' : 'CreateTime'
}
