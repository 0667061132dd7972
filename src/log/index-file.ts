/** How far the file of an index holds what its memory holds: entries of one size, appended, now and then cut. */
import type { Disk } from '../env/disk.ts'

export class IndexFile {
  readonly #entryBytes: number
  #persisted = 0
  #mayBeLonger = false

  constructor(entryBytes: number) {
    this.#entryBytes = entryBytes
  }

  /** The number of entries in a file of these bytes; null where it is not whole. */
  countIn(bytes: Buffer): number | null {
    const count = bytes.length / this.#entryBytes
    return Number.isInteger(count) ? count : null
  }

  /** The file has just been read, and has this many entries. */
  loaded(count: number): void {
    this.#persisted = count
    this.#mayBeLonger = false
  }

  /** Memory has this many entries left. */
  cut(count: number): void {
    if (count >= this.#persisted) return
    this.#persisted = count
    this.#mayBeLonger = true
  }

  /** Whatever the file holds is of no use. */
  forget(): void {
    this.#persisted = 0
    this.#mayBeLonger = true
  }

  /**
   * Writes the entries that the file does not have yet; `put` writes entry `slot` at a position of the view. False where
   * the file has them all.
   */
  persist(
    disk: Disk,
    path: string,
    count: number,
    put: (view: DataView, at: number, slot: number) => void,
  ): boolean {
    const upToDate = this.#persisted === count && !this.#mayBeLonger
    if (upToDate && count > 0) return false
    const bytes = Buffer.allocUnsafe((count - this.#persisted) * this.#entryBytes)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let slot = this.#persisted; slot < count; slot++) {
      put(view, (slot - this.#persisted) * this.#entryBytes, slot)
    }
    const file = disk.open(path, 'write')
    try {
      if (bytes.length > 0) file.write([bytes], this.#persisted * this.#entryBytes)
      if (this.#mayBeLonger) file.truncate(count * this.#entryBytes)
    } finally {
      file.close()
    }
    this.loaded(count)
    return true
  }
}
