/** The replicas of a partition, compared byte by byte in the files of all brokers. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The bytes of all segments, one after the other: where a replica begins a new one is its own affair. */
export function readReplica(logDir: string, topic: string, partition: number): Buffer {
  const directory = join(logDir, `${topic}-${partition}`)
  if (!existsSync(directory)) return Buffer.alloc(0)
  const segments = readdirSync(directory).filter((name) => /^\d{20}\.log$/.test(name))
  return Buffer.concat(segments.sort().map((name) => readFileSync(join(directory, name))))
}

/** Bytes of a log up to the first batch at or above an offset; the whole of it without one. */
export function bytesBelow(log: Buffer, endOffset: number): number {
  let position = 0
  while (position + 12 <= log.length) {
    const baseOffset = Number(log.readBigInt64BE(position))
    if (baseOffset >= endOffset) break
    position += 12 + log.readInt32BE(position + 8)
  }
  return Math.min(position, log.length)
}

/** The offset behind the last whole batch. */
export function endOffsetOf(log: Buffer): number {
  let end = 0
  for (let position = 0; position + 61 <= log.length;) {
    const next = position + 12 + log.readInt32BE(position + 8)
    if (next > log.length) break
    end = Number(log.readBigInt64BE(position)) + log.readInt32BE(position + 23) + 1
    position = next
  }
  return end
}

/**
 * How the replicas differ below an offset (the high watermark); null where they do not. A replica that lacks bytes there
 * differs.
 */
export function differenceBelow(logs: ReadonlyMap<number, Buffer>, endOffset: number): string | null {
  const [[firstId, first], ...others] = [...logs]
  const length = bytesBelow(first, endOffset)
  if (endOffsetOf(first.subarray(0, length)) < endOffset) {
    return `broker ${firstId} ends at ${endOffsetOf(first)}, below ${endOffset}`
  }
  for (const [brokerId, log] of others) {
    const own = bytesBelow(log, endOffset)
    if (own === length && log.subarray(0, own).equals(first.subarray(0, length))) continue
    let position = 0
    while (position < Math.min(own, length) && log[position] === first[position]) position++
    const at = endOffsetOf(first.subarray(0, position))
    return `brokers ${firstId} and ${brokerId} differ from byte ${position} (offset ${at}): ${length} and ${own} bytes below ${endOffset}`
  }
  return null
}
