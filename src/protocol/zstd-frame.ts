/**
 * Zstd through node:zlib where this Node has it, else through an optional native package whose decoder has no output limit.
 * So the limit is ours: frames and blocks are walked first, and no more blocks are handed over than could fill it.
 */
import { CompressionError, corrupt, tooLarge } from './compression-error.ts'
import { builtIn, lazyNative } from './native-module.ts'

interface ZstdPackage {
  Encoder: new (level: number) => { encodeSync(data: Buffer): Buffer }
  Decoder: new () => { decodeSync(data: Buffer): Buffer }
}

interface ZstdOptions {
  maxOutputLength?: number
  params?: { [parameter: number]: number }
}

/** The part of node:zlib that Node 20 has not. */
interface ZlibWithZstd {
  zstdCompressSync?: (data: Buffer, options: ZstdOptions) => Buffer
  zstdDecompressSync?: (data: Buffer, options: ZstdOptions) => Buffer
}

const zlib = (): ZlibWithZstd => builtIn('node:zlib') as unknown as ZlibWithZstd
const optionalPackage = lazyNative<ZstdPackage>('@toondepauw/node-zstd')

const FRAME_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const COMPRESSION_LEVEL_PARAMETER = 100
const DEFAULT_LEVEL = 3
const MAX_BLOCK_BYTES = 128 * 1024
const BLOCK_RAW = 0
const BLOCK_RLE = 1
const BLOCK_RESERVED = 3
/** Frames of very many small blocks are decoded prefix by prefix; after so many prefixes they are refused. */
const MAX_PREFIXES = 16
/** What a prefix may hold beyond the limit before it is noticed. */
const OVERSHOOT_BYTES = 8 * 1024 * 1024

export function compressZstd(data: Buffer, level: number = DEFAULT_LEVEL): Buffer {
  const { zstdCompressSync } = zlib()
  if (zstdCompressSync) {
    return zstdCompressSync(data, { params: { [COMPRESSION_LEVEL_PARAMETER]: level } })
  }
  return new (loaded().Encoder)(level).encodeSync(data)
}

export function decompressZstd(data: Buffer, maxOutputBytes: number): Buffer {
  const parts: Buffer[] = []
  let produced = 0
  let at = 0
  while (at < data.length) {
    const frame = walkFrame(data, at)
    if (!frame.skippable) {
      const part = decodeFrame(frame, maxOutputBytes - produced)
      if (part === null) throw tooLarge(maxOutputBytes)
      if (frame.contentBytes !== null && part.length !== frame.contentBytes) {
        throw corrupt(`zstd: the frame declares ${frame.contentBytes} bytes and holds ${part.length}`)
      }
      produced += part.length
      parts.push(part)
    }
    at += frame.bytes.length
  }
  if (parts.length === 0) throw corrupt('zstd: no frame')
  return parts.length === 1 ? parts[0] : Buffer.concat(parts, produced)
}

interface Frame {
  bytes: Buffer
  skippable: boolean
  /** As the frame header declares it; null when it does not. */
  contentBytes: number | null
  /** The most bytes one compressed block may hold. */
  maxBlockBytes: number
  hasChecksum: boolean
  /** Where each block's 3-byte header is, within `bytes`. */
  blocks: number[]
}

/** The frame at `at`, found by its block lengths alone. Throws where the structure is damaged or cut short. */
function walkFrame(data: Buffer, at: number): Frame {
  if (data.length - at < 8) throw corrupt('zstd: the frame is cut short')
  const magic = data.readUInt32LE(at)
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) return skippableFrame(data, at)
  if (magic !== FRAME_MAGIC) throw corrupt('zstd: not a frame')
  const descriptor = data[at + 4]
  if (descriptor & 0x08) throw corrupt('zstd: a reserved bit is set')
  if (descriptor & 0x03) throw corrupt('zstd: dictionaries are not supported')
  const header = readFrameHeader(data, at + 5, descriptor)
  const hasChecksum = (descriptor & 0x04) !== 0
  const blocks: number[] = []
  let position = header.endsAt
  for (let last = false; !last;) {
    if (position + 3 > data.length) throw corrupt('zstd: the frame is cut short')
    const block = data[position] | (data[position + 1] << 8) | (data[position + 2] << 16)
    const type = (block >> 1) & 3
    if (type === BLOCK_RESERVED) throw corrupt('zstd: a block is of a reserved type')
    if (block >> 3 > header.maxBlockBytes)
      throw corrupt(`zstd: block of ${block >> 3} bytes passes the limit`)
    blocks.push(position - at)
    position += 3 + (type === BLOCK_RLE ? 1 : block >> 3)
    last = (block & 1) === 1
  }
  if (hasChecksum) position += 4
  if (position > data.length) throw corrupt('zstd: the frame is cut short')
  const { contentBytes, maxBlockBytes } = header
  return {
    bytes: data.subarray(at, position),
    skippable: false,
    contentBytes,
    maxBlockBytes,
    hasChecksum,
    blocks,
  }
}

