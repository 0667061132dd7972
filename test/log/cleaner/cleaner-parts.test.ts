import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { cleanableRange, isDue, type RangeState } from '../../../src/log/cleaner/cleanable-range.ts'
import { KeyHash } from '../../../src/log/cleaner/key-hash.ts'
import { OffsetMap } from '../../../src/log/cleaner/offset-map.ts'
import { groupSegments } from '../../../src/log/cleaner/segment-groups.ts'
import { SLICE_BYTES, SLICE_MS, Turns, type Ending } from '../../../src/log/cleaner/turns.ts'
import type { Pause } from '../../../src/log/cleaner/pause.ts'
import { baseConfig } from '../log-fixture.ts'

const ascending = (length: number) => Buffer.from(Array.from({ length }, (_, index) => index))

describe('The hash of keys', () => {
  // The vectors of SipHash's authors for 128 bits: key 00 to 0f, input 00, 01, ...
  it.each([
    [0, 'a3817f04ba25a8e66df67214c7550293'],
    [1, 'da87c1d86b99af44347659119b22fc45'],
    [2, '8177228da4a45dc7fca38bdef60affe4'],
    [15, '5493e99933b0a8117e08ec0f97cfc3d9'],
    [63, '5150d1772f50834a503e069a973fbd7c'],
  ])('is SipHash-2-4-128 (%i bytes)', (length, expected) => {
    const hash = new KeyHash(ascending(16))
    const padded = Buffer.concat([Buffer.alloc(3, 9), ascending(length), Buffer.alloc(3, 9)])
    hash.hash(padded, 3, length)
    const result = Buffer.alloc(16)
    ;[hash.h0, hash.h1, hash.h2, hash.h3].forEach((word, index) => result.writeInt32LE(word, 4 * index))
    expect(result.toString('hex')).toBe(expected)
  })
})

describe('The offset map', () => {
  it.each([1, 2, 3])('agrees with a Map until it is full, and then takes nothing (seed %i)', (seed) => {
    const random = new SeededRandom(seed)
    const firstOffset = 5_000_000_000
    const map = new OffsetMap({
      hash: new KeyHash(random.bytes(16)),
      maxBytes: 20 * 1000,
      loadFactor: 0.9,
      firstOffset,
      endOffset: firstOffset + 1_000_000,
    })
    expect(map.memoryBytes).toBeLessThanOrEqual(20 * 1000)
    const model = new Map<string, number>()
    let offset = firstOffset
    for (; ; offset++) {
      const key = `key${Math.floor(random.next() * 2000)}`
      if (!map.put(Buffer.from(key), 0, key.length, offset)) break
      model.set(key, offset)
    }
    expect(map.count).toBe(model.size)
    expect(map.count).toBe(map.maxEntries)
    expect(map.lastOffset).toBe(offset - 1)
    for (let number = 0; number < 2000; number++) {
      const key = `key${number}`
      expect(map.get(Buffer.from(key), 0, key.length)).toBe(model.get(key) ?? -1)
    }
  })

  it('takes no more memory than the offsets that may come', () => {
    const hash = new KeyHash(ascending(16))
    const map = new OffsetMap({ hash, maxBytes: 2 ** 27, loadFactor: 0.9, firstOffset: 10, endOffset: 20 })
    expect(map.memoryBytes).toBeLessThan(20_000)
    for (let offset = 10; offset < 20; offset++) {
      expect(map.put(Buffer.from([offset]), 0, 1, offset)).toBe(true)
    }
  })
})

describe('What is cleanable', () => {
  const segment = (baseOffset: number, sizeBytes = 100, timestampMs = 0) => ({
    baseOffset,
    sizeBytes,
    largestTimestampMs: () => timestampMs,
    firstTimestampMs: () => timestampMs,
  })
  const state = (changes: Partial<RangeState>): RangeState => ({
    segments: [segment(0), segment(10), segment(20), segment(30)],
    logStartOffset: 0,
    logEndOffset: 40,
    lastStableOffset: 40,
    checkpoint: undefined,
    config: { ...baseConfig, cleanupPolicy: ['compact'], maxCompactionLagMs: Infinity },
    nowMs: 1000,
    ...changes,
  })
  const rangeOf = (changes: Partial<RangeState>) => {
    const { firstDirtyOffset, endOffset, cleanableBytes, dirtyRatio } = cleanableRange(state(changes))
    return [firstDirtyOffset, endOffset, cleanableBytes, dirtyRatio]
  }

  it('is all below the active segment where nothing was cleaned', () => {
    expect(rangeOf({})).toEqual([0, 30, 300, 1])
  })

  it('begins at the checkpoint, or at the log start where that is no offset of the log', () => {
    expect(rangeOf({ checkpoint: 20 })).toEqual([20, 30, 100, 1 / 3])
    expect(rangeOf({ checkpoint: 41 })).toEqual([0, 30, 300, 1])
    expect(rangeOf({ checkpoint: 5, logStartOffset: 10 })).toEqual([10, 30, 200, 2 / 3])
  })

  it('ends at the segment that holds the last stable offset', () => {
    expect(rangeOf({ lastStableOffset: 25 })).toEqual([0, 20, 200, 1])
    expect(rangeOf({ lastStableOffset: 5 })).toEqual([0, 0, 0, 0])
  })

  it('ends at the first segment that is younger than min.compaction.lag.ms', () => {
    const segments = [segment(0, 100, 100), segment(10, 100, 600), segment(20, 100, 100), segment(30)]
    const config = { ...baseConfig, minCompactionLagMs: 500 }
    expect(rangeOf({ segments, config })).toEqual([0, 10, 100, 1])
  })

  it('is due above min.cleanable.dirty.ratio, or when max.compaction.lag.ms has passed', () => {
    const config = { ...baseConfig, minCleanableDirtyRatio: 0.5 }
    const segments = [segment(0, 100, 1), segment(10, 100, 1), segment(20, 100, 1), segment(30)]
    const dirty = state({ config, checkpoint: 20, segments })
    expect(isDue(cleanableRange(dirty), config)).toBe(false)
    const late = { ...config, maxCompactionLagMs: 500 }
    expect(isDue(cleanableRange({ ...dirty, config: late }), late)).toBe(true)
    expect(isDue(cleanableRange({ ...dirty, checkpoint: 10 }), config)).toBe(true)
    expect(isDue(cleanableRange({ ...dirty, config: late, checkpoint: 30 }), late)).toBe(false)
  })
})

