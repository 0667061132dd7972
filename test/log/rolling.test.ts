import { describe, expect, it } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import type { LogConfig } from '../../src/log/types.ts'
import { append, baseConfig, batchOf, openLogs, START_MS, type Fixture } from './log-fixture.ts'

const MINUTE_MS = 60_000

function logWith(config: Partial<LogConfig>) {
  const disk = new SimDisk({ random: new SeededRandom(1) })
  return { disk, fixture: openLogs({ disk, config }) }
}

/** Base offsets of the segments. */
function bases(disk: SimDisk): number[] {
  const names = disk.list('/data/t-0').filter((name) => name.endsWith('.log'))
  return names.map((name) => Number(name.slice(0, 20))).sort((a, b) => a - b)
}

function appendAt(fixture: Fixture, ...minutes: number[]): void {
  for (const minute of minutes)
    append(fixture.log(), { values: ['v'], timestampMs: START_MS + minute * MINUTE_MS })
}

const configOf = (change: Partial<LogConfig>): LogConfig => ({ ...baseConfig, ...change })

describe('a segment ends', () => {
  it('where the next batch would make it larger than segment.bytes, not one byte earlier', () => {
    const size = batchOf('v').length
    for (const [segmentBytes, expected] of [
      [2 * size, [0, 2, 4]],
      [2 * size - 1, [0, 1, 2, 3, 4]],
    ] as const) {
      const { disk, fixture } = logWith({ segmentBytes })
      appendAt(fixture, 0, 0, 0, 0, 0)
      expect(bases(disk)).toEqual(expected)
    }
  })

  it('where the records are more than segment.ms younger than its first', () => {
    const { disk, fixture } = logWith({ segmentMs: 10 * MINUTE_MS })
    appendAt(fixture, 0, 10, 3, 10.01, 20.01, 9, 20.02)
    expect(bases(disk)).toEqual([0, 3, 6])
  })

  it('by the clock where records have no time', async () => {
    const { disk, fixture } = logWith({ segmentMs: 10 * MINUTE_MS, retentionMs: -1 })
    const untimed = () => append(fixture.log(), { values: ['v'], timestampMs: -1 })
    untimed()
    await fixture.time.advance(10 * MINUTE_MS)
    untimed()
    await fixture.time.advance(1)
    untimed()
    expect(bases(disk)).toEqual([0, 2])
  })

  it('earlier by what segment.jitter.ms draws, anew for each, also for one found at a start', async () => {
    const config = { segmentMs: 100 * MINUTE_MS, segmentJitterMs: 80 * MINUTE_MS }
    const { disk, fixture } = logWith(config)
    const minutes = Array.from({ length: 1000 }, (_, minute) => minute)
    appendAt(fixture, ...minutes)
    const found = bases(disk)
    const lengths = found.slice(1).map((base, index) => base - found[index])
    expect(new Set(lengths).size).toBeGreaterThan(3)
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(20)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(101)

    const second = logWith({ ...config, segmentJitterMs: 0 })
    appendAt(second.fixture, 0)
    await second.fixture.manager.stop()
    appendAt(openLogs({ disk: second.disk, config: { ...config, segmentJitterMs: 99 * MINUTE_MS } }), 99)
    expect(bases(second.disk)).toEqual([0, 1])
  })

  it('where an index is full by segment.index.bytes', () => {
    const config = { segmentIndexBytes: 48, indexIntervalBytes: 0 }
    const { disk, fixture } = logWith(config)
    appendAt(fixture, 0, 0, 0, 0, 0, 0, 0, 0)
    // The first batch has no entry; six fill the offset index. Equal timestamps have one entry.
    expect(bases(disk)).toEqual([0, 7])
    const timed = logWith(config)
    appendAt(timed.fixture, 0, 1, 2, 3, 4, 5)
    // The time index keeps a slot for the entry at the roll: three fill it.
    expect(bases(timed.disk)).toEqual([0, 4])
  })

  it('of a compacted log after max.compaction.lag.ms at the latest', () => {
    for (const [cleanupPolicy, expected] of [
      [['compact'], [0, 2]],
      [
        ['delete', 'compact'],
        [0, 2],
      ],
      [['delete'], [0]],
    ] as const) {
      const { disk, fixture } = logWith({ cleanupPolicy, maxCompactionLagMs: 5 * MINUTE_MS })
      appendAt(fixture, 0, 5, 6)
      expect(bases(disk)).toEqual(expected)
    }
  })

  it('by the settings of the moment', () => {
    const { disk, fixture } = logWith({})
    const log = fixture.log()
    const size = batchOf('v').length
    appendAt(fixture, 0, 0, 0)
    log.config = configOf({ segmentBytes: 2 * size })
    appendAt(fixture, 0, 0)
    log.config = configOf({ segmentMs: MINUTE_MS })
    appendAt(fixture, 1, 2)
    log.config = configOf({})
    appendAt(fixture, 3, 4)
    expect(bases(disk)).toEqual([0, 3, 6])
  })
})
