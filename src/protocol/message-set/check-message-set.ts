/**
 * What is asked of a message set of format 0 or 1 that a client sends, by the rules of Kafka's LogValidator. Nothing throws:
 * bad bytes are a value. The records of a set are either plain messages, or all of them in one wrapper.
 */
import { Codec } from '../compression.ts'
import {
  corruptMessage,
  faultOf,
  invalidRecord,
  timestampFault,
  type BatchFault,
  type RecordRules,
} from '../record-batch-check.ts'
import { MessageCursor, type OldMagic } from './message.ts'
import { decompressMessages } from './wrapped-messages.ts'

export interface MessageSetRules extends RecordRules {
  /** Of one message as it comes, wrapper or plain. */
  readonly maxMessageBytes: number
}

/** Plain messages, checked. */
export interface MessageSet {
  readonly magic: OldMagic
  /** What they came wrapped in; NONE when they did not. */
  readonly codec: number
  /** The messages lie at [start, end) of these bytes. */
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  readonly count: number
  /** Not null: a wrapper with LogAppendTime says so of all of them. */
  readonly ownTimestampMs: number | null
  /** -1 when none has one. */
  readonly maxTimestampMs: number
}

export type MessageSetVerdict =
  { readonly fault: null; readonly set: MessageSet } | { readonly fault: BatchFault; readonly set: null }

/** Whether there is a whole message. Kafka takes a set without one, appends nothing and says that all is well. */
export function hasWholeMessage(records: Buffer): boolean {
  const cursor = new MessageCursor(records, 0, records.length)
  return cursor.sizeIsWrong() || cursor.next()
}

/** `records` holds at least one whole message, of format 0 or 1. A message that is cut short at the end is dropped. */
export function checkMessageSet(records: Buffer, rules: MessageSetRules): MessageSetVerdict {
  try {
    const outer = checkOuter(records, rules)
    if ('error' in outer) return refused(outer)
    const messages = outer.codec === Codec.NONE ? outer : unwrap(records, outer.codec, rules)
    const checked = checkRecords(messages, rules)
    return 'error' in checked ? refused(checked) : { fault: null, set: { ...messages, ...checked } }
  } catch (error) {
    const fault = faultOf(error)
    if (fault === null) throw error
    return refused(fault)
  }
}

const refused = (fault: BatchFault): MessageSetVerdict => ({ fault, set: null })

type Unchecked = Omit<MessageSet, 'count' | 'maxTimestampMs'> & {
  /** -1: not in a wrapper. */
  readonly wrapperOffset: number
}

/** The messages as they lie in the request: sizes, CRCs, one format, and one wrapper at most. */
function checkOuter(records: Buffer, rules: MessageSetRules): Unchecked | BatchFault {
  const cursor = new MessageCursor(records, 0, records.length)
  let magic: number = -1
  let codec: number = Codec.NONE
  let count = 0
  while (cursor.next()) {
    if (magic === -1) magic = cursor.magic
    if (cursor.magic !== magic) {
      return invalidRecord(`a message of format ${cursor.magic} follows one of format ${magic}`)
    }
    if (cursor.sizeBytes > rules.maxMessageBytes) {
      const message = `The message size is ${cursor.sizeBytes} bytes which exceeds the maximum configured value of ${rules.maxMessageBytes}`
      return { error: 'MESSAGE_TOO_LARGE', message }
    }
    if (!cursor.crcIsRight()) return corruptMessage('Message is corrupt: its CRC is wrong')
    if (cursor.codec !== Codec.NONE) codec = cursor.codec
    count++
  }
  if (cursor.sizeIsWrong()) return corruptMessage('A message claims a size that none has')
  if (codec !== Codec.NONE && count > 1) {
    return invalidRecord('Compressed outer record has more than one batch')
  }
  const end = cursor.at + cursor.sizeBytes
  return {
    magic: magic as OldMagic,
    codec,
    bytes: records,
    start: 0,
    end,
    ownTimestampMs: null,
    wrapperOffset: -1,
  }
}