describe('Segments are cleaned together', () => {
  const segment = (baseOffset: number, sizeBytes: number) => ({
    baseOffset,
    sizeBytes,
    offsetIndexBytes: 8,
    timeIndexBytes: 12,
  })
  const basesOf = (groups: { baseOffset: number }[][]) =>
    groups.map((group) => group.map(({ baseOffset }) => baseOffset))
  const limits = { segmentBytes: 100, segmentIndexBytes: 1000 }

  it('while they fit into one', () => {
    const segments = [segment(0, 40), segment(10, 60), segment(20, 30), segment(30, 200), segment(40, 0)]
    expect(basesOf(groupSegments(segments, 50, limits))).toEqual([[0, 10], [20], [30], [40]])
  })

  it('while their index entries do', () => {
    const segments = [segment(0, 1), segment(10, 1), segment(20, 1)]
    expect(basesOf(groupSegments(segments, 30, { ...limits, segmentIndexBytes: 24 }))).toEqual([
      [0, 10],
      [20],
    ])
  })

  it('while their offsets are int32 from the first base', () => {
    const segments = [segment(0, 1), segment(10, 1), segment(2 ** 31, 1)]
    expect(basesOf(groupSegments(segments, 2 ** 31 + 1, limits))).toEqual([[0, 10], [2 ** 31]])
  })
})

describe('Work in turns', () => {
  /** Each look at the clock takes `stepMs`. */
  const setUp = (stepMs: number, bytesPerStep: number, maxBytesPerSecond = Infinity) => {
    let nowMs = 0
    let bytes = 0
    const slices: number[] = []
    const due: { delayMs: number; callback: () => void }[] = []
    const turns = new Turns<number>({
      env: {
        clock: { nowMs: () => 0, monotonicMs: () => nowMs },
        timers: {
          after(delayMs, callback) {
            due.push({ delayMs, callback })
            return { cancel() {} }
          },
          soon: (callback) => void due.push({ delayMs: 0, callback }),
        },
      },
      ioBytes: () => bytes,
      maxBytesPerSecond: () => maxBytesPerSecond,
      isCutOff: () => false,
      onSlice: (tookMs) => void slices.push(tookMs),
    })
    function* work(steps: number): Generator<Pause, number> {
      for (let step = 0; step < steps; step++) {
        nowMs += stepMs
        bytes += bytesPerStep
        yield
      }
      return steps
    }
    let ending: Ending<number> | null = null
    const run = (steps: number) => {
      turns.run(work(steps), (ended) => (ending = ended))
      const delays: number[] = []
      while (due.length > 0) {
        const { delayMs, callback } = due.shift()!
        nowMs += delayMs
        delays.push(delayMs)
        callback()
      }
      return { ending, slices, delays }
    }
    return { run, slices }
  }

  it('stops after a slice of time, for other work to come', () => {
    const { ending, slices } = setUp(1, 0).run(100)
    expect(ending).toEqual({ kind: 'done', value: 100 })
    expect(slices.length).toBeGreaterThanOrEqual(33)
    for (const tookMs of slices) expect(tookMs).toBeLessThanOrEqual(SLICE_MS + 1)
  })

  it('stops after a slice of bytes, where the clock stands still', () => {
    const { slices } = setUp(0, SLICE_BYTES / 4).run(40)
    expect(slices.length).toBeGreaterThanOrEqual(10)
  })

  it('waits so that the bytes keep to their rate', () => {
    const { delays } = setUp(0, SLICE_BYTES, SLICE_BYTES).run(5)
    expect(delays.reduce((sum, each) => sum + each, 0)).toBeGreaterThanOrEqual(4000)
  })
})
