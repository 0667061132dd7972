import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { SimDisk } from '../../../src/env/sim/disk.ts'
import { buildBatch, hasDeleteHorizon } from '../../../src/protocol/record-batch.ts'
import type { ReplicaLog } from '../../../src/log/types.ts'
import { append, START_MS } from '../log-fixture.ts'
import { batchesOf, openCompacted, survivors } from './cleaner-fixture.ts'

const newDisk = () => new SimDisk({ random: new SeededRandom(1) })
const FIRST_LOOK_MS = 15_001

/** 20 values for each of three keys, a record a batch; all but the newest batches are in segments that are full. */
function fill(log: ReplicaLog, rounds = 20): void {
  for (let round = 0; round < rounds; round++) {
    for (const key of ['a', 'b', 'c']) append(log, { key, values: [`${key}${round}`] })
  }
}

const leftovers = (disk: SimDisk) => disk.list('/data/t-0').filter((name) => /\.(cleaned|swap)$/.test(name))

describe('A compacted log', () => {
  it('keeps the newest value of each key, at its offset', async () => {
    const { log, time } = openCompacted({ disk: newDisk() })
    const t = log()
    fill(t)
    await time.advance(FIRST_LOOK_MS)
    const active = survivors(t).filter(({ offset }) => offset >= 56)
    expect(survivors(t)).toEqual([
      { offset: 53, key: 'c', value: 'c17' },
      { offset: 54, key: 'a', value: 'a18' },
      { offset: 55, key: 'b', value: 'b18' },
      ...active,
    ])
    expect(active).toHaveLength(4)
  })

  it('gives a reader inside a hole the next record above it', async () => {
    const { log, time } = openCompacted({ disk: newDisk() })
    const t = log()
    fill(t)
    await time.advance(FIRST_LOOK_MS)
    expect(batchesOf(t, 20)[0].baseOffset).toBe(53)
    expect(t.offsetForTimestamp(START_MS)?.offset).toBe(53)
  })

  it('keeps a deletion mark for delete.retention.ms from the first cleaning that meets it', async () => {
    const { log, time } = openCompacted({ disk: newDisk(), config: { deleteRetentionMs: 100_000 } })
    const t = log()
    append(t, { key: 'gone', values: ['x'] })
    t.appendAsLeader(tombstone('gone'), { leaderEpoch: 0, origin: 'client' })
    fill(t)
    await time.advance(FIRST_LOOK_MS)
    const [first] = batchesOf(t)
    expect([first.baseOffset, hasDeleteHorizon(first.attributes)]).toEqual([1, true])
    expect(first.records[0]).toMatchObject({ offset: 1, timestampMs: START_MS, value: null })
    fill(t)
    await time.advance(60_000)
    expect(survivors(t)[0]).toEqual({ offset: 1, key: 'gone', value: null })
    fill(t)
    await time.advance(100_000)
    fill(t)
    await time.advance(60_000)
    expect(survivors(t).some(({ key }) => key === 'gone')).toBe(false)
  })

  it('keeps the last batch of a producer without its records, and the producer goes on after a restart', async () => {
    const disk = newDisk()
    const before = openCompacted({ disk })
    const producer = { producerId: 7, producerEpoch: 0, key: 'a' }
    append(before.log(), { ...producer, values: ['first', 'second'], baseSequence: 0 })
    fill(before.log())
    await before.time.advance(FIRST_LOOK_MS)
    const [first] = batchesOf(before.log())
    expect(first).toMatchObject({ baseOffset: 0, lastOffset: 1, producerId: 7, records: [] })
    await before.manager.stop()
    // Without the snapshots only the log itself says it.
    for (const name of disk.list('/data/t-0'))
      if (name.endsWith('.snapshot')) disk.remove(`/data/t-0/${name}`)
    disk.remove('/data/.kafka_cleanshutdown')
    const after = openCompacted({ disk })
    const again = append(after.log(), { ...producer, values: ['first', 'second'], baseSequence: 0 })
    expect(again).toMatchObject({ error: 0, duplicate: true, firstOffset: 0 })
    const next = append(after.log(), { ...producer, values: ['third'], baseSequence: 2 })
    expect(next).toMatchObject({ error: 0, duplicate: false })
  })

  it('knows no timestamp of records that are gone, before and after its indexes are made anew', async () => {
    const disk = newDisk()
    const first = openCompacted({ disk })
    const late = START_MS + 1_000_000
    append(first.log(), {
      key: 'a',
      values: ['late'],
      timestampMs: late,
      producerId: 7,
      producerEpoch: 0,
      baseSequence: 0,
    })
    fill(first.log())
    await first.time.advance(FIRST_LOOK_MS)
    expect(batchesOf(first.log())[0]).toMatchObject({ producerId: 7, records: [] })
    const expectNone = (t: ReplicaLog): void => {
      expect(t.offsetForTimestamp(late)).toBe(null)
      expect(t.offsetOfMaxTimestamp()?.timestampMs).toBeLessThan(late)
    }
    expectNone(first.log())
    disk.kill()
    for (const name of disk.list('/data/t-0')) if (name.endsWith('index')) disk.remove(`/data/t-0/${name}`)
    expectNone(openCompacted({ disk }).log())
  })

  it('goes on where the offset map was full', async () => {
    const { log, time } = openCompacted({ disk: newDisk(), cleaner: { dedupeBufferBytes: 200 } })
    const t = log()
    for (let key = 0; key < 60; key++) append(t, { key: `key${key}`, values: ['old'] })
    for (let key = 0; key < 60; key++) append(t, { key: `key${key}`, values: ['new'] })
    await time.advance(60_000)
    // Only those whose newer value is in the active segment, which is not cleaned, have their old one.
    const old = survivors(t).filter(({ value }) => value === 'old')
    expect(old.length).toBeLessThan(10)
    expect(survivors(t)).toHaveLength(60 + old.length)
    expect(new Set(survivors(t).map(({ key }) => key)).size).toBe(60)
  })

  it('is left alone by a policy that does not say compact, and compacted when that changes', async () => {
    const { log, time } = openCompacted({ disk: newDisk(), config: { cleanupPolicy: ['delete'] } })
    const t = log()
    fill(t)
    await time.advance(FIRST_LOOK_MS)
    expect(survivors(t)).toHaveLength(60)
    t.config = { ...t.config, cleanupPolicy: ['compact'] }
    await time.advance(FIRST_LOOK_MS)
    expect(survivors(t)).toHaveLength(7)
  })

  it('deletes old segments too where the policy says both', async () => {
    const policy = { cleanupPolicy: ['compact', 'delete'] as const, retentionMs: 200_000 }
    const { log, time } = openCompacted({ disk: newDisk(), config: policy })
    const t = log()
    fill(t)
    await time.advance(700_000)
    expect(t.logStartOffset).toBe(t.logEndOffset)
  })
})

