/**
 * Walks the entries of an index file, which are all of one size. Kafka allocates the files of the active segment ahead: after a
 * kill zeros follow the entries, and are no entries.
 */
import type { DiskFile } from '../../env/disk.ts'
import { FileWindow } from '../../log/file-window.ts'
import { isZero } from './batch-scan.ts'
import { problem } from './dumped.ts'
import type { Dumped } from './dumped.ts'

export class IndexEntries {
  readonly #window: FileWindow
  readonly #entryBytes: number
  readonly sizeBytes: number
  #zerosAreEntries = false
  count = 0
  /** Bytes of zeros behind the entries. */
  zeroFillBytes = 0
  /** Where the current entry begins in `bytes`. */
  at = 0

  constructor(file: DiskFile, entryBytes: number) {
    this.sizeBytes = file.size()
    this.#window = new FileWindow(file, this.sizeBytes, entryBytes)
    this.#entryBytes = entryBytes
  }

  get bytes(): Buffer {
    return this.#window.buffer
  }

  /** Moves to the first, then to each following entry; false at the end, or where only zeros follow. */
  next(): boolean {
    const position = this.count * this.#entryBytes
    this.at = this.#window.hold(position, this.#entryBytes)
    if (this.#window.heldFrom(this.at) < this.#entryBytes) return false
    if (isZero(this.bytes, this.at, this.#entryBytes) && this.#restIsZero(position)) return false
    this.count++
    return true
  }

  /** Of a file with zeros here and there only the first are looked at: the others are entries out of order. */
  #restIsZero(position: number): boolean {
    if (this.#zerosAreEntries) return false
    let end = position
    while (end < this.sizeBytes) {
      const at = this.#window.hold(end, 1)
      const held = this.#window.heldFrom(at)
      if (held <= 0) break
      if (!isZero(this.bytes, at, held)) {
        this.#zerosAreEntries = true
        this.at = this.#window.hold(position, this.#entryBytes)
        return false
      }
      end += held
    }
    this.zeroFillBytes = this.sizeBytes - position
    return true
  }

  /** What the size alone says; Kafka makes such an index anew. */
  *checkSize(): Generator<Dumped> {
    const rest = this.sizeBytes % this.#entryBytes
    if (rest !== 0) {
      yield problem(`${this.sizeBytes} bytes are not a multiple of ${this.#entryBytes}, the size of an entry`)
    }
  }

  end(): Dumped {
    return { type: 'indexEnd', entries: this.count, zeroFillBytes: this.zeroFillBytes }
  }
}

/** After so many faults of one index the rest of it is not compared. */
export const MAX_INDEX_FAULTS = 100

export interface IndexOptions {
  /** In the file's name. */
  readonly baseOffset: number
  readonly showEntries: boolean
  readonly maxBatchBytes: number
}
