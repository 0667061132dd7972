/** Messages of formats 0 and 1 as they lie in a log that an older Kafka wrote become record batches with the same offsets. */
import { Codec } from '../compression.ts'
import { anyRecord, faultOf } from '../record-batch-check.ts'
import * as header from '../record-batch-header.ts'
import { storedBatchOfMessages } from './batch-of-messages.ts'
import { unwrap, type MessageSet } from './check-message-set.ts'
import { MessageCursor, type OldMagic } from './message.ts'

/** What may be in one batch: plain messages of one format and one kind of timestamp. */
export interface MessageKind {
  readonly magic: OldMagic
  readonly isWrapper: boolean
  /** LogAppendTime: a batch has one for all its records. */
  readonly logAppendTimeMs: number | null
}

/** null where the bytes at `position` are no whole message of format 0 or 1 with a right CRC. */
export function kindAt(bytes: Buffer, position: number, available: number): MessageKind | null {
  const cursor = new MessageCursor(bytes, position, position + available)
  if (!cursor.next() || (cursor.magic !== 0 && cursor.magic !== 1) || !cursor.crcIsRight()) return null
  try {
    cursor.readParts()
  } catch (error) {
    if (faultOf(error) === null) throw error
    return null
  }
  return {
    magic: cursor.magic,
    isWrapper: cursor.codec !== Codec.NONE,
    logAppendTimeMs: cursor.isLogAppendTime ? cursor.timestampMs : null,
  }
}

/** Of one wrapper, or of plain messages of one kind. null where the records in a wrapper cannot be read, or go backwards. */
export function batchOfStored(bytes: Buffer, kind: MessageKind): Buffer | null {
  try {
    const { set, firstOffset } = kind.isWrapper ? wrapped(bytes) : plain(bytes, kind)
    if (set === null) return null
    const batch = storedBatchOfMessages(set, firstOffset)
    if (kind.logAppendTimeMs !== null) {
      header.setMaxTimestampAndType(batch, 0, kind.logAppendTimeMs, header.LOG_APPEND_TIME)
    }
    return batch
  } catch (error) {
    if (faultOf(error) === null) throw error
    return null
  }
}

interface Stored {
  /** null: there are none, or their offsets go backwards. */
  readonly set: MessageSet | null
  readonly firstOffset: number
}

function plain(bytes: Buffer, { magic }: MessageKind): Stored {
  const messages = { magic, codec: Codec.NONE, bytes, start: 0, end: bytes.length, ownTimestampMs: null }
  return { set: counted(messages)?.set ?? null, firstOffset: 0 }
}

/** Throws CompressionError and MalformedRecordError. */
function wrapped(bytes: Buffer): Stored {
  const wrapper = new MessageCursor(bytes, 0, bytes.length)
  wrapper.next()
  const { wrapperOffset, ...messages } = unwrap(bytes, wrapper.codec, anyRecord)
  const all = counted(messages)
  if (all === null) return { set: null, firstOffset: 0 }
  // Relative to the first one in format 1: the wrapper has the last one's offset.
  const firstOffset = messages.magic === 1 ? Math.max(0, wrapperOffset - all.lastOffset) : 0
  return { set: all.set, firstOffset }
}

/** Throws MalformedRecordError. */
function counted(
  messages: Omit<MessageSet, 'count' | 'maxTimestampMs'>,
): { set: MessageSet; lastOffset: number } | null {
  const cursor = new MessageCursor(messages.bytes, messages.start, messages.end)
  let count = 0
  let maxTimestampMs = -1
  let lastOffset = -1
  while (cursor.next()) {
    if (cursor.magic !== messages.magic || cursor.offset <= lastOffset) return null
    cursor.readParts()
    lastOffset = cursor.offset
    maxTimestampMs = Math.max(maxTimestampMs, messages.ownTimestampMs ?? cursor.timestampMs)
    count++
  }
  const end = cursor.at + cursor.sizeBytes
  return count === 0 ? null : { set: { ...messages, end, count, maxTimestampMs }, lastOffset }
}
