import { describe, expect, it } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import type { LogConfig } from '../../src/log/types.ts'
import { append, openLogs, readAll, START_MS } from './log-fixture.ts'

function filled(config: Partial<LogConfig>) {
  const disk = new SimDisk({ random: new SeededRandom(1) })
  const fixture = openLogs({ disk, config: { segmentBytes: 200, ...config } })
  for (let i = 0; i < 10; i++)
    append(fixture.log(), { values: ['x'.repeat(50)], timestampMs: START_MS + i * 1000 })
  return { disk, fixture, log: fixture.log() }
}

const logFiles = (disk: SimDisk) => disk.list('/data/t-0').filter((name) => name.endsWith('.log'))

describe('retention', () => {
  it('drops segments whose newest record is too old', () => {
    const { log, disk } = filled({ retentionMs: 5000 })
    expect(logFiles(disk)).toHaveLength(10)
    expect(log.applyRetention(START_MS + 9000, 10)).toBe(4)
    expect(log.logStartOffset).toBe(4)
    expect(log.read(3, { maxBytes: 1000, upperBoundOffset: 10, minOneBatch: true })).toBe(null)
    readAll(log)
  })

  it('drops what is beyond the size, oldest first', () => {
    const { log } = filled({ retentionBytes: 600 })
    const before = log.sizeBytes
    const dropped = log.applyRetention(START_MS, 10)
    expect(log.sizeBytes).toBe((before / 10) * (10 - dropped))
    expect(log.sizeBytes).toBeGreaterThanOrEqual(600)
    expect(log.sizeBytes - before / 10).toBeLessThan(600)
  })

  it('stops at the size exactly: a segment goes only where what stays is not less', () => {
    const { log } = filled({ retentionBytes: -1 })
    const one = log.sizeBytes / 10
    const droppedAt = (retentionBytes: number) => filled({ retentionBytes }).log.applyRetention(START_MS, 10)
    expect([4 * one, 4 * one + 1, 4 * one - 1].map(droppedAt)).toEqual([6, 5, 6])
    expect(droppedAt(0)).toBe(10)
  })

  it('goes by size first, then by time, and stops at the first segment that each spares', () => {
    const one = filled({}).log.sizeBytes / 10
    // Newest first: by time only the last would go, which the first before it keeps from going.
    const disk = new SimDisk({ random: new SeededRandom(1) })
    const backwards = openLogs({
      disk,
      config: { segmentBytes: 200, retentionMs: 5000, retentionBytes: 8 * one },
    }).log()
    for (let i = 0; i < 10; i++)
      append(backwards, { values: ['x'.repeat(50)], timestampMs: START_MS - i * 1000 })
    expect(backwards.applyRetention(START_MS, 10)).toBe(2)
    // What size took away kept nothing of the rest: the next is 2 seconds old.
    expect(backwards.applyRetention(START_MS + 3000, 10)).toBe(0)
    expect(backwards.applyRetention(START_MS + 3001, 10)).toBe(8)
  })

  it('takes what the log start has passed, under any policy, but never the active segment for it', () => {
    for (const cleanupPolicy of [['compact'], ['delete'], ['compact', 'delete']] as const) {
      const { log, disk } = filled({ retentionMs: -1, cleanupPolicy })
      log.raiseLogStart(4, 10)
      expect(log.applyRetention(START_MS, 10)).toBe(4)
      log.raiseLogStart(10, 10)
      expect(log.applyRetention(START_MS, 10)).toBe(5)
      expect([log.logStartOffset, log.logEndOffset]).toEqual([10, 10])
      expect(logFiles(disk)).toEqual(['00000000000000000009.log'])
      expect(append(log, 'goes on')).toMatchObject({ firstOffset: 10 })
    }
  })

  it('takes the time of the file where records have none', () => {
    const disk = new SimDisk({ random: new SeededRandom(1), clock: { nowMs: () => START_MS } })
    const { log } = openLogs({ disk, config: { segmentBytes: 200, retentionMs: 1000 } })
    for (let i = 0; i < 3; i++) append(log(), { values: ['x'.repeat(50)], timestampMs: -2 })
    expect(log().applyRetention(START_MS + 1000, 3)).toBe(0)
    expect(log().applyRetention(START_MS + 1001, 3)).toBe(3)
  })

  it('never goes beyond the high watermark, and spares compacted topics', () => {
    expect(filled({ retentionMs: 1 }).log.applyRetention(START_MS + 1e9, 3)).toBe(3)
    expect(
      filled({ retentionMs: 1, cleanupPolicy: ['compact'] }).log.applyRetention(START_MS + 1e9, 10),
    ).toBe(0)
  })

  it('may empty the log, whose end a restart still knows', async () => {
    const { log, fixture, disk } = filled({ retentionMs: 1 })
    expect(log.applyRetention(START_MS + 1e9, 10)).toBe(10)
    expect(log.logStartOffset).toBe(10)
    expect(log.logEndOffset).toBe(10)
    await fixture.manager.stop()
    const again = openLogs({ disk }).log()
    expect([again.logStartOffset, again.logEndOffset]).toEqual([10, 10])
  })

  it('removes the files after file.delete.delay.ms', async () => {
    const { log, disk, fixture } = filled({ retentionMs: 5000, fileDeleteDelayMs: 1000 })
    log.applyRetention(START_MS + 9000, 10)
    const deleted = () => disk.list('/data/t-0').filter((name) => name.endsWith('.deleted'))
    expect(deleted().length).toBeGreaterThan(3)
    await fixture.time.advance(999)
    expect(deleted().length).toBeGreaterThan(3)
    await fixture.time.advance(1)
    expect(deleted()).toEqual([])
  })

  it('remembers a raised log start across a kill', async () => {
    const { log, disk, fixture } = filled({})
    log.raiseLogStart(5, 10)
    await fixture.time.settle()
    disk.kill()
    expect(openLogs({ disk }).log().logStartOffset).toBe(5)
  })
})