/** The messages of a wrapper, whose CRC has been checked. Throws CompressionError and MalformedRecordError. */
export function unwrap(bytes: Buffer, codec: number, rules: { maxDecompressedBytes: number }): Unchecked {
  const wrapper = new MessageCursor(bytes, 0, bytes.length)
  wrapper.next()
  wrapper.readParts()
  const magic = wrapper.magic as OldMagic
  const value = wrapper.value() ?? Buffer.alloc(0)
  const plain = decompressMessages(codec, magic, value, rules.maxDecompressedBytes)
  return {
    magic,
    codec,
    bytes: plain,
    start: 0,
    end: plain.length,
    ownTimestampMs: wrapper.isLogAppendTime ? wrapper.timestampMs : null,
    wrapperOffset: wrapper.offset,
  }
}

type Checked = Pick<MessageSet, 'count' | 'maxTimestampMs' | 'end'>

/** Every message that will be a record. Throws MalformedRecordError. */
function checkRecords(messages: Unchecked, rules: MessageSetRules): Checked | BatchFault {
  const { magic, codec, bytes, start, end, ownTimestampMs, wrapperOffset } = messages
  const isWrapped = codec !== Codec.NONE
  const cursor = new MessageCursor(bytes, start, end)
  let count = 0
  let maxTimestampMs = -1
  let recordFault: BatchFault | null = null
  while (cursor.next()) {
    if (isWrapped) {
      const bad = badInner(cursor, magic)
      if (bad !== null) return bad
    }
    cursor.readParts()
    const timestampMs = ownTimestampMs ?? cursor.timestampMs
    const fault = faultOfRecord(cursor, { timestampMs, isOwn: ownTimestampMs !== null }, rules)
    // A bad timestamp is what is told of a wrapper, whatever else is wrong with its records.
    if (fault !== null && (recordFault === null || fault.error === 'INVALID_TIMESTAMP')) recordFault = fault
    if (fault !== null && !isWrapped) return fault
    maxTimestampMs = Math.max(maxTimestampMs, timestampMs)
    count++
  }
  if (cursor.sizeIsWrong()) return corruptMessage('An inner message claims a size that none has')
  if (count === 0) return invalidRecord('Found invalid compressed record set with no inner records')
  // Some clients leave the wrapper's offset 0; relative offsets are assigned anew in any case.
  if (isWrapped && magic === 1 && wrapperOffset !== 0 && wrapperOffset < cursor.offset) {
    return invalidRecord(
      `Found invalid wrapper offset ${wrapperOffset}, less than the last inner one ${cursor.offset}`,
    )
  }
  return recordFault ?? { count, maxTimestampMs, end: cursor.at + cursor.sizeBytes }
}

function badInner(cursor: MessageCursor, magic: OldMagic): BatchFault | null {
  if (cursor.magic !== magic) {
    return invalidRecord(`An inner message of format ${cursor.magic} does not match its wrapper's ${magic}`)
  }
  if (cursor.codec !== Codec.NONE) return invalidRecord('Inner messages must not be compressed')
  return cursor.crcIsRight() ? null : corruptMessage('An inner message is corrupt: its CRC is wrong')
}

function faultOfRecord(
  cursor: MessageCursor,
  { timestampMs, isOwn }: { timestampMs: number; isOwn: boolean },
  rules: MessageSetRules,
): BatchFault | null {
  if (rules.keyRequired && cursor.keyBytes < 0) {
    return invalidRecord('Compacted topic cannot accept message without key')
  }
  const fault = timestampFault(timestampMs, isOwn || cursor.isLogAppendTime, cursor.offset, rules)
  if (fault !== null) return fault
  // Of a batch of its own Kafka lets it pass; converting it fails with an exception.
  if (timestampMs < -1)
    return { error: 'INVALID_TIMESTAMP', message: `Invalid negative timestamp ${timestampMs}` }
  return null
}
