import { describe, expect, it } from 'vitest'
import { DiskError, type Disk, type DiskFile } from '../../src/env/disk.ts'
import { buildBatch } from '../../src/protocol/record-batch.ts'
import { ReadBuffers } from '../../src/log/read-buffers.ts'
import { LineLogger } from './log-fixture.ts'
import { ResidentSegments } from '../../src/log/resident-segments.ts'
import { Segment } from '../../src/log/segment.ts'

const MAX_SEGMENTS = 512
const MAX_INDEX_BYTES = 64 * 1024 * 1024

const batchAt = (offset: number): Buffer =>
  buildBatch({ baseOffset: offset, records: [{ timestampMs: offset, key: null, value: null }] })

/** A disk on which every segment has the same batches and indexes of `entries` entries. Counts what is open. */
class SameSegments {
  open = 0
  mostOpen = 0
  readonly disk: Disk
  readonly #files: Record<string, Buffer>

  constructor(entries: number) {
    const batches = Array.from({ length: entries + 1 }, (_, offset) => batchAt(offset))
    const index = Buffer.alloc(8 * entries)
    const timeIndex = Buffer.alloc(12 * entries)
    for (let entry = 0; entry < entries; entry++) {
      index.writeInt32BE(entry + 1, 8 * entry)
      index.writeInt32BE((entry + 1) * batches[0].length, 8 * entry + 4)
      timeIndex.writeInt32BE(entry + 1, 12 * entry + 4)
      timeIndex.writeInt32BE(entry + 1, 12 * entry + 8)
    }
    this.#files = { log: Buffer.concat(batches), index, timeindex: timeIndex }
    const part = {
      open: (path: string) => this.#openFile(path),
      readFile: (path: string) => this.#content(path),
      stat: (path: string) => ({ size: this.#content(path).length, modifiedMs: 0, isDirectory: false }),
    }
    this.disk = part as unknown as Disk
  }

  #content(path: string): Buffer {
    const found = this.#files[path.slice(path.lastIndexOf('.') + 1)]
    if (found === undefined) throw new DiskError('NOT_FOUND', path, path)
    return found
  }

  #openFile(path: string): DiskFile {
    const content = this.#content(path)
    this.mostOpen = Math.max(this.mostOpen, ++this.open)
    const part = {
      read: (target: Buffer, offset: number, length: number, position: number) =>
        content.copy(target, offset, position, position + length),
      size: () => content.length,
      close: () => void this.open--,
    }
    return part as unknown as DiskFile
  }
}

/** Looks into every segment in two ways; gives the most that was in memory and open at once. */
function lookInto(count: number, entries: number) {
  const world = new SameSegments(entries)
  const residents = new ResidentSegments({ maxSegments: MAX_SEGMENTS, maxIndexBytes: MAX_INDEX_BYTES })
  const host = { disk: world.disk, logger: new LineLogger(), buffers: new ReadBuffers(), residents }
  const segments = Array.from({ length: count }, (_, number) => {
    const segment = new Segment(host, `/data/t-${number}`, 0, { createdMs: 0, isNew: false })
    segment.isActive = false
    return segment
  })
  const inMemory = () => segments.reduce((sum, { indexMemoryBytes }) => sum + indexMemoryBytes, 0)
  let mostBytes = 0
  for (const [number, segment] of segments.entries()) {
    if (number % 2 === 0)
      segment
        .read(segment.baseOffset, { maxBytes: 1, upperBoundOffset: Infinity, minOneBatch: true })
        ?.release()
    else segment.timeIndex.lookup(5)
    if (number % 97 === 0) mostBytes = Math.max(mostBytes, inMemory())
  }
  return {
    mostBytes: Math.max(mostBytes, inMemory()),
    mostOpen: world.mostOpen,
    one: segments.at(-1)!.indexMemoryBytes,
  }
}

describe('segments that have all been looked into', () => {
  it('ten thousand of them, have the files and the indexes of 512 open', () => {
    const { mostBytes, mostOpen, one } = lookInto(10_000, 300)
    expect(one).toBe(20 * 300)
    expect(mostBytes).toBeLessThanOrEqual(MAX_SEGMENTS * one)
    expect(mostOpen).toBeLessThanOrEqual(MAX_SEGMENTS + 1)
    expect(mostOpen).toBeGreaterThan(200)
  })

  it('keep 64 MiB of indexes, however large these are, whether the file or an index was asked for first', () => {
    const { mostBytes, one } = lookInto(400, 20_000)
    expect(400 * one).toBeGreaterThan(2 * MAX_INDEX_BYTES)
    expect(mostBytes).toBeLessThanOrEqual(MAX_INDEX_BYTES)
    expect(mostBytes).toBeGreaterThan(MAX_INDEX_BYTES - 2 * one)
  })
})