describe('a removed partition', () => {
  it('is renamed at once, deleted later, and can be made again', async () => {
    const { disk, fixture } = filled({ fileDeleteDelayMs: 1000 })
    fixture.manager.remove('t', 0)
    expect(fixture.manager.get('t', 0)).toBe(undefined)
    expect(disk.list('/data').some((name) => /^t-0\.[0-9a-f]{32}-delete$/.test(name))).toBe(true)
    expect(append(fixture.log(), 'fresh')).toMatchObject({ firstOffset: 0 })
    await fixture.time.advance(2000)
    expect(disk.list('/data').filter((name) => name.endsWith('-delete'))).toEqual([])
    expect(readAll(fixture.log()).length).toBeGreaterThan(0)
  })

  it('that comes back is set aside, not given to a new topic of its name', () => {
    const { log, disk, fixture } = filled({})
    fixture.manager.remove('t', 0)
    disk.kill()
    const removed = disk.list('/data').find((name) => name.endsWith('-delete'))!
    disk.rename(`/data/${removed}`, '/data/t-0')
    const again = openLogs({ disk })
    expect(again.manager.get('t', 0)!.logEndOffset).toBeGreaterThan(0)
    const fresh = again.manager.getOrCreate('t', 0, 'AgICAgICAgICAgICAgICAg', log.config)
    expect(fresh.logEndOffset).toBe(0)
    expect(append(fresh, 'fresh')).toMatchObject({ firstOffset: 0 })
    expect(disk.list('/data').some((name) => /^t-0\.[0-9a-f]{32}-stray$/.test(name))).toBe(true)
    expect(again.logger.lines.join('\n')).toMatch(/set aside/)
  })

  it('stays removed after a power cut, once the directory is flushed', async () => {
    const { log, disk, fixture } = filled({})
    await log.flush()
    fixture.manager.remove('t', 0)
    await fixture.time.settle()
    disk.crash('drop')
    expect(openLogs({ disk }).manager.get('t', 0)).toBe(undefined)
  })
})

describe('a topic whose name begins with a dot', () => {
  it('is loaded like any other', () => {
    const disk = filled({}).disk
    append(openLogs({ disk: killed(disk) }).log('.t'), 'hidden')
    expect(openLogs({ disk: killed(disk) }).log('.t').logEndOffset).toBe(1)
  })
})

function killed(disk: SimDisk): SimDisk {
  disk.kill()
  return disk
}
