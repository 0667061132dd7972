import { describe, expect, it } from 'vitest'
import { DiskError } from '../../src/env/disk.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { LogDirError } from '../../src/log/log-dir-error.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import type { AppendOutcome, ReplicaLog } from '../../src/log/types.ts'
import { messageOf } from '../protocol/message-sets.ts'
import { append, batchOf, openLogs, readAll, START_MS, TOPIC_ID } from './log-fixture.ts'

const LOG = '/data/t-0/00000000000000000000.log'

function simDisk(): SimDisk {
  return new SimDisk({ random: new SeededRandom(1) })
}

describe('a full or failing disk', () => {
  it('fails the append with KAFKA_STORAGE_ERROR, serves reads, and takes appends again when there is room', () => {
    const disk = simDisk()
    const { log, logger } = openLogs({ disk })
    append(log(), 'first')
    disk.capacityBytes = disk.usedBytes() + 20
    expect(append(log(), 'second')).toMatchObject({ error: ErrorCode.KAFKA_STORAGE_ERROR })
    expect(log().logEndOffset).toBe(1)
    expect(log().writeFailed).toBe(false)
    expect(readAll(log()).length).toBe(disk.stat(LOG)!.size)
    expect(logger.lines.join()).toMatch(/append failed/)
    disk.capacityBytes = Infinity
    expect(append(log(), 'third')).toMatchObject({ error: 0, firstOffset: 1 })
  })

  it('stays usable when even the truncation after a torn write fails', () => {
    const disk = simDisk()
    const { log } = openLogs({ disk })
    append(log(), 'first')
    disk.failNext({ operation: 'write', code: 'NO_SPACE', bytesWritten: 30 })
    disk.failNext({ operation: 'truncate', code: 'NO_SPACE' })
    expect(append(log(), 'second')).toMatchObject({ error: ErrorCode.KAFKA_STORAGE_ERROR })
    expect(log().writeFailed).toBe(true)
    expect(readAll(log()).length).toBe(batchOf('first').length)
    expect(append(log(), 'third')).toMatchObject({ error: 0, firstOffset: 1 })
    expect(log().writeFailed).toBe(false)
  })

  it('fails the first append of a partition when its directory cannot be made', () => {
    const disk = simDisk()
    const { log } = openLogs({ disk })
    disk.failNext({ operation: 'makeDirectory', code: 'NO_SPACE' })
    expect(append(log(), 'v')).toMatchObject({ error: ErrorCode.KAFKA_STORAGE_ERROR })
    expect(append(log(), 'v')).toMatchObject({ error: 0, firstOffset: 0 })
  })
})

describe('a topic id whose file is lost', () => {
  const METADATA = '/data/t-0/partition.metadata'

  async function withoutFile(): Promise<SimDisk> {
    const disk = simDisk()
    const { manager, log } = openLogs({ disk })
    append(log(), 'first')
    await manager.stop()
    disk.remove(METADATA)
    return disk
  }

  it('is told again, and written when there is room for it', async () => {
    const disk = await withoutFile()
    const { manager, log } = openLogs({ disk })
    disk.capacityBytes = disk.usedBytes()
    expect(log().topicId).toBe(TOPIC_ID)
    expect(append(log(), 'second')).toMatchObject({ error: ErrorCode.KAFKA_STORAGE_ERROR })
    expect(disk.stat(METADATA)).toBeNull()
    disk.capacityBytes = Infinity
    expect(append(log(), 'third')).toMatchObject({ error: 0, firstOffset: 1 })
    await manager.stop()
    expect(disk.readFile(METADATA).toString()).toContain(TOPIC_ID)
  })

  it('keeps the log from being opened where it cannot be written for another reason', async () => {
    const disk = await withoutFile()
    const { log } = openLogs({ disk })
    disk.failNext({ operation: 'write', code: 'IO' })
    expect(() => log()).toThrow(DiskError)
  })
})

describe('recovery', () => {
  it('cuts a torn tail and loses nothing before it', () => {
    const disk = simDisk()
    const first = openLogs({ disk })
    for (let i = 0; i < 5; i++) append(first.log(), `v${i}`)
    const { size } = disk.stat(LOG)!
    disk.kill()
    disk.open(LOG, 'write').truncate(size - 3)
    const second = openLogs({ disk })
    expect(second.log().logEndOffset).toBe(4)
    expect(second.logger.lines).toHaveLength(1)
    expect(second.logger.lines[0]).toMatch(/log is cut/)
  })

  it('cuts at a corrupt batch in the middle, with the segments after it', () => {
    const disk = simDisk()
    const config = { segmentBytes: 250 }
    const first = openLogs({ disk, config })
    for (let i = 0; i < 9; i++) append(first.log(), `v${i}`)
    disk.kill()
    disk.corrupt(LOG, batchOf('v0').length + 65, (byte) => byte ^ 1)
    const { log, logger } = openLogs({ disk, config })
    expect(log().logEndOffset).toBe(1)
    expect(logger.lines[0]).toMatch(/log is cut.*crc/)
    expect(append(log(), 'new')).toMatchObject({ firstOffset: 1 })
    expect(disk.list('/data/t-0').filter((name) => name.endsWith('.log'))).toEqual([
      '00000000000000000000.log',
    ])
  })

  it('refuses to cut messages of format 1 behind batches, where no broker writes them', () => {
    const disk = simDisk()
    const first = openLogs({ disk })
    append(first.log(), 'a batch')
    disk.kill()
    const later = '/data/t-0/00000000000000000001.log'
    disk.open(later, 'write').write([messageOf({ offset: 1 })], 0)
    expect(() => openLogs({ disk })).toThrow(/holds message format 1/)
  })
})

