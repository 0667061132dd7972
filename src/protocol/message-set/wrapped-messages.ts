/** The value of a wrapper: a compressed message set. */
import { corrupt } from '../compression-error.ts'
import { Codec, compress, decompress } from '../compression.ts'
import { setHeaderChecksum } from '../lz4-frame.ts'
import type { OldMagic } from './message.ts'

/** As `compress`. Format 0 has LZ4's header checksum of clients that computed it over the frame's magic too (KAFKA-3160). */
export function compressMessages(codec: number, magic: OldMagic, messages: Buffer): Buffer {
  const value = compress(codec, messages)
  if (codec === Codec.LZ4 && magic === 0) setHeaderChecksum(value, 'with magic')
  return value
}

/** As `decompress`; zstd, which came later, is refused, and LZ4's header checksum is not looked at in format 0. */
export function decompressMessages(codec: number, magic: OldMagic, value: Buffer, maxBytes: number): Buffer {
  if (codec === Codec.ZSTD) throw corrupt(`message format ${magic} has no zstd`)
  if (codec !== Codec.LZ4 || magic !== 0) return decompress(codec, value, maxBytes)
  const frame = Buffer.from(value)
  setHeaderChecksum(frame, 'right')
  return decompress(codec, frame, maxBytes)
}
