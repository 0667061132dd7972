import { describe, expect, it } from 'vitest'
import { SimDisk, type CrashMode } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import type { LogConfig, ReplicaLog } from '../../src/log/types.ts'
import { baseOffset, batchSize, checkBatch, lastOffset } from '../../src/protocol/record-batch.ts'
import { append, openLogs, readAll, type Fixture } from './log-fixture.ts'

const SMALL: Partial<LogConfig> = { segmentBytes: 3000, indexIntervalBytes: 300, segmentIndexBytes: 400 }

interface StoredBatch {
  readonly firstOffset: number
  readonly lastOffset: number
  /** latin1: compares quickly */
  readonly bytes: string
}

function split(bytes: Buffer): StoredBatch[] {
  const batches: StoredBatch[] = []
  for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) {
    expect(checkBatch(bytes, at, bytes.length - at)).toBe(null)
    batches.push({
      firstOffset: baseOffset(bytes, at),
      lastOffset: lastOffset(bytes, at),
      bytes: bytes.toString('latin1', at, at + batchSize(bytes, at)),
    })
  }
  return batches
}

/** A log beside the list of batches that it should hold. */
class Model {
  batches: StoredBatch[] = []
  flushedEnd = 0
  logStart = 0
  fixture: Fixture
  readonly disk: SimDisk
  readonly random: SeededRandom
  readonly config: Partial<LogConfig>

  constructor(seed: number, config: Partial<LogConfig>) {
    this.random = new SeededRandom(seed)
    this.disk = new SimDisk({ random: this.random })
    this.config = config
    this.fixture = openLogs({ disk: this.disk, config })
  }

  get log(): ReplicaLog {
    return this.fixture.log()
  }

  append(): void {
    const count = 1 + this.random.integer(4)
    const values = Array.from({ length: count }, () => 'v'.repeat(this.random.integer(200)))
    const timestampMs = this.fixture.time.clock.nowMs() + this.random.integer(1000)
    const before = this.log.logEndOffset
    expect(
      append(this.log, { values, timestampMs }, this.random.integer(3) + this.batches.length),
    ).toMatchObject({
      error: 0,
      firstOffset: before,
    })
    const slice = this.log.read(before, { maxBytes: 1e6, upperBoundOffset: Infinity, minOneBatch: true })!
    this.batches.push(...split(slice.bytes))
    slice.release()
  }

  read(): void {
    const { log } = this
    if (log.logEndOffset === log.logStartOffset) return
    const offset = log.logStartOffset + this.random.integer(log.logEndOffset - log.logStartOffset)
    const maxBytes = this.random.integer(2000)
    const upperBoundOffset = offset + 1 + this.random.integer(10)
    const slice = log.read(offset, { maxBytes, upperBoundOffset, minOneBatch: true })!
    const got = split(slice.bytes)
    const from = this.batches.findIndex((batch) => batch.lastOffset >= offset)
    const expected = this.batches.slice(from, from + got.length)
    expect(got).toEqual(expected)
    expect(got.length).toBeGreaterThan(0)
    for (const batch of got) expect(batch.firstOffset).toBeLessThan(upperBoundOffset)
    expect(slice.endOffset).toBe(got.at(-1)!.lastOffset + 1)
    if (got.length > 1) expect(slice.bytes.length).toBeLessThanOrEqual(maxBytes)
    slice.release()
  }

  async flush(): Promise<void> {
    await this.log.flush()
    this.flushedEnd = this.log.logEndOffset
  }

  raiseLogStart(): void {
    const { log } = this
    const offset = log.logStartOffset + this.random.integer(1 + log.logEndOffset - log.logStartOffset)
    log.raiseLogStart(offset, log.logEndOffset)
    log.applyRetention(this.fixture.time.clock.nowMs(), log.logEndOffset)
    this.logStart = log.logStartOffset
  }

  truncate(): void {
    const { log } = this
    const offset = log.logStartOffset + this.random.integer(1 + log.logEndOffset - log.logStartOffset)
    log.truncateTo(offset)
    this.batches = this.batches.filter((batch) => batch.lastOffset < offset)
    this.flushedEnd = Math.min(this.flushedEnd, log.logEndOffset)
  }

  async restart(): Promise<void> {
    await this.fixture.manager.stop()
    this.disk.kill()
    this.reopen()
    this.expectEverything()
  }

  kill(): void {
    this.disk.kill()
    this.reopen()
    this.expectEverything()
  }

  async crash(mode: CrashMode): Promise<void> {
    this.disk.crash(mode)
    this.reopen()
    const { log } = this
    // Without a flush since the topic was made even the directory may be gone.
    expect(log.logEndOffset).toBeGreaterThanOrEqual(this.flushedEnd)
    const survivors = split(readAll(log))
    const expected = this.batches.filter((batch) => batch.lastOffset >= log.logStartOffset)
    expect(survivors).toEqual(expected.slice(0, survivors.length))
    this.batches = survivors
    // What survived is read from the page cache now: a second crash may take what was never flushed.
    await this.flush()
  }

  reopen(): void {
    this.fixture = openLogs({ disk: this.disk, config: this.config, time: this.fixture.time })
  }

  expectEverything(): void {
    const { log } = this
    const expected = this.batches.filter((batch) => batch.lastOffset >= log.logStartOffset)
    expect(log.logEndOffset).toBe(
      this.batches.at(-1) ? this.batches.at(-1)!.lastOffset + 1 : log.logEndOffset,
    )
    expect(split(readAll(log))).toEqual(expected)
  }
}

type Step = (model: Model) => void | Promise<void>

async function run(seed: number, config: Partial<LogConfig>, steps: readonly (readonly [number, Step])[]) {
  const model = new Model(seed, config)
  model.append()
  const total = steps.reduce((sum, [weight]) => sum + weight, 0)
  for (let i = 0; i < 120; i++) {
    let pick = model.random.integer(total)
    const [, step] = steps.find(([weight]) => (pick -= weight) < 0)!
    try {
      await step(model)
    } catch (error) {
      throw new Error(`seed ${seed}, step ${i}: ${(error as Error).message}`, { cause: error })
    }
    await model.fixture.time.advance(50)
  }
  model.expectEverything()
  await model.restart()
}

const SEEDS = Array.from({ length: 25 }, (_, index) => 1000 + index)

describe('a log beside a model', () => {
  it.each(SEEDS)('keeps every batch through rolls, restarts and kills (seed %i)', async (seed) => {
    await run(seed, SMALL, [
      [60, (model) => model.append()],
      [30, (model) => model.read()],
      [4, (model) => model.flush()],
      [3, (model) => model.restart()],
      [3, (model) => model.kill()],
    ])
  })

  it.each(SEEDS)('truncates and deletes at the head (seed %i)', async (seed) => {
    await run(seed, SMALL, [
      [60, (model) => model.append()],
      [20, (model) => model.read()],
      [3, (model) => model.truncate()],
      [3, (model) => model.raiseLogStart()],
      [3, (model) => model.restart()],
      [3, (model) => model.kill()],
    ])
  })

  it.each(SEEDS)('keeps every flushed batch through power cuts (seed %i)', async (seed) => {
    await run(seed, SMALL, [
      [60, (model) => model.append()],
      [10, (model) => model.read()],
      [10, (model) => model.flush()],
      [2, (model) => model.restart()],
      [3, (model) => model.crash('random')],
      [2, (model) => model.crash('drop')],
    ])
  })
})
