/**
 * Snappy as Kafka's clients write it: the xerial stream (82 "SNAPPY" 00, two int32 versions, then int32 length + raw block,
 * repeated), or a single raw block without any header.
 */
import { CompressionError, corrupt, tooLarge } from './compression-error.ts'
import { lazyNative } from './native-module.ts'

interface SnappyNative {
  compressSync(input: Uint8Array, options: { copyOutputData: boolean }): Buffer
  uncompressSync(input: Uint8Array, options: { asBuffer: boolean; copyOutputData: boolean }): Buffer
}

const native = lazyNative<SnappyNative>('@napi-rs/snappy')

const STREAM_HEADER = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
const MAGIC_BYTES = 8
const INPUT_BLOCK_BYTES = 32 * 1024
/** A copy of 64 bytes takes 3: no honest block grows more than this. Checked before memory is taken. */
const MAX_GROWTH = 22
/** The default hands out external buffers, which are freed only when the event loop turns. */
const COPY = { asBuffer: true, copyOutputData: true }

export function compressSnappy(data: Uint8Array): Buffer {
  const library = loaded()
  const parts: Buffer[] = [STREAM_HEADER]
  for (let at = 0; at < data.length; at += INPUT_BLOCK_BYTES) {
    const block = library.compressSync(data.subarray(at, at + INPUT_BLOCK_BYTES), COPY)
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

export function decompressSnappy(data: Buffer, maxOutputBytes: number): Buffer {
  if (!startsWithMagic(data, 0)) return decompressBlock(data, maxOutputBytes, maxOutputBytes)
  const parts: Buffer[] = []
  let produced = 0
  let at = 0
  while (at < data.length) {
    // Streams may follow each other: the length of a block never looks like the magic, which is negative.
    if (startsWithMagic(data, at)) {
      if (at + STREAM_HEADER.length > data.length) throw corrupt('snappy: the stream header is cut short')
      at += STREAM_HEADER.length
      continue
    }
    if (at + 4 > data.length) throw corrupt('snappy: a block length is cut short')
    const length = data.readInt32BE(at)
    at += 4
    if (length < 0 || length > data.length - at)
      throw corrupt(`snappy: block of ${length} bytes does not fit`)
    const block = decompressBlock(data.subarray(at, at + length), maxOutputBytes - produced, maxOutputBytes)
    produced += block.length
    parts.push(block)
    at += length
  }
  return parts.length === 1 ? parts[0] : Buffer.concat(parts, produced)
}

function decompressBlock(block: Buffer, allowedBytes: number, maxOutputBytes: number): Buffer {
  const claimed = declaredLength(block)
  if (claimed > block.length * MAX_GROWTH)
    throw corrupt(`snappy: ${block.length} bytes cannot hold ${claimed}`)
  if (claimed > allowedBytes) throw tooLarge(maxOutputBytes)
  try {
    return loaded().uncompressSync(block, COPY)
  } catch (error) {
    if (error instanceof CompressionError) throw error
    throw corrupt(`snappy: ${(error as Error).message}`)
  }
}

/** The varint that opens a raw block: its size when decompressed. */
function declaredLength(block: Buffer): number {
  let value = 0
  for (let index = 0; index < 5 && index < block.length; index++) {
    value += (block[index] & 0x7f) * 2 ** (7 * index)
    if (block[index] < 0x80) return value
  }
  throw corrupt('snappy: a block has no length')
}

function startsWithMagic(data: Buffer, at: number): boolean {
  if (data[at] !== 0x82 || data.length - at < MAGIC_BYTES) return false
  return data.compare(STREAM_HEADER, 0, MAGIC_BYTES, at, at + MAGIC_BYTES) === 0
}

function loaded(): SnappyNative {
  const library = native()
  if (library === null) throw new CompressionError('unavailable', 'snappy: no native code for this platform')
  return library
}
