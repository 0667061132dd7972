/** Tells a whole message of format 0 or 1 from bytes that are merely broken. */
import { MessageCursor, SMALLEST_MESSAGE_BYTES } from '../protocol/message-set/message.ts'

/** The format, or null when no whole message with a right CRC lies at `position`. */
export function legacyFormatAt(bytes: Buffer, position: number, available: number): 0 | 1 | null {
  if (available < SMALLEST_MESSAGE_BYTES) return null
  const message = new MessageCursor(bytes, position, position + available)
  if (message.sizeIsWrong() || !message.next() || !message.crcIsRight()) return null
  return message.magic === 0 || message.magic === 1 ? message.magic : null
}
