/** Tells a whole message of format 0 or 1 (CRC-32, IEEE, from the magic byte on) from bytes that are merely broken. */
const SIZE_AT = 8
const CRC_AT = 12
const MAGIC_AT = 16
const SMALLEST_BYTES = 26

/** The format, or null when no whole message with a right CRC lies at `position`. */
export function legacyFormatAt(bytes: Buffer, position: number, available: number): 0 | 1 | null {
  if (available < SMALLEST_BYTES) return null
  const magic = bytes[position + MAGIC_AT]
  const size = 12 + bytes.readInt32BE(position + SIZE_AT)
  if ((magic !== 0 && magic !== 1) || size < SMALLEST_BYTES || size > available) return null
  const stored = bytes.readUInt32BE(position + CRC_AT)
  return stored === crc32(bytes, position + MAGIC_AT, position + size) ? magic : null
}

/** Bit by bit: at most one message is looked at, and only where a segment does not begin with a batch. */
function crc32(bytes: Buffer, start: number, end: number): number {
  let crc = 0xffff_ffff
  for (let at = start; at < end; at++) {
    crc ^= bytes[at]
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1
  }
  return (crc ^ 0xffff_ffff) >>> 0
}
