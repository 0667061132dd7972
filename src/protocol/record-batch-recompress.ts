/** The records of a batch under another codec. */
import { Codec, compress } from './compression.ts'
import { plainRecords } from './record-batch-check.ts'
import * as header from './record-batch-header.ts'

export interface Recompression {
  readonly codec: number
  /** Of the codec; its own default when left out. */
  readonly level?: number
  /** The most that the batch may hold now. */
  readonly maxDecompressedBytes: number
}

/**
 * A new batch of the one at the start of `bytes`, whose records have been checked: they stay byte for byte as they are, and
 * so do offsets, timestamps and producer. Attribute bits without a meaning are dropped. Throws CompressionError.
 */
export function recompressBatch(bytes: Buffer, to: Recompression): Buffer {
  const plain = plainRecords(bytes, 0, to.maxDecompressedBytes)
  const content = plain.bytes.subarray(plain.start, plain.end)
  const records = to.codec === Codec.NONE ? content : compress(to.codec, content, to.level)
  const batch = Buffer.allocUnsafe(header.BATCH_OVERHEAD + records.length)
  records.copy(batch, header.BATCH_OVERHEAD)
  const bits = header.attributes(bytes, 0)
  header.writeHeader(batch, {
    sizeBytes: batch.length,
    baseOffset: header.baseOffset(bytes, 0),
    partitionLeaderEpoch: header.partitionLeaderEpoch(bytes, 0),
    attributes: header.attributeBits(to.codec, {
      timestampType: header.timestampTypeOf(bits),
      transactional: header.isTransactional(bits),
      control: header.isControl(bits),
    }),
    lastOffsetDelta: header.lastOffsetDelta(bytes, 0),
    baseTimestampMs: header.baseTimestamp(bytes, 0),
    maxTimestampMs: header.maxTimestamp(bytes, 0),
    producerId: header.producerId(bytes, 0),
    producerEpoch: header.producerEpoch(bytes, 0),
    baseSequence: header.baseSequence(bytes, 0),
    recordCount: header.recordCount(bytes, 0),
  })
  return batch
}
