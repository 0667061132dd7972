/**
 * Producer snapshot (`<offset>.snapshot`): int16 version 1, uint32 CRC-32C over what follows it, int32 count, then 46
 * bytes a producer: int64 producerId, int16 epoch, int32 lastSequence, int64 lastOffset, int32 offsetDelta, int64
 * timestamp, int32 coordinatorEpoch, int64 currentTxnFirstOffset. Only the last batch of a producer is kept.
 */
import { crc32c } from '../protocol/crc32c.ts'
import { ProducerEntry } from './producer-entry.ts'

const VERSION = 1
const HEADER_BYTES = 10
const ENTRY_BYTES = 46
const CRC_FROM = 6

export function encodeProducerSnapshot(entries: Iterable<ProducerEntry>): Buffer {
  const list = [...entries]
  const bytes = Buffer.alloc(HEADER_BYTES + list.length * ENTRY_BYTES)
  bytes.writeInt16BE(VERSION, 0)
  bytes.writeInt32BE(list.length, 6)
  list.forEach((entry, index) => {
    const at = HEADER_BYTES + index * ENTRY_BYTES
    const last = entry.batches.at(-1)
    bytes.writeBigInt64BE(BigInt(entry.producerId), at)
    bytes.writeInt16BE(entry.epoch, at + 8)
    bytes.writeInt32BE(last?.lastSequence ?? -1, at + 10)
    bytes.writeBigInt64BE(BigInt(last?.lastOffset ?? -1), at + 14)
    bytes.writeInt32BE(last?.offsetDelta ?? 0, at + 22)
    bytes.writeBigInt64BE(BigInt(entry.lastTimestampMs), at + 26)
    bytes.writeInt32BE(entry.coordinatorEpoch, at + 34)
    bytes.writeBigInt64BE(BigInt(entry.transactionFirstOffset), at + 38)
  })
  bytes.writeUInt32BE(crc32c(bytes, CRC_FROM), 2)
  return bytes
}

/** Why the file is broken; null when it is whole. */
export function faultOfProducerSnapshot(bytes: Buffer): string | null {
  if (bytes.length < HEADER_BYTES) return `${bytes.length} bytes are no producer snapshot`
  const version = bytes.readInt16BE(0)
  if (version !== VERSION) return `version ${version} of the producer snapshot is not known`
  const [stored, computed] = [bytes.readUInt32BE(2), crc32c(bytes, CRC_FROM)]
  if (stored !== computed)
    return `the snapshot is corrupt (stored crc = ${stored}, computed crc = ${computed})`
  const count = bytes.readInt32BE(6)
  const size = HEADER_BYTES + count * ENTRY_BYTES
  return bytes.length === size ? null : `a snapshot of ${count} producers has ${bytes.length} bytes`
}

/** null when the file is broken. */
export function decodeProducerSnapshot(bytes: Buffer): ProducerEntry[] | null {
  if (faultOfProducerSnapshot(bytes) !== null) return null
  const entries: ProducerEntry[] = []
  for (let at = HEADER_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    const entry = new ProducerEntry(Number(bytes.readBigInt64BE(at)))
    entry.epoch = bytes.readInt16BE(at + 8)
    entry.lastTimestampMs = Number(bytes.readBigInt64BE(at + 26))
    entry.coordinatorEpoch = bytes.readInt32BE(at + 34)
    entry.transactionFirstOffset = Number(bytes.readBigInt64BE(at + 38))
    const lastOffset = Number(bytes.readBigInt64BE(at + 14))
    if (lastOffset >= 0) {
      entry.batches.push({
        lastSequence: bytes.readInt32BE(at + 10),
        lastOffset,
        offsetDelta: bytes.readInt32BE(at + 22),
        timestampMs: entry.lastTimestampMs,
      })
    }
    entries.push(entry)
  }
  return entries
}
