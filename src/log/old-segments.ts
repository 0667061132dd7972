/**
 * Segments that hold message formats 0 and 1, because an older Kafka wrote them, are written anew as record batches of
 * magic 2 when their log is loaded (docs/decisions/0012-old-segments-are-converted.md). Offsets, keys, timestamps, codecs
 * and the file's time stay; indexes are left to the recovery that follows.
 */
import type { Disk, DiskFile } from '../env/disk.ts'
import type { Logger } from '../env/env.ts'
import { batchOfStored, kindAt, type MessageKind } from '../protocol/message-set/stored-messages.ts'
import * as batch from '../protocol/record-batch.ts'
import {
  CLEANED_SUFFIX,
  join,
  LOG_SUFFIX,
  OFFSET_INDEX_SUFFIX,
  offsetFileName,
  offsetOfFileName,
  SWAP_SUFFIX,
  TIME_INDEX_SUFFIX,
  TRANSACTION_INDEX_SUFFIX,
} from './file-names.ts'
import { FileWindow } from './file-window.ts'
import { legacyFormatAt } from './legacy-message.ts'

const HEADER_BYTES = 17
/** Plain messages that follow each other share a batch up to about this size. */
const BATCH_BYTES = 64 * 1024

export interface OldSegmentsRequest {
  readonly disk: Disk
  readonly logger: Logger
  readonly directory: string
  /** File names in `directory`. */
  readonly names: readonly string[]
}

/**
 * Returns the names that are there afterwards. Formats only grow within a log, so that nothing is converted where the first
 * segment begins with a batch; the first one is converted last, so that this holds after a crash. Throws DiskError.
 */
export function convertOldSegments(request: OldSegmentsRequest): readonly string[] {
  const { disk, directory, names, logger } = request
  const bases = names
    .filter((name) => name.endsWith(LOG_SUFFIX) && offsetOfFileName(name) >= 0)
    .map(offsetOfFileName)
    .sort((a, b) => a - b)
  const firstNew = bases.findIndex(
    (base) => !beginsOld(disk, join(directory, offsetFileName(base, LOG_SUFFIX))),
  )
  const old = firstNew === -1 ? bases : bases.slice(0, firstNew)
  if (old.length === 0) return names
  for (const base of old.reverse()) {
    const { bytes, cutBytes } = convertSegment(disk, directory, base)
    const path = join(directory, offsetFileName(base, LOG_SUFFIX))
    logger.log('info', 'a segment of an older message format was converted', { path, bytes })
    if (cutBytes > 0) logger.log('warn', 'it was cut at the first invalid message', { path, bytes: cutBytes })
  }
  return disk.list(directory)
}

function beginsOld(disk: Disk, path: string): boolean {
  const file = disk.open(path, 'read')
  try {
    const header = Buffer.alloc(HEADER_BYTES)
    if (file.read(header, 0, HEADER_BYTES, 0) < HEADER_BYTES) return false
    const size = batch.batchSize(header, 0)
    const isOld = batch.magic(header, 0) === 0 || batch.magic(header, 0) === 1
    if (!isOld || size < HEADER_BYTES || size > file.size()) return false
    // One flipped bit makes a batch look older: its whole segment would be thrown away as no messages.
    const message = Buffer.alloc(size)
    return file.read(message, 0, size, 0) === size && legacyFormatAt(message, 0, size) !== null
  } finally {
    file.close()
  }
}

/** A crash leaves the old file, or a finished `.swap` that takes its place at the next load. */
function convertSegment(disk: Disk, directory: string, base: number): { bytes: number; cutBytes: number } {
  const path = join(directory, offsetFileName(base, LOG_SUFFIX))
  const source = disk.open(path, 'read')
  const target = disk.open(path + CLEANED_SUFFIX, 'write')
  const result = { bytes: 0, cutBytes: 0 }
  try {
    result.cutBytes = convertFile(source, target)
    result.bytes = target.size()
    target.syncNow()
  } finally {
    source.close()
    target.close()
  }
  const modifiedMs = disk.stat(path)?.modifiedMs
  if (modifiedMs !== undefined) disk.setModifiedTime(path + CLEANED_SUFFIX, modifiedMs)
  disk.rename(path + CLEANED_SUFFIX, path + SWAP_SUFFIX)
  disk.syncDirectory(directory)
  for (const suffix of [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX]) {
    disk.remove(join(directory, offsetFileName(base, suffix)))
  }
  disk.rename(path + SWAP_SUFFIX, path)
  disk.syncDirectory(directory)
  return result
}

/** Returns how many bytes at the end are no messages and no batches. */
function convertFile(source: DiskFile, target: DiskFile): number {
  const size = source.size()
  const window = new FileWindow(source, size, batch.BATCH_OVERHEAD)
  const batches = new ConvertedBatches(target)
  let position = 0
  while (size - position >= HEADER_BYTES) {
    let at = window.hold(position, HEADER_BYTES)
    const claimed = batch.batchSize(window.buffer, at)
    if (claimed < HEADER_BYTES || claimed > size - position) break
    at = window.hold(position, claimed)
    const bytes = window.buffer.subarray(at, at + claimed)
    if (!batches.add(bytes)) break
    position += claimed
  }
  batches.finish()
  return size - position
}

class ConvertedBatches {
  readonly #target: DiskFile
  #position = 0
  #kind: MessageKind | null = null
  #pending: Buffer[] = []
  #pendingBytes = 0
  #nextOffset = 0

  constructor(target: DiskFile) {
    this.#target = target
  }

  /** False where the bytes are neither a message nor a batch, or go back in the log. They are only borrowed. */
  add(bytes: Buffer): boolean {
    if (batch.magic(bytes, 0) === batch.MAGIC_V2) {
      if (batch.checkBatch(bytes, 0, bytes.length) !== null) return false
      this.finish()
      return this.#write(bytes)
    }
    const kind = kindAt(bytes, 0, bytes.length)
    if (kind === null) return false
    if (kind.isWrapper) {
      this.finish()
      const converted = batchOfStored(bytes, kind)
      return converted !== null && this.#write(converted)
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

  #write(converted: Buffer): boolean {
    if (batch.baseOffset(converted, 0) < this.#nextOffset) return false
    this.#append(converted)
    return true
  }

  #append(converted: Buffer): void {
    this.#target.write([converted], this.#position)
    this.#position += converted.length
    this.#nextOffset = batch.lastOffset(converted, 0) + 1
  }
}
