/** A segment's batches, and with them its records: every CRC is computed, every offset compared with the one before. */
import type { DiskFile } from '../../env/disk.ts'
import { legacyFormatAt } from '../../log/legacy-message.ts'
import * as batch from '../../protocol/record-batch.ts'
import { BatchScan, timestampTypeName } from './batch-scan.ts'
import { note, problem } from './dumped.ts'
import type { Dumped, DumpedBatch } from './dumped.ts'
import { dumpMessages } from './dump-messages.ts'
import { dumpRecords } from './dump-records.ts'
import type { RecordOptions } from './dump-records.ts'

export interface SegmentOptions extends RecordOptions {
  readonly records: 'none' | 'metadata' | 'contents'
  /** In the file's name; -1 when unknown. */
  readonly baseOffset: number
  readonly maxBytes: number
}

export function* dumpSegment(file: DiskFile, options: SegmentOptions): Generator<Dumped> {
  const size = file.size()
  const end = Math.min(size, options.maxBytes)
  const segment = new SegmentDump(options)
  let scan = new BatchScan(file, 0, end)
  yield* segment.batchesOf(scan)
  // A broker that runs may have been in the middle of a write.
  if (scan.ending === 'cut short' && end === size && file.size() > size) {
    scan = new BatchScan(file, scan.position, file.size())
    yield* segment.batchesOf(scan, 1)
  }
  yield segment.summary(scan.end)
  const left = end - scan.end
  if (left <= 0 || end < size) return
  if (scan.restIsZero()) yield note(`${left} zero bytes at the end: allocated ahead`)
  else yield problem(`${left} bytes at the end, from ${scan.end} on, are no whole batch`)
}

class SegmentDump {
  readonly #options: SegmentOptions
  #batches = 0
  #records = 0
  #firstOffset = -1
  #lastOffset = -1
  #gaps = 0

  constructor(options: SegmentOptions) {
    this.#options = options
  }

  *batchesOf(scan: BatchScan, most = Infinity): Generator<Dumped> {
    for (let count = 0; count < most && scan.next(); count++) {
      const isHeld = scan.sizeBytes <= this.#options.maxBatchBytes
      // Cut meanwhile: the next look at the file says so.
      if (isHeld && !scan.holdWhole()) continue
      const dumped = scan.magic === batch.MAGIC_V2 ? batchAt(scan, isHeld) : messageAt(scan, isHeld)
      yield dumped
      yield* this.#checkOffsets(dumped)
      this.#batches++
      this.#records += Math.max(0, dumped.count ?? 0)
      if (!isHeld) {
        yield problem(
          `the batch at ${scan.position} has ${scan.sizeBytes} bytes, more than --max-message-size: not looked into`,
        )
      } else if (scan.magic === batch.MAGIC_V2) {
        yield* this.#contentsOf(scan)
      } else if (dumped.isValid === false) {
        yield problem(`the message at ${scan.position} is corrupt: its CRC is wrong`)
      } else if (this.#options.records !== 'none') {
        yield* dumpMessages(scan, this.#options)
      }
    }
  }

  *#contentsOf(scan: BatchScan): Generator<Dumped> {
    const fault = batch.checkBatch(scan.bytes, scan.at, scan.sizeBytes)
    if (fault !== null) yield problem(`the batch at ${scan.position}: ${fault.message}`)
    else if (this.#options.records !== 'none') yield* dumpRecords(scan, this.#options)
  }

  *#checkOffsets({ baseOffset, lastOffset, position }: DumpedBatch): Generator<Dumped> {
    const isFirst = this.#firstOffset < 0
    const least = isFirst ? this.#options.baseOffset : this.#lastOffset + 1
    if (baseOffset < least) {
      const before = isFirst ? `in a segment that begins at ${least}` : `after ${least - 1}`
      yield problem(`the batch at ${position} has offset ${baseOffset} ${before}`)
    }
    if (!isFirst && baseOffset > least) this.#gaps++
    if (isFirst) this.#firstOffset = baseOffset
    this.#lastOffset = Math.max(this.#lastOffset, lastOffset)
  }

  summary(validBytes: number): Dumped {
    return {
      type: 'segmentEnd',
      batches: this.#batches,
      records: this.#records,
      firstOffset: this.#firstOffset,
      lastOffset: this.#lastOffset,
      validBytes,
      gaps: this.#gaps,
    }
  }
}

const compressionName = (codec: number): string => batch.codecNames[codec] ?? `codec ${codec}`

function batchAt(scan: BatchScan, isHeld: boolean): DumpedBatch {
  const { bytes, at } = scan
  const bits = batch.attributes(bytes, at)
  const crc = batch.crc(bytes, at)
  return {
    type: 'batch',
    position: scan.position,
    sizeBytes: scan.sizeBytes,
    magic: batch.MAGIC_V2,
    baseOffset: scan.baseOffset,
    lastOffset: scan.lastOffset,
    count: batch.recordCount(bytes, at),
    compression: compressionName(batch.codecOf(bits)),
    timestampType: timestampTypeName(bits),
    maxTimestampMs: batch.maxTimestamp(bytes, at),
    crc,
    isValid: isHeld ? crc === batch.computeCrc(bytes, at) : null,
    partitionLeaderEpoch: batch.partitionLeaderEpoch(bytes, at),
    producerId: batch.producerId(bytes, at),
    producerEpoch: batch.producerEpoch(bytes, at),
    baseSequence: batch.baseSequence(bytes, at),
    lastSequence: batch.lastSequence(bytes, at),
    isTransactional: batch.isTransactional(bits),
    isControl: batch.isControl(bits),
    deleteHorizonMs: batch.hasDeleteHorizon(bits) ? batch.baseTimestamp(bytes, at) : null,
  }
}

/** Formats 0 and 1: CRC at 12, attributes (one byte) at 17, format 1 has a timestamp at 18. */
function messageAt(scan: BatchScan, isHeld: boolean): DumpedBatch {
  const { bytes, at, magic, baseOffset } = scan
  const bits = bytes[at + 17]
  return {
    type: 'batch',
    position: scan.position,
    sizeBytes: scan.sizeBytes,
    magic,
    baseOffset,
    lastOffset: baseOffset,
    count: null,
    compression: compressionName(batch.codecOf(bits)),
    timestampType: magic === 0 ? null : timestampTypeName(bits),
    maxTimestampMs: magic === 0 ? -1 : Number(bytes.readBigInt64BE(at + 18)),
    crc: bytes.readUInt32BE(at + 12),
    isValid: isHeld ? legacyFormatAt(bytes, at, scan.sizeBytes) !== null : null,
  }
}
