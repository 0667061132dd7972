/** The comparison of replicas: a difference anywhere below the high watermark is found. */
import { describe, expect, test } from 'vitest'
import { bytesBelow, differenceBelow, endOffsetOf } from './replica-files.ts'

const RECORDS_PER_BATCH = 2

function batch(baseOffset: number, fill: number): Buffer {
  const bytes = Buffer.alloc(61 + 10, fill)
  bytes.writeBigInt64BE(BigInt(baseOffset), 0)
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes.writeInt32BE(RECORDS_PER_BATCH - 1, 23)
  return bytes
}

const log = Buffer.concat([batch(0, 1), batch(2, 2), batch(4, 3)])
const replicas = (...logs: Buffer[]): Map<number, Buffer> => new Map(logs.map((each, i) => [i + 1, each]))

describe('replicas compared', () => {
  test('positions and offsets are those of whole batches', () => {
    expect(bytesBelow(log, 4)).toBe(2 * 71)
    expect(bytesBelow(log, 100)).toBe(log.length)
    expect(endOffsetOf(log)).toBe(6)
    expect(endOffsetOf(log.subarray(0, 200))).toBe(4)
    expect(endOffsetOf(Buffer.alloc(0))).toBe(0)
  })

  test('equal ones have no difference, and what is above the high watermark does not count', () => {
    const other = Buffer.concat([log.subarray(0, 142), batch(4, 9)])
    expect(differenceBelow(replicas(log, log, log), 6)).toBeNull()
    expect(differenceBelow(replicas(log, other, log.subarray(0, 142)), 4)).toBeNull()
  })

  test('another byte is found, in any of them', () => {
    for (const position of [0, 100, log.length - 1]) {
      const other = Buffer.from(log)
      other[position] ^= 1
      expect(differenceBelow(replicas(log, log, other), 6)).toContain('brokers 1 and 3')
      expect(differenceBelow(replicas(other, log, log), 6)).not.toBeNull()
    }
  })

  test('a replica that lacks the end is found, be it the first', () => {
    const short = log.subarray(0, 142)
    expect(differenceBelow(replicas(log, short), 6)).toContain('213 and 142 bytes')
    expect(differenceBelow(replicas(short, log), 6)).toContain('ends at 4')
    expect(differenceBelow(replicas(Buffer.alloc(0), Buffer.alloc(0)), 6)).not.toBeNull()
  })
})
