/**
 * The time index of one segment (`.timeindex`): 12-byte entries, int64 largest timestamp so far, int32 relative last
 * offset of the batch that holds it. Timestamps grow strictly.
 */
import type { Disk } from '../env/disk.ts'
import { IndexFile } from './index-file.ts'
import { lastAtOrBelow } from './search.ts'

const ENTRY_BYTES = 12

export interface TimeIndexEntry {
  readonly timestampMs: number
  readonly offset: number
}

export class TimeIndex {
  readonly #baseOffset: number
  #timestamps = new Float64Array(8)
  #offsets = new Int32Array(8)
  #count = 0
  readonly #file = new IndexFile(ENTRY_BYTES)

  constructor(baseOffset: number) {
    this.#baseOffset = baseOffset
  }

  get count(): number {
    return this.#count
  }

  get memoryBytes(): number {
    return this.#timestamps.byteLength + this.#offsets.byteLength
  }

  entry(slot: number): TimeIndexEntry {
    return { timestampMs: this.#timestamps[slot], offset: this.#baseOffset + this.#offsets[slot] }
  }

  /** (-1, base offset) when there is none. */
  lastEntry(): TimeIndexEntry {
    return this.#count === 0 ? { timestampMs: -1, offset: this.#baseOffset } : this.entry(this.#count - 1)
  }

  /** One slot is kept for the entry that a roll adds. */
  isFull(maxBytes: number): boolean {
    return this.#count >= Math.floor(maxBytes / ENTRY_BYTES) - 1
  }

  /** Appends when the timestamp is greater than the last one. */
  maybeAppend(timestampMs: number, offset: number): void {
    const last = this.#count === 0 ? -1 : this.#timestamps[this.#count - 1]
    if (timestampMs <= last) return
    if (this.#count === this.#timestamps.length) this.#grow()
    this.#timestamps[this.#count] = timestampMs
    this.#offsets[this.#count] = offset - this.#baseOffset
    this.#count++
  }

  #grow(): void {
    const timestamps = new Float64Array(2 * this.#count)
    timestamps.set(this.#timestamps)
    this.#timestamps = timestamps
    const offsets = new Int32Array(2 * this.#count)
    offsets.set(this.#offsets)
    this.#offsets = offsets
  }

  /** The greatest entry with a timestamp at or below the given one; (-1, base offset) when there is none. */
  lookup(timestampMs: number): TimeIndexEntry {
    const timestamps = this.#timestamps
    const slot = lastAtOrBelow(this.#count, timestampMs, (each) => timestamps[each])
    return slot < 0 ? { timestampMs: -1, offset: this.#baseOffset } : this.entry(slot)
  }

  /** Drops entries at or above `offset`. */
  truncateTo(offset: number): void {
    const relative = offset - this.#baseOffset
    let count = this.#count
    while (count > 0 && this.#offsets[count - 1] >= relative) count--
    this.#cut(count)
  }

  clear(): void {
    this.#count = 0
    this.#file.forget()
  }

  #cut(count: number): void {
    this.#count = count
    this.#file.cut(count)
  }

  /** false when the file is not a well-formed index. */
  load(bytes: Buffer): boolean {
    const count = this.#file.countIn(bytes)
    if (count === null) return false
    const timestamps = new Float64Array(Math.max(8, count))
    const offsets = new Int32Array(Math.max(8, count))
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let i = 0; i < count; i++) {
      timestamps[i] = view.getInt32(12 * i) * 0x1_0000_0000 + view.getUint32(12 * i + 4)
      offsets[i] = view.getInt32(12 * i + 8)
      if (offsets[i] < 0 || (i > 0 && (timestamps[i] <= timestamps[i - 1] || offsets[i] < offsets[i - 1]))) {
        return false
      }
    }
    this.#timestamps = timestamps
    this.#offsets = offsets
    this.#count = count
    this.#file.loaded(count)
    return true
  }

  /** Writes the entries that the file does not have yet; false where it has them all. */
  persist(disk: Disk, path: string): boolean {
    return this.#file.persist(disk, path, this.#count, (view, at, slot) => {
      const timestampMs = this.#timestamps[slot]
      view.setInt32(at, Math.floor(timestampMs / 0x1_0000_0000))
      view.setUint32(at + 4, timestampMs >>> 0)
      view.setInt32(at + 8, this.#offsets[slot])
    })
  }
}