function skippableFrame(data: Buffer, at: number): Frame {
  const end = at + 8 + data.readUInt32LE(at + 4)
  if (end > data.length) throw corrupt('zstd: a skippable frame is cut short')
  return {
    bytes: data.subarray(at, end),
    skippable: true,
    contentBytes: null,
    maxBlockBytes: 0,
    hasChecksum: false,
    blocks: [],
  }
}

/** Window descriptor and content size, from `at` (just behind the descriptor byte). */
function readFrameHeader(data: Buffer, at: number, descriptor: number) {
  const singleSegment = (descriptor & 0x20) !== 0
  const sizeCode = descriptor >> 6
  const sizeBytes = sizeCode === 0 ? (singleSegment ? 1 : 0) : 2 ** sizeCode
  const sizeAt = singleSegment ? at : at + 1
  const endsAt = sizeAt + sizeBytes
  if (endsAt > data.length) throw corrupt('zstd: the frame header is cut short')
  let contentBytes: number | null = null
  if (sizeBytes > 0) {
    contentBytes = sizeBytes === 2 ? 256 : 0
    for (let index = 0; index < sizeBytes; index++) contentBytes += data[sizeAt + index] * 2 ** (8 * index)
  }
  let windowBytes = contentBytes ?? 0
  if (!singleSegment) {
    const base = 2 ** (10 + (data[at] >> 3))
    windowBytes = base + (base / 8) * (data[at] & 7)
  }
  return { endsAt, contentBytes, maxBlockBytes: Math.min(windowBytes, MAX_BLOCK_BYTES) }
}

/** null: the frame is sound so far but holds more than `allowedBytes`. */
function decodeFrame(frame: Frame, allowedBytes: number): Buffer | null {
  if (frame.contentBytes !== null && frame.contentBytes > allowedBytes) return null
  let blockCount = 0
  let produced = 0
  for (let prefixes = 0; prefixes < MAX_PREFIXES; prefixes++) {
    for (let bound = produced; blockCount < frame.blocks.length; blockCount++) {
      bound += blockBound(frame, blockCount)
      if (bound > allowedBytes + OVERSHOOT_BYTES) break
    }
    const whole = blockCount === frame.blocks.length
    const decoded = decodeNatively(whole ? frame.bytes : framePrefix(frame, blockCount), allowedBytes)
    if (decoded === null || decoded.length > allowedBytes) return null
    if (whole) return decoded
    produced = decoded.length
  }
  return null
}

/** The most bytes that block number `index` can decompress to; exact for raw and run-length blocks. */
function blockBound(frame: Frame, index: number): number {
  const at = frame.blocks[index]
  const block = frame.bytes[at] | (frame.bytes[at + 1] << 8) | (frame.bytes[at + 2] << 16)
  const type = (block >> 1) & 3
  return type === BLOCK_RAW || type === BLOCK_RLE ? block >> 3 : frame.maxBlockBytes
}

/** A frame of the first `blockCount` blocks, without content size and checksum, which would no longer be true. */
function framePrefix(frame: Frame, blockCount: number): Buffer {
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0])
  const windowLog = Math.max(17, Math.ceil(Math.log2(prefixWindowBytes(frame))))
  header[5] = (windowLog - 10) << 3
  const body = Buffer.from(frame.bytes.subarray(frame.blocks[0], frame.blocks[blockCount]))
  body[frame.blocks[blockCount - 1] - frame.blocks[0]] |= 1
  return Buffer.concat([header, body])
}

function prefixWindowBytes(frame: Frame): number {
  const singleSegment = (frame.bytes[4] & 0x20) !== 0
  if (singleSegment) return frame.contentBytes ?? MAX_BLOCK_BYTES
  const base = 2 ** (10 + (frame.bytes[5] >> 3))
  return base + (base / 8) * (frame.bytes[5] & 7)
}

/** null: the output passes `allowedBytes` (only the built-in codec notices before it is all there). */
function decodeNatively(frame: Buffer, allowedBytes: number): Buffer | null {
  const { zstdDecompressSync } = zlib()
  try {
    if (zstdDecompressSync) {
      return zstdDecompressSync(frame, { maxOutputLength: Math.max(1, allowedBytes) })
    }
    return new (loaded().Decoder)().decodeSync(frame)
  } catch (error) {
    if (error instanceof CompressionError) throw error
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return null
    throw corrupt(`zstd: ${(error as Error).message}`)
  }
}

function loaded(): ZstdPackage {
  const library = optionalPackage()
  if (library === null) {
    throw new CompressionError(
      'unavailable',
      'zstd needs Node 22.15 or later, or the optional package @toondepauw/node-zstd',
    )
  }
  return library
}
