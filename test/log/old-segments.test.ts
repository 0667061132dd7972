/** Directories that an older Kafka wrote: segments of message formats 0 and 1, and segments in which batches follow them. */
import { describe, expect, test } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import * as rb from '../../src/protocol/record-batch.ts'
import { messageOf, messageSet, type OldRecord } from '../protocol/message-sets.ts'
import { batchOf, openLogs, readAll, START_MS } from './log-fixture.ts'

const DIRECTORY = '/data/t-0'
const CLEAN_MARKER = '/data/.kafka_cleanshutdown'
const name = (base: number): string => `${DIRECTORY}/${String(base).padStart(20, '0')}.log`

const record = (value: string, timestampMs = START_MS): OldRecord => ({
  timestampMs,
  key: Buffer.from('k'),
  value: Buffer.from(value),
})

function batchAt(baseOffset: number, value: string): Buffer {
  const batch = batchOf({ values: [value] })
  rb.setBaseOffset(batch, 0, baseOffset)
  rb.setPartitionLeaderEpoch(batch, 0, 5)
  return batch
}

/** Offsets 0-2 (format 0), 3-7 without 5 (format 1), 8-10; then a batch at 11 in the same segment, and at 12 in the next. */
const segments: [number, Buffer[]][] = [
  [
    0,
    [
      messageSet(0, [record('a')]),
      messageSet(0, [record('b'), record('c')], { codec: rb.Codec.LZ4, firstOffset: 1 }),
    ],
  ],
  [
    3,
    [
      messageSet(1, [record('d'), record('e', START_MS + 5)], { firstOffset: 3 }),
      messageSet(1, [record('g'), record('h')], { codec: rb.Codec.SNAPPY, firstOffset: 6 }),
    ],
  ],
  [
    8,
    [
      messageOf({ offset: 8, ...record('i'), timestampMs: START_MS + 8, timestampType: rb.LOG_APPEND_TIME }),
      messageSet(1, [record('j'), record('k')], {
        codec: rb.Codec.GZIP,
        firstOffset: 9,
        wrapper: { timestampType: rb.LOG_APPEND_TIME, timestampMs: START_MS + 9 },
      }),
      batchAt(11, 'l'),
    ],
  ],
  [12, [batchAt(12, 'm')]],
]

const values = ['a', 'b', 'c', 'd', 'e', 'g', 'h', 'i', 'j', 'k', 'l', 'm']
const offsets = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]
const times = [-1, -1, -1, 0, 5, 0, 0, 8, 9, 9, 0, 0].map((delta) => (delta < 0 ? -1 : START_MS + delta))
const codecs = [0, 3, 0, 2, 0, 1, 0, 0]

function write(disk: SimDisk, path: string, bytes: Buffer): void {
  const file = disk.open(path, 'write')
  file.write([bytes], 0)
  file.syncNow()
  file.close()
}

function oldDirectory({ clean }: { clean: boolean }): SimDisk {
  const disk = new SimDisk({ random: new SeededRandom(3) })
  disk.makeDirectory('/data')
  disk.makeDirectory(DIRECTORY)
  for (const [base, parts] of segments) {
    write(disk, name(base), Buffer.concat(parts))
    write(disk, name(base).replace('.log', '.index'), Buffer.alloc(0))
    disk.setModifiedTime(name(base), 1000 + base)
  }
  write(disk, '/data/meta.properties', Buffer.from('version=0\nbroker.id=1\ncluster.id=test-cluster\n'))
  if (clean) write(disk, CLEAN_MARKER, Buffer.from('{"version":0,"brokerEpoch":-1}'))
  for (const directory of ['/', '/data', DIRECTORY]) disk.syncDirectory(directory)
  return disk
}

function recordsIn(disk: SimDisk): rb.Record[] {
  const { log } = openLogs({ disk })
  const bytes = readAll(log())
  const records: rb.Record[] = []
  for (let at = 0; at < bytes.length; at += rb.batchSize(bytes, at)) {
    expect(rb.checkBatch(bytes, at, bytes.length - at)).toBeNull()
    records.push(...rb.decodeRecords(bytes, at))
  }
  return records
}

function expectAll(records: readonly rb.Record[]): void {
  expect(records.map(({ value }) => String(value))).toEqual(values)
  expect(records.map(({ offset }) => offset)).toEqual(offsets)
  expect(records.map(({ timestampMs }) => timestampMs)).toEqual(times)
  expect(records.every(({ key }) => String(key) === 'k')).toBe(true)
}

describe.each([
  ['a clean stop', true],
  ['a kill', false],
])('after %s', (_name, clean) => {
  test('old segments are served with their offsets, keys, times and codecs', () => {
    const disk = oldDirectory({ clean })
    expectAll(recordsIn(disk))
    disk.kill()
    const { log } = openLogs({ disk })
    const bytes = readAll(log())
    const kept: number[] = []
    for (let at = 0; at < bytes.length; at += rb.batchSize(bytes, at)) {
      kept.push(rb.codecOf(rb.attributes(bytes, at)))
    }
    expect(kept).toEqual(codecs)
    expect(disk.stat(name(0))!.modifiedMs).toBe(1000)
    expect(log().offsetForTimestamp(START_MS + 5)).toMatchObject({ offset: 4 })
    expect(log().logEndOffset).toBe(13)
  })

  test('a log goes on where they end', () => {
    const { log } = openLogs({ disk: oldDirectory({ clean }) })
    expect(log().appendAsLeader(batchOf('n'), { leaderEpoch: 6, origin: 'client' })).toMatchObject({
      firstOffset: 13,
    })
  })
})

test('what is converted is not looked at again', () => {
  const disk = oldDirectory({ clean: true })
  const first = openLogs({ disk })
  expect(first.logger.lines.filter((line) => line.includes('older message format')).length).toBe(3)
  disk.kill()
  const second = openLogs({ disk })
  expect(second.logger.lines.filter((line) => line.includes('older message format'))).toEqual([])
})

test.each(['drop', 'keep', 'random'] as const)(
  'a power cut at any step of the conversion loses nothing (what is not synced: %s)',
  (mode) => {
    for (const clean of [true, false]) {
      const disk = oldDirectory({ clean })
      const cuts: SimDisk[] = []
      disk.onStep = () => cuts.push(disk.clone(new SeededRandom(cuts.length)))
      openLogs({ disk })
      expect(cuts.length).toBeGreaterThan(30)
      for (const cut of cuts) {
        cut.crash(mode)
        expectAll(recordsIn(cut))
      }
    }
  },
)

test('bytes that are no message end the log there', () => {
  const disk = oldDirectory({ clean: false })
  for (const base of [3, 8, 12]) disk.remove(name(base))
  const whole = Buffer.concat(segments[0][1])
  write(disk, name(0), Buffer.concat([whole, Buffer.from('not a message, not a batch')]))
  const { log, logger } = openLogs({ disk })
  expect(log().logEndOffset).toBe(3)
  expect(logger.lines.some((line) => line.startsWith('warn it was cut'))).toBe(true)
})
