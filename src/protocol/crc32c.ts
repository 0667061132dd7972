/** CRC-32C (Castagnoli), the checksum of record batches of magic 2. */
import { lazyNative } from './native-module.ts'

interface CrcNative {
  crc32c(input: Uint8Array, initial?: number): number
}

const native = lazyNative<CrcNative>('@node-rs/crc32')

/** Below this the call into native code costs more than slicing-by-8 here (measured: 138 ns against 58 at 64 bytes). */
const SMALL_BYTES = 200

const tables = makeTables()

function makeTables(): Int32Array {
  const result = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    result[byte] = crc
  }
  for (let slice = 1; slice < 8; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const previous = result[(slice - 1) * 256 + byte]
      result[slice * 256 + byte] = (previous >>> 8) ^ result[previous & 0xff]
    }
  }
  return result
}

/**
 * Loading the native code takes 10 ms, which a start-up on a small directory can do without: it is worth it for one piece
 * of this size, or for as much in small ones as recovery reads.
 */
const WORTH_LOADING_BYTES = 64 * 1024
const WORTH_LOADING_BYTES_IN_ALL = 1024 * 1024
let bytesWithout = 0
let isLoaded = false

/** CRC-32C of bytes [start, end), as an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  if (!isLoaded) isLoaded = isWorthLoading(end - start)
  if (isLoaded && end - start >= SMALL_BYTES) {
    const library = native()
    if (library !== null) return library.crc32c(bytes.subarray(start, end)) >>> 0
  }
  return crc32cInJavaScript(bytes, start, end)
}

function isWorthLoading(length: number): boolean {
  bytesWithout += length
  return length >= WORTH_LOADING_BYTES || bytesWithout >= WORTH_LOADING_BYTES_IN_ALL
}

/** The same without native code; exported for the test that compares the two. */
export function crc32cInJavaScript(bytes: Uint8Array, start: number, end: number): number {
  let crc = -1
  let at = start
  for (; at + 8 <= end; at += 8) {
    const low = crc ^ (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24))
    crc =
      tables[1792 + (low & 0xff)] ^
      tables[1536 + ((low >>> 8) & 0xff)] ^
      tables[1280 + ((low >>> 16) & 0xff)] ^
      tables[1024 + (low >>> 24)] ^
      tables[768 + bytes[at + 4]] ^
      tables[512 + bytes[at + 5]] ^
      tables[256 + bytes[at + 6]] ^
      tables[bytes[at + 7]]
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[at]) & 0xff]
  return ~crc >>> 0
}

/** Loads the native code now, so that the first large batch does not wait for it. */
export function warmUpCrc32c(): void {
  isLoaded = true
  native()
}
