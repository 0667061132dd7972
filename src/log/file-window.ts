/** A stretch of a file in memory, moved along it: files of any size are read with a bounded buffer. */
import type { DiskFile } from '../env/disk.ts'

const WINDOW_BYTES = 1024 * 1024

export class FileWindow {
  /** Replaced by a larger one where more is asked for than it can hold. */
  buffer: Buffer
  readonly #file: DiskFile
  readonly #fileSize: number
  #start = 0
  #length = 0

  /** `smallest`: what the buffer can hold at least, however short the file is. */
  constructor(file: DiskFile, fileSize: number, smallest: number, windowBytes = WINDOW_BYTES) {
    this.#file = file
    this.#fileSize = fileSize
    this.buffer = Buffer.allocUnsafeSlow(Math.min(Math.max(fileSize, smallest), windowBytes))
  }

  /** Index in `buffer` of the bytes at `position`, of which `length` (as far as the file goes) are then there. */
  hold(position: number, length: number): number {
    if (position < this.#start || position + length > this.#start + this.#length) {
      if (length > this.buffer.length) this.buffer = Buffer.allocUnsafeSlow(length)
      const wanted = Math.max(0, Math.min(this.buffer.length, this.#fileSize - position))
      this.#length = this.#file.read(this.buffer, 0, wanted, position)
      this.#start = position
    }
    return position - this.#start
  }

  /** How many bytes of the file lie in `buffer` from `index` on: fewer than asked for where the file has been cut meanwhile. */
  heldFrom(index: number): number {
    return this.#length - index
  }
}
