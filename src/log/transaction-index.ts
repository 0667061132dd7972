/**
 * Aborted transactions of one segment (`.txnindex`): 34-byte entries, int16 version 0, int64 producerId, int64
 * firstOffset, int64 lastOffset (the abort marker), int64 lastStableOffset at that time. The file exists only where
 * something was aborted.
 */
import { DiskError, type Disk } from '../env/disk.ts'

export const TRANSACTION_INDEX_ENTRY_BYTES = 34

export interface AbortedTransactionEntry {
  readonly producerId: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly lastStableOffset: number
}

function encode(entry: AbortedTransactionEntry): Buffer {
  const bytes = Buffer.alloc(TRANSACTION_INDEX_ENTRY_BYTES)
  bytes.writeBigInt64BE(BigInt(entry.producerId), 2)
  bytes.writeBigInt64BE(BigInt(entry.firstOffset), 10)
  bytes.writeBigInt64BE(BigInt(entry.lastOffset), 18)
  bytes.writeBigInt64BE(BigInt(entry.lastStableOffset), 26)
  return bytes
}

/** null when the file is broken. */
function decodeTransactionIndex(bytes: Buffer): AbortedTransactionEntry[] | null {
  if (bytes.length % TRANSACTION_INDEX_ENTRY_BYTES !== 0) return null
  const entries: AbortedTransactionEntry[] = []
  for (let at = 0; at < bytes.length; at += TRANSACTION_INDEX_ENTRY_BYTES) {
    const entry = decodeTransactionIndexEntry(bytes, at)
    if (entry === null || !canFollow(entry, entries.at(-1)?.lastOffset ?? -1)) return null
    entries.push(entry)
  }
  return entries
}

function canFollow(entry: AbortedTransactionEntry, lastOffsetBefore: number): boolean {
  const { producerId, firstOffset, lastOffset, lastStableOffset } = entry
  const isOrdered = firstOffset >= 0 && firstOffset <= lastOffset && lastOffset > lastOffsetBefore
  return isOrdered && producerId >= 0 && lastStableOffset >= 0 && lastStableOffset <= lastOffset + 1
}

/** null when its version is not 0. */
export function decodeTransactionIndexEntry(bytes: Buffer, at: number): AbortedTransactionEntry | null {
  if (bytes.readInt16BE(at) !== 0) return null
  return {
    producerId: Number(bytes.readBigInt64BE(at + 2)),
    firstOffset: Number(bytes.readBigInt64BE(at + 10)),
    lastOffset: Number(bytes.readBigInt64BE(at + 18)),
    lastStableOffset: Number(bytes.readBigInt64BE(at + 26)),
  }
}

export class TransactionIndex {
  readonly #disk: Disk
  path: string
  #entries: AbortedTransactionEntry[] | null = null
  /** The file has entries that no sync has covered. Kept by whoever syncs it. */
  isDirty = false
  /** Its entries were compared with the batches. Kept by whoever does that (transaction-check.ts). */
  isChecked = false

  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.path = path
  }

  entries(): readonly AbortedTransactionEntry[] {
    return (this.#entries ??= this.#read() ?? [])
  }

  #read(): AbortedTransactionEntry[] | null {
    try {
      return decodeTransactionIndex(this.#disk.readFile(this.path))
    } catch (error) {
      if (error instanceof DiskError && error.code === 'NOT_FOUND') return []
      throw error
    }
  }

  isBroken(): boolean {
    return this.#entries === null && this.#read() === null
  }

  append(entry: AbortedTransactionEntry): void {
    const count = this.entries().length
    const file = this.#disk.open(this.path, 'write')
    try {
      file.write([encode(entry)], count * TRANSACTION_INDEX_ENTRY_BYTES)
    } finally {
      file.close()
    }
    this.#entries!.push(entry)
    this.isDirty = true
  }

  /** Drops what ended at or above `offset`. */
  truncateTo(offset: number): void {
    const kept = this.entries().filter((entry) => entry.lastOffset < offset)
    if (kept.length === this.entries().length) return
    this.#entries = kept
    if (kept.length === 0) return this.#removeFile()
    this.isDirty = true
    const file = this.#disk.open(this.path, 'write')
    try {
      file.truncate(kept.length * TRANSACTION_INDEX_ENTRY_BYTES)
    } finally {
      file.close()
    }
  }

  clear(): void {
    this.#removeFile()
    this.#entries = []
  }

  #removeFile(): void {
    this.#disk.remove(this.path)
    this.isDirty = false
  }
}

/** What a reader of [fromOffset, upperBoundOffset) must leave out; `indexes` from the segment of `fromOffset` on. */
export function abortedBetween(
  indexes: Iterable<TransactionIndex>,
  fromOffset: number,
  upperBoundOffset: number,
): AbortedTransactionEntry[] {
  const found: AbortedTransactionEntry[] = []
  for (const index of indexes) {
    for (const entry of index.entries()) {
      if (entry.lastOffset >= fromOffset && entry.firstOffset < upperBoundOffset) found.push(entry)
      if (entry.lastStableOffset >= upperBoundOffset) return found
    }
  }
  return found
}
