/** The records of one message of format 0 or 1, whose CRC is right: itself, or those inside where it is compressed. */
import { Codec, CompressionError, MalformedRecordError } from '../../protocol/record-batch.ts'
import { MessageCursor } from '../../protocol/message-set/message.ts'
import type { OldMagic } from '../../protocol/message-set/message.ts'
import { decompressMessages } from '../../protocol/message-set/wrapped-messages.ts'
import type { BatchScan } from './batch-scan.ts'
import { contentsOf } from './dump-records.ts'
import type { RecordOptions } from './dump-records.ts'
import { problem } from './dumped.ts'
import type { Dumped } from './dumped.ts'

export function* dumpMessages(scan: BatchScan, options: RecordOptions): Generator<Dumped> {
  const outer = new MessageCursor(scan.bytes, scan.at, scan.at + scan.sizeBytes)
  try {
    outer.next()
    outer.readParts()
    if (outer.codec === Codec.NONE) return yield* dumpMessage(outer, outer, 0, options)
    const value = outer.value() ?? Buffer.alloc(0)
    const plain = decompressMessages(outer.codec, outer.magic as OldMagic, value, options.maxBatchBytes)
    yield* dumpInner(plain, outer, scan.position, options)
  } catch (error) {
    if (!(error instanceof MalformedRecordError || error instanceof CompressionError)) throw error
    yield problem(`the message at ${scan.position}: ${error.message}`)
  }
}

/** Throws MalformedRecordError. */
function* dumpInner(
  plain: Buffer,
  outer: MessageCursor,
  position: number,
  options: RecordOptions,
): Generator<Dumped> {
  // Format 1 counts from 0 inside; the wrapper has the offset of the last.
  const last = new MessageCursor(plain, 0, plain.length)
  while (last.next());
  const firstOffset = outer.magic === 1 ? outer.offset - last.offset : 0
  const inner = new MessageCursor(plain, 0, plain.length)
  while (inner.next()) {
    if (inner.magic !== outer.magic || inner.codec !== Codec.NONE || !inner.crcIsRight()) {
      return yield problem(`the message at ${position}: one that it holds is corrupt`)
    }
    inner.readParts()
    yield* dumpMessage(inner, outer, firstOffset, options)
  }
  const end = last.at + last.sizeBytes
  if (end !== plain.length) {
    yield problem(
      `the message at ${position}: ${plain.length - end} bytes that it holds are no whole message`,
    )
  }
}

function* dumpMessage(
  message: MessageCursor,
  outer: MessageCursor,
  firstOffset: number,
  options: RecordOptions,
): Generator<Dumped> {
  const [key, value] = [message.key(), message.value()]
  const dumped = {
    type: 'record',
    offset: firstOffset + message.offset,
    timestampType: outer.magic === 0 ? null : outer.isLogAppendTime ? 'LogAppendTime' : 'CreateTime',
    // The time of appending is the wrapper's.
    timestampMs: outer.isLogAppendTime ? outer.timestampMs : message.timestampMs,
    keySize: key?.length ?? -1,
    valueSize: value?.length ?? -1,
  } as const
  if (options.records === 'metadata') yield dumped
  else yield* contentsOf(dumped, { key, value, headers: [] }, options.decode)
}
