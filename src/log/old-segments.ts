/**
 * Segments that hold message formats 0 and 1, because an older Kafka wrote them, are written anew as record batches of
 * magic 2 when their log is loaded (docs/decisions/0012-old-segments-are-converted.md). Offsets, keys, timestamps, codecs
 * and the file's time stay; indexes are left to the recovery that follows.
 */
import type { Disk, DiskFile } from '../env/disk.ts'
import type { Logger } from '../env/env.ts'
import * as batch from '../protocol/record-batch.ts'
import { ConvertedBatches } from './converted-batches.ts'
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
  let position = 0
  let written = 0
  const batches = new ConvertedBatches((converted) => {
    target.write([converted], written)
    written += converted.length
  })
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