describe('validation on append', () => {
  const log = (): ReplicaLog =>
    openLogs({ disk: simDisk(), config: { maxMessageBytes: 500, cleanupPolicy: ['compact'] } }).log()
  const appended = (records: Buffer): AppendOutcome =>
    log().appendAsLeader(records, { leaderEpoch: 0, origin: 'client' })

  it('wants exactly one batch', () => {
    expect(appended(Buffer.alloc(0))).toMatchObject({ error: ErrorCode.INVALID_RECORD })
    expect(appended(Buffer.concat([batchOf('a'), batchOf('b')]))).toMatchObject({
      error: ErrorCode.INVALID_RECORD,
    })
  })

  it('wants an intact batch of an allowed size', () => {
    const corrupt = batchOf('abc')
    corrupt[corrupt.length - 2] ^= 1
    expect(appended(corrupt)).toMatchObject({ error: ErrorCode.CORRUPT_MESSAGE })
    expect(appended(batchOf('x'.repeat(600)))).toMatchObject({ error: ErrorCode.MESSAGE_TOO_LARGE })
    const moved = batchOf('abc')
    moved[7] = 5
    expect(appended(moved)).toMatchObject({ error: ErrorCode.INVALID_RECORD })
  })

  it('wants keys on a compacted topic and names the records without', () => {
    expect(appended(batchOf({ values: ['a', 'b'], key: null }))).toMatchObject({
      error: ErrorCode.INVALID_RECORD,
      recordErrors: [{ batchIndex: 0 }, { batchIndex: 1 }],
    })
  })

  it('refuses timestamps out of range, and sets them where the topic says LogAppendTime', () => {
    const strict = openLogs({ disk: simDisk(), config: { messageTimestampBeforeMaxMs: 1000 } }).log()
    expect(append(strict, { values: ['a'], timestampMs: START_MS - 5000 })).toMatchObject({
      error: ErrorCode.INVALID_TIMESTAMP,
    })
    const stamped = openLogs({ disk: simDisk(), config: { messageTimestampType: 'LogAppendTime' } }).log()
    expect(append(stamped, { values: ['a', 'b'], timestampMs: 5 })).toMatchObject({
      logAppendTimeMs: START_MS,
    })
    expect(stamped.offsetForTimestamp(START_MS)).toMatchObject({ offset: 0, timestampMs: START_MS })
  })

  it('recompresses where the topic names a codec', () => {
    const zipped = openLogs({ disk: simDisk(), config: { compressionType: 'gzip' } }).log()
    expect(append(zipped, 'x'.repeat(1000))).toMatchObject({ error: 0 })
    expect(readAll(zipped).length).toBeLessThan(200)
  })
})

describe('a log directory', () => {
  const refusal = (prepare: (disk: SimDisk) => void): LogDirError => {
    const disk = simDisk()
    disk.makeDirectory('/data')
    prepare(disk)
    try {
      openLogs({ disk })
    } catch (error) {
      if (error instanceof LogDirError) return error
      throw error
    }
    throw new Error('it was taken')
  }
  const meta =
    (text: string) =>
    (disk: SimDisk): void =>
      disk.replaceFile('/data/meta.properties', text)

  const refusals: [string, (disk: SimDisk) => void][] = [
    ['FOREIGN_DIRECTORY', (disk: SimDisk) => disk.makeDirectory('/data/photos')],
    ['FOREIGN_CLUSTER', meta('version=0\nbroker.id=1\ncluster.id=other\n')],
    ['FOREIGN_BROKER', meta('version=0\nbroker.id=2\ncluster.id=test-cluster\n')],
    ['FOREIGN_BROKER', meta('version=1\nnode.id=4\ncluster.id=test-cluster\n')],
    ['FOREIGN_FORMAT', meta('version=7\n')],
    ['LOCKED', (disk: SimDisk) => void disk.lock('/data/.lock')],
    ['NOT_WRITABLE', (disk: SimDisk) => disk.failNext({ operation: 'open', code: 'NOT_PERMITTED' })],
  ]
  it.each(refusals)('is refused as %s with one line', (code, prepare) => {
    const error = refusal(prepare)
    expect(error.code).toBe(code)
    expect(error.message).toMatch(/^\/data[^\n]*$/)
  })
})
