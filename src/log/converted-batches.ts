/** Messages of formats 0 and 1 become record batches of magic 2, with the same offsets (docs/decisions/0012-old-segments-are-converted.md). */
import { batchOfStored, kindAt, type MessageKind } from '../protocol/message-set/stored-messages.ts'
import * as batch from '../protocol/record-batch.ts'

/** Plain messages that follow each other share a batch up to about this size. */
const BATCH_BYTES = 64 * 1024
/** Of a message or a batch: what there must be for its format to be read. */
const MAGIC_END = 17

/**
 * What a leader sent, whole messages and batches, as batches alone. Where there is nothing older, or something that is
 * neither, they are the same bytes.
 */
export function inRecordBatches(records: Buffer): Buffer {
  if (!hasOldMessages(records)) return records
  const parts: Buffer[] = []
  const batches = new ConvertedBatches((converted) => parts.push(Buffer.from(converted)))
  for (let at = 0; at < records.length;) {
    const size = batch.batchSize(records, at)
    if (size < batch.LOG_OVERHEAD || !batches.add(records.subarray(at, at + size))) return records
    at += size
  }
  batches.finish()
  return Buffer.concat(parts)
}

function hasOldMessages(records: Buffer): boolean {
  for (let at = 0; at + MAGIC_END <= records.length;) {
    if (batch.magic(records, at) < batch.MAGIC_V2) return true
    const size = batch.batchSize(records, at)
    if (size < batch.LOG_OVERHEAD) return false
    at += size
  }
  return false
}

export class ConvertedBatches {
  readonly #write: (batch: Buffer) => void
  #kind: MessageKind | null = null
  #pending: Buffer[] = []
  #pendingBytes = 0
  #nextOffset = 0

  /** `write` is given them one after the other; the bytes are borrowed. */
  constructor(write: (batch: Buffer) => void) {
    this.#write = write
  }

  /** False where the bytes are neither a message nor a batch, or go back in the log. They are only borrowed. */
  add(bytes: Buffer): boolean {
    if (batch.magic(bytes, 0) === batch.MAGIC_V2) {
      if (batch.checkBatch(bytes, 0, bytes.length) !== null) return false
      this.finish()
      return this.#take(bytes)
    }
    const kind = kindAt(bytes, 0, bytes.length)
    if (kind === null) return false
    if (kind.isWrapper) {
      this.finish()
      const converted = batchOfStored(bytes, kind)
      return converted !== null && this.#take(converted)
    }
    const offset = batch.baseOffset(bytes, 0)
    if (offset < this.#nextOffset) return false
    if (!this.#fits(kind, bytes.length)) this.finish()
    this.#kind = kind
    this.#pending.push(Buffer.from(bytes))
    this.#pendingBytes += bytes.length
    this.#nextOffset = offset + 1
    return true
  }

  /** Writes the plain messages that wait for more. */
  finish(): void {
    if (this.#kind === null) return
    const converted = batchOfStored(Buffer.concat(this.#pending), this.#kind)!
    this.#append(converted)
    this.#kind = null
    this.#pending = []
    this.#pendingBytes = 0
  }

  #fits(kind: MessageKind, bytes: number): boolean {
    const { magic, logAppendTimeMs } = this.#kind ?? kind
    const isAlike = magic === kind.magic && logAppendTimeMs === kind.logAppendTimeMs
    return isAlike && this.#pendingBytes + bytes <= BATCH_BYTES
  }

  #take(converted: Buffer): boolean {
    if (batch.baseOffset(converted, 0) < this.#nextOffset) return false
    this.#append(converted)
    return true
  }

  #append(converted: Buffer): void {
    this.#write(converted)
    this.#nextOffset = batch.lastOffset(converted, 0) + 1
  }
}
