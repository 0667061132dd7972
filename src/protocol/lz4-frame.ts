/**
 * LZ4 frames (format version 1) over a block codec. Written as Kafka's clients write them: independent 64 KiB blocks, no
 * checksums but the header's. Read as Kafka reads them: linked blocks are refused, block checksums are verified, a content
 * checksum is skipped, the end mark is required. Unlike Kafka, bytes after the end mark are refused.
 */
import { CompressionError, corrupt, tooLarge } from './compression-error.ts'
import { lazyNative } from './native-module.ts'
import { xxhash32 } from './xxhash32.ts'

/** Its blocks carry their uncompressed size in front, as a little-endian int32. */
interface Lz4Native {
  compressSync(input: Buffer): Buffer
  uncompressSync(input: Uint8Array): Buffer
}

const native = lazyNative<Lz4Native>('lz4-napi')

const MAGIC = 0x184d2204
/** The descriptor, which the header's checksum covers, begins with the flags. */
const DESCRIPTOR_AT = 4
const FLAGS_AT = 4
const FLAG_BLOCK_CHECKSUM = 0x10
const FLAG_CONTENT_SIZE = 0x08
const FLAG_CONTENT_CHECKSUM = 0x04
const STORED = 0x80000000
const WRITE_BLOCK_BYTES = 64 * 1024
/** One length byte stands for 255 output bytes at most: no honest block grows more than this. */
const MAX_GROWTH = 255

export function compressLz4(data: Buffer): Buffer {
  const library = loaded()
  const header = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0])
  setHeaderChecksum(header, 'right')
  const parts: Buffer[] = [header]
  for (let at = 0; at < data.length; at += WRITE_BLOCK_BYTES) {
    const input = data.subarray(at, Math.min(at + WRITE_BLOCK_BYTES, data.length))
    const block = library.compressSync(input)
    const blockBytes = block.length - 4
    if (blockBytes < input.length) {
      // The frame's block length takes the place of the codec's own size prefix.
      block.writeUInt32LE(blockBytes, 0)
      parts.push(block)
    } else {
      const length = Buffer.allocUnsafe(4)
      length.writeUInt32LE((STORED | input.length) >>> 0)
      parts.push(length, input)
    }
  }
  parts.push(Buffer.alloc(4))
  return Buffer.concat(parts)
}

/** Takes the blocks of a frame in order and gives them as one. */
export interface BlockSink {
  add(block: Buffer): void
  whole(producedBytes: number): Buffer
}

class Parts implements BlockSink {
  private readonly parts: Buffer[] = []
  add(block: Buffer): void {
    this.parts.push(block)
  }
  whole(producedBytes: number): Buffer {
    return Buffer.concat(this.parts, producedBytes)
  }
}

export function decompressLz4(data: Buffer, maxOutputBytes: number, sink: BlockSink = new Parts()): Buffer {
  const frame = readFrameHeader(data)
  let produced = 0
  let at = frame.bodyAt
  for (;;) {
    const field = readLength(data, at)
    at += 4
    if (field === 0) break
    const blockBytes = field & 0x7fffffff
    if (blockBytes > frame.maxBlockBytes)
      throw corrupt(`lz4: block of ${blockBytes} bytes passes the frame's limit`)
    if (blockBytes > data.length - at) throw corrupt('lz4: a block is cut short')
    const stored = field >= STORED
    const allowedBytes = maxOutputBytes - produced
    const block = stored
      ? data.subarray(at, at + blockBytes)
      : decompressBlock(data.subarray(at - 4, at + blockBytes), frame.maxBlockBytes, allowedBytes)
    if (block === null || block.length > allowedBytes) throw tooLarge(maxOutputBytes)
    if (frame.blockChecksum) {
      if (readLength(data, at + blockBytes) !== xxhash32(data, at, at + blockBytes)) {
        throw corrupt('lz4: block checksum mismatch')
      }
      at += 4
    }
    at += blockBytes
    produced += block.length
    sink.add(block)
  }
  if (frame.contentChecksum) at += 4
  if (at !== data.length) throw corrupt('lz4: the bytes do not end where the frame ends')
  return sink.whole(produced)
}

interface FrameHeader {
  bodyAt: number
  maxBlockBytes: number
  blockChecksum: boolean
  contentChecksum: boolean
}

function readFrameHeader(data: Buffer): FrameHeader {
  if (data.length < 7 || data.readUInt32LE(0) !== MAGIC) throw corrupt('lz4: not a frame')
  const flags = data[FLAGS_AT]
  const blockCode = data[5] >> 4
  if (flags >> 6 !== 1) throw corrupt(`lz4: frame version ${flags >> 6} is not supported`)
  if ((flags & 0x20) === 0) throw corrupt('lz4: dependent blocks are not supported')
  if ((flags & 0x03) !== 0 || (data[5] & 0x8f) !== 0) throw corrupt('lz4: reserved bits are set')
  if (blockCode < 4) throw corrupt(`lz4: block size code ${blockCode} is not defined`)
  const checksumAt = checksumPosition(flags)
  if (checksumAt >= data.length) throw corrupt('lz4: the frame header is cut short')
  if (data[checksumAt] !== headerChecksum(data, DESCRIPTOR_AT, checksumAt)) {
    throw corrupt('lz4: header checksum mismatch')
  }
  return {
    bodyAt: checksumAt + 1,
    maxBlockBytes: 2 ** (8 + 2 * blockCode),
    blockChecksum: (flags & FLAG_BLOCK_CHECKSUM) !== 0,
    contentChecksum: (flags & FLAG_CONTENT_CHECKSUM) !== 0,
  }
}

/**
 * Writes the checksum byte of a frame's header, where there is one. `with magic`: over the frame's magic too, which the format
 * does not want and clients of message format 0 did.
 */
export function setHeaderChecksum(frame: Buffer, how: 'right' | 'with magic'): void {
  const checksumAt = checksumPosition(frame[FLAGS_AT])
  if (checksumAt >= frame.length) return
  frame[checksumAt] = headerChecksum(frame, how === 'right' ? DESCRIPTOR_AT : 0, checksumAt)
}

const checksumPosition = (flags: number): number => (flags & FLAG_CONTENT_SIZE ? 14 : 6)

function headerChecksum(frame: Buffer, start: number, end: number): number {
  return (xxhash32(frame, start, end) >>> 8) & 0xff
}

function readLength(data: Buffer, at: number): number {
  if (at + 4 > data.length) throw corrupt('lz4: the frame is cut short')
  return data.readUInt32LE(at)
}

/**
 * `block` begins with the frame's length of it. The codec wants the output size there: it takes it as a limit and gives
 * what there is. So the length is replaced during the call, which spares a copy of every block.
 * null: the block is sound but larger than `allowedBytes`.
 */
function decompressBlock(block: Buffer, maxBlockBytes: number, allowedBytes: number): Buffer | null {
  const blockBytes = block.length - 4
  const room = Math.min(maxBlockBytes, blockBytes * MAX_GROWTH)
  const capacity = Math.min(room, allowedBytes)
  block.writeUInt32LE(capacity, 0)
  try {
    return loaded().uncompressSync(block)
  } catch (error) {
    if (error instanceof CompressionError) throw error
    if (capacity < room) return null
    throw corrupt(`lz4: ${(error as Error).message}`)
  } finally {
    block.writeUInt32LE(blockBytes, 0)
  }
}

function loaded(): Lz4Native {
  const library = native()
  if (library === null) throw new CompressionError('unavailable', 'lz4: no native code for this platform')
  return library
}
