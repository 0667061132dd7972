/** The value of a wrapper: a compressed message set. */
import { Codec, compress, CompressionError, decompress } from '../compression.ts'
import { setHeaderChecksum } from '../lz4-frame.ts'
import type { OldMagic } from './message.ts'

/** Message formats 0 and 1 never knew zstd. */
const LAST_CODEC = Codec.LZ4

/** As `compress`. Format 0 has LZ4's header checksum of clients that computed it over the frame's magic too (KAFKA-3160). */
export function compressMessages(codec: number, magic: OldMagic, messages: Buffer): Buffer {
  const value = compress(codec, messages)
  if (codec === Codec.LZ4 && magic === 0) setHeaderChecksum(value, 'with magic')
  return value
}

/** As `decompress`; LZ4's header checksum is not looked at in format 0. */
export function decompressMessages(codec: number, magic: OldMagic, value: Buffer, maxBytes: number): Buffer {
  if (codec > LAST_CODEC) {
    throw new CompressionError('unavailable', `message format ${magic} has no codec ${codec}`)
  }
  if (codec !== Codec.LZ4 || magic !== 0) return decompress(codec, value, maxBytes)
  const frame = Buffer.from(value)
  setHeaderChecksum(frame, 'right')
  return decompress(codec, frame, maxBytes)
}
