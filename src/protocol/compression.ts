/** The codecs of record batches, by the ids of the batch attributes (bits 0 to 2). Synchronous, each with an output limit. */
import { CompressionError, corrupt, tooLarge } from './compression-error.ts'
import { compressLz4, decompressLz4, type BlockSink } from './lz4-frame.ts'
import { builtIn } from './native-module.ts'
import { compressSnappy, decompressSnappy } from './snappy-stream.ts'
import { compressZstd, decompressZstd } from './zstd-frame.ts'

export { CompressionError } from './compression-error.ts'

export const Codec = { NONE: 0, GZIP: 1, SNAPPY: 2, LZ4: 3, ZSTD: 4 } as const
export type Codec = (typeof Codec)[keyof typeof Codec]

/** Names as in `compression.type`, indexed by codec id. */
export const codecNames = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

const GZIP_CHUNK_BYTES = 64 * 1024

/**
 * `level`: gzip -1 or 1 to 9, zstd -131072 to 22; each codec's default when left out. Snappy has none; LZ4's is accepted and
 * has no effect (the codec knows one). Throws CompressionError `unavailable` for an unknown codec or one that this machine
 * cannot run.
 */
export function compress(codec: number, data: Buffer, level?: number): Buffer {
  switch (codec) {
    case Codec.NONE:
      return data
    case Codec.GZIP:
      return builtIn('node:zlib').gzipSync(data, { level: level ?? -1, chunkSize: GZIP_CHUNK_BYTES })
    case Codec.SNAPPY:
      return compressSnappy(data)
    case Codec.LZ4:
      return compressLz4(data)
    case Codec.ZSTD:
      return compressZstd(data, level)
    default:
      throw unknownCodec(codec)
  }
}

/** Gives `data` itself for codec 0, else new bytes, never more than `maxOutputBytes`. Throws CompressionError. */
export function decompress(codec: number, data: Buffer, maxOutputBytes: number): Buffer {
  switch (codec) {
    case Codec.NONE:
      if (data.length > maxOutputBytes) throw tooLarge(maxOutputBytes)
      return data
    case Codec.GZIP:
      return decompressGzip(data, maxOutputBytes)
    case Codec.SNAPPY:
      return decompressSnappy(data, maxOutputBytes)
    case Codec.LZ4:
      return decompressLz4(data, maxOutputBytes)
    case Codec.ZSTD:
      return decompressZstd(data, maxOutputBytes)
    default:
      throw unknownCodec(codec)
  }
}

/** One buffer for output that is looked at and forgotten. */
class SharedOutput implements BlockSink {
  private buffer = Buffer.alloc(0)
  private filled = 0

  start(): this {
    this.filled = 0
    if (this.buffer.length > SHARED_OUTPUT_BYTES) this.buffer = Buffer.alloc(0)
    return this
  }

  add(block: Buffer): void {
    const wanted = this.filled + block.length
    if (wanted > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(2 * wanted, 256 * 1024))
      this.buffer.copy(larger, 0, 0, this.filled)
      this.buffer = larger
    }
    this.buffer.set(block, this.filled)
    this.filled = wanted
  }

  whole(): Buffer {
    return this.buffer.subarray(0, this.filled)
  }
}

/** What is kept of it between uses. */
const SHARED_OUTPUT_BYTES = 4 * 1024 * 1024
const sharedOutput = new SharedOutput()

/** As `decompress`, for bytes that are looked at at once: the result is only valid until the next call. */
export function decompressBriefly(codec: number, data: Buffer, maxOutputBytes: number): Buffer {
  if (codec === Codec.LZ4) return decompressLz4(data, maxOutputBytes, sharedOutput.start())
  return decompress(codec, data, maxOutputBytes)
}

function decompressGzip(data: Buffer, maxOutputBytes: number): Buffer {
  try {
    return builtIn('node:zlib').gunzipSync(data, {
      maxOutputLength: Math.max(1, maxOutputBytes),
      chunkSize: GZIP_CHUNK_BYTES,
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxOutputBytes)
    throw corrupt(`gzip: ${(error as Error).message}`)
  }
}

function unknownCodec(codec: number): CompressionError {
  return new CompressionError('unavailable', `compression codec ${codec} is not defined`)
}