function tombstone(key: string): Buffer {
  return buildBatch({ records: [{ timestampMs: START_MS, key: Buffer.from(key), value: null }] })
}

describe('A cleaning', () => {
  it.each(['write', 'rename'] as const)(
    'that meets a failing %s leaves every newest record, and is tried again',
    async (operation) => {
      const disk = newDisk()
      const { log, time, logger } = openCompacted({ disk })
      const t = log()
      fill(t)
      const newest = () => new Map(survivors(t).map(({ key, value }) => [key, value]))
      const before = newest()
      const pathPart = operation === 'rename' ? '0.index' : '.cleaned'
      disk.failNext({ operation, code: 'NO_SPACE', pathPart })
      await time.advance(FIRST_LOOK_MS)
      expect(newest()).toEqual(before)
      expect(survivors(t).length).toBeGreaterThan(7)
      expect(leftovers(disk)).toEqual([])
      expect(logger.lines.some((line) => line.includes('cannot be compacted'))).toBe(true)
      expect(append(t, { key: 'a', values: ['still written'] }).error).toBe(0)
      await time.advance(700_000)
      expect(survivors(t).length).toBeLessThan(10)
      expect(newest().get('a')).toBe('still written')
    },
  )

  it('of a log with a wrong byte ends, before the byte gets a right CRC, and others go on', async () => {
    const disk = newDisk()
    const { log, time, logger } = openCompacted({ disk })
    fill(log('bad'))
    fill(log('good'))
    disk.corrupt('/data/bad-0/00000000000000000000.log', 200, (byte) => byte ^ 1)
    await time.advance(3 * FIRST_LOOK_MS)
    expect(survivors(log('good'))).toHaveLength(7)
    expect(disk.list('/data/bad-0').filter((name) => name.endsWith('.log')).length).toBeGreaterThan(5)
    expect(logger.lines.filter((line) => line.includes('cannot be compacted'))).toHaveLength(1)
  })

  const ends: [string, (t: ReplicaLog, fixture: ReturnType<typeof openCompacted>) => void][] = [
    ['a truncation', (t) => t.truncateTo(30)],
    ['a truncation to nothing', (t) => t.truncateFullyAndStartAt(100)],
    ['a deletion of the topic', (_, { manager }) => manager.remove('t', 0)],
    ['a policy without compact', (t) => void (t.config = { ...t.config, cleanupPolicy: ['delete'] })],
  ]
  it.each(ends)('is ended by %s, and leaves no files', async (_, end) => {
    const disk = newDisk()
    // So slow that it is still under way.
    const config = { segmentBytes: 20_000 }
    const fixture = openCompacted({ disk, config, cleaner: { maxBytesPerSecond: 1 } })
    const t = fixture.log()
    for (let index = 0; index < 900; index++) append(t, { key: 'a', values: ['x'.repeat(10_000)] })
    await fixture.time.advance(FIRST_LOOK_MS)
    end(t, fixture)
    await fixture.time.advance(10_000_000)
    const directories = disk.list('/data').filter((name) => disk.stat(`/data/${name}`)!.isDirectory)
    const names = directories.flatMap((name) => disk.list(`/data/${name}`))
    expect(names.filter((name) => /\.(cleaned|swap)$/.test(name))).toEqual([])
    await fixture.manager.stop()
  })

  it('is ended by a stop, and done after the next start', async () => {
    const disk = newDisk()
    const before = openCompacted({
      disk,
      config: { segmentBytes: 20_000 },
      cleaner: { maxBytesPerSecond: 1 },
    })
    for (let index = 0; index < 900; index++) append(before.log(), { key: 'a', values: ['x'.repeat(9_000)] })
    await before.time.advance(FIRST_LOOK_MS)
    await before.manager.stop()
    expect(leftovers(disk)).toEqual([])
    const after = openCompacted({ disk, config: { segmentBytes: 20_000 } })
    expect(survivors(after.log())).toHaveLength(900)
    await after.time.advance(FIRST_LOOK_MS)
    expect(survivors(after.log()).length).toBeLessThan(5)
  })
})
