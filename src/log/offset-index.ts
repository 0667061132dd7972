/**
 * The offset index of one segment (`.index`): 8-byte entries, int32 offset relative to the segment's base, int32 file
 * position. Held in memory while its segment is in use; the file has exactly the entries' size.
 */
import type { Disk } from '../env/disk.ts'
import { IndexFile } from './index-file.ts'
import { lastAtOrBelow } from './search.ts'

const ENTRY_BYTES = 8
const MAX_RELATIVE_OFFSET = 0x7fff_ffff

export class OffsetIndex {
  readonly #baseOffset: number
  /** Pairs (relative offset, position). */
  #entries = new Int32Array(16)
  #count = 0
  readonly #file = new IndexFile(ENTRY_BYTES)

  constructor(baseOffset: number) {
    this.#baseOffset = baseOffset
  }

  get count(): number {
    return this.#count
  }

  get memoryBytes(): number {
    return this.#entries.byteLength
  }

  /** The base offset when there is no entry. */
  get lastOffset(): number {
    return this.#baseOffset + (this.#count === 0 ? 0 : this.#entries[2 * this.#count - 2])
  }

  entry(slot: number): { offset: number; position: number } {
    return { offset: this.#baseOffset + this.#entries[2 * slot], position: this.#entries[2 * slot + 1] }
  }

  canHold(offset: number): boolean {
    const relative = offset - this.#baseOffset
    return relative >= 0 && relative <= MAX_RELATIVE_OFFSET
  }

  isFull(maxBytes: number): boolean {
    return this.#count >= Math.floor(maxBytes / ENTRY_BYTES)
  }

  /** Offsets must grow; an entry that would not is left out. */
  append(offset: number, position: number): void {
    if (this.#count > 0 && offset <= this.lastOffset) return
    if (2 * this.#count === this.#entries.length) this.#grow(4 * this.#count)
    this.#entries[2 * this.#count] = offset - this.#baseOffset
    this.#entries[2 * this.#count + 1] = position
    this.#count++
  }

  #grow(length: number): void {
    const larger = new Int32Array(length)
    larger.set(this.#entries)
    this.#entries = larger
  }

  /** File position of the greatest entry at or below `offset`; 0 when there is none. */
  lookup(offset: number): number {
    const slot = this.#slotAtOrBelow(offset)
    return slot < 0 ? 0 : this.#entries[2 * slot + 1]
  }

  /** Offset of the entry so many before the greatest at or below `offset`; the base offset when there are not as many. */
  offsetBack(offset: number, entries: number): number {
    const slot = this.#slotAtOrBelow(offset) - entries
    return slot < 0 ? this.#baseOffset : this.entry(slot).offset
  }

  #slotAtOrBelow(offset: number): number {
    const entries = this.#entries
    return lastAtOrBelow(this.#count, offset - this.#baseOffset, (slot) => entries[2 * slot])
  }

  /** Drops entries at or above `offset`. */
  truncateTo(offset: number): void {
    this.#cut(this.#slotAtOrBelow(offset - 1) + 1)
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
    const entries = new Int32Array(Math.max(16, 2 * count))
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let i = 0; i < 2 * count; i++) entries[i] = view.getInt32(4 * i)
    for (let i = 2; i < 2 * count; i += 2) {
      if (entries[i] <= entries[i - 2] || entries[i + 1] <= entries[i - 1]) return false
    }
    if (count > 0 && (entries[0] < 0 || entries[1] < 0)) return false
    this.#entries = entries
    this.#count = count
    this.#file.loaded(count)
    return true
  }

  /** Writes the entries that the file does not have yet; false where it has them all. */
  persist(disk: Disk, path: string): boolean {
    const entries = this.#entries
    return this.#file.persist(disk, path, this.#count, (view, at, slot) => {
      view.setInt32(at, entries[2 * slot])
      view.setInt32(at + 4, entries[2 * slot + 1])
    })
  }
}
