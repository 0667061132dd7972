/** CRC-32 (IEEE), the checksum of messages of formats 0 and 1. */
import { builtIn } from './native-module.ts'

let zlib: typeof import('node:zlib') | null = null

/** CRC-32 of bytes [start, end), as an unsigned 32-bit number. */
export function crc32(bytes: Uint8Array, start: number, end: number): number {
  zlib ??= builtIn('node:zlib')
  return zlib.crc32(bytes.subarray(start, end))
}
