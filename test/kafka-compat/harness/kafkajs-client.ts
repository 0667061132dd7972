import { promisify } from 'node:util'
import './kafkajs-cure.ts'
import * as zlib from 'node:zlib'
import kafkajs from 'kafkajs'
import type { Kafka, KafkaConfig, RetryOptions } from 'kafkajs'
import { compressFrame, decompressFrame } from 'lz4-napi'
import { compress as snappyCompress, uncompress as snappyUncompress } from '@napi-rs/snappy'

const { CompressionCodecs, CompressionTypes, logLevel } = kafkajs

export const codecs = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
} as const

export type CodecName = keyof typeof codecs
export const codecNames = Object.keys(codecs) as CodecName[]

/** What kafkajs hands a codec on the way out: it wants the compressed bytes. */
interface Encoded {
  buffer: Buffer
}

const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16
const XERIAL_BLOCK_BYTES = 32 * 1024

/** Snappy as Java clients write it: a header, then blocks, each behind its length. */
async function encodeXerial(plain: Buffer): Promise<Buffer> {
  const header = Buffer.alloc(XERIAL_HEADER_BYTES)
  xerialMagic.copy(header)
  header.writeInt32BE(1, 8)
  header.writeInt32BE(1, 12)
  const parts: Buffer[] = [header]
  for (let start = 0; start < plain.length; start += XERIAL_BLOCK_BYTES) {
    const block = await snappyCompress(plain.subarray(start, start + XERIAL_BLOCK_BYTES))
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

/** Snappy as any client writes it: framed (Java) or one raw block (librdkafka). */
async function decodeXerial(data: Buffer): Promise<Buffer> {
  if (!data.subarray(0, xerialMagic.length).equals(xerialMagic)) return uncompressBlock(data)
  const parts: Buffer[] = []
  for (let position = XERIAL_HEADER_BYTES; position < data.length;) {
    const length = data.readInt32BE(position)
    parts.push(await uncompressBlock(data.subarray(position + 4, position + 4 + length)))
    position += 4 + length
  }
  return Buffer.concat(parts)
}

async function uncompressBlock(block: Buffer): Promise<Buffer> {
  return (await snappyUncompress(block, { asBuffer: true, copyOutputData: true })) as Buffer
}

// kafkajs brings gzip; the others are for its user to register, as its documentation says.
CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: ({ buffer }: Encoded) => encodeXerial(buffer),
  decompress: decodeXerial,
})
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: ({ buffer }: Encoded) => compressFrame(buffer),
  decompress: (data: Buffer) => decompressFrame(data),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async ({ buffer }: Encoded) => (await zstd).compress(buffer),
  decompress: async (data: Buffer) => (await zstd).decompress(data),
})

interface Zstd {
  compress(plain: Buffer): Promise<Buffer>
  decompress(data: Buffer): Promise<Buffer>
}

const zstd = loadZstd()

/** Node has zstd of its own since 22; before that it is the package our broker uses too. */
async function loadZstd(): Promise<Zstd> {
  const own = zlib as unknown as Record<string, never>
  if ('zstdCompress' in own) {
    return { compress: promisify(own.zstdCompress), decompress: promisify(own.zstdDecompress) }
  }
  const { Encoder, Decoder } = await import('@toondepauw/node-zstd')
  return {
    compress: (plain) => new Encoder(3).encode(plain),
    decompress: (data) => new Decoder().decode(data),
  }
}

/** Enough tries to live through a broker that is killed and started again. */
export const patient: RetryOptions = { initialRetryTime: 50, maxRetryTime: 500, retries: 200 }

/** A kafkajs client that says nothing; retries are short, so that a refusal shows soon. */
export function kafkajsClient(bootstrap: string, config: Partial<KafkaConfig> = {}): Kafka {
  return new kafkajs.Kafka({
    clientId: 'odradek-compat',
    brokers: bootstrap.split(','),
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 30, maxRetryTime: 300, retries: 12 },
    ...config,
  })
}
