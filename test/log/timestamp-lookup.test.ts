import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import type { ReplicaLog } from '../../src/log/types.ts'
import { buildBatch } from '../../src/protocol/record-batch.ts'
import { openLogs, START_MS, type Fixture } from './log-fixture.ts'

const LEADER_EPOCH = 3

interface Written {
  readonly offset: number
  readonly timestampMs: number
}

/** What a log is asked to do; `part` chooses among what there is, as a share of it. */
type Step =
  | { readonly kind: 'append'; readonly times: readonly number[]; readonly codec: number }
  | { readonly kind: 'append at append time' }
  | { readonly kind: 'truncate' | 'delete records'; readonly part: number }
  | { readonly kind: 'retention' | 'restart' | 'kill' }

/** -1: none. Few values, so that many are equal; in no order. */
const timestamp = fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 60 }))
const append = fc.record({
  kind: fc.constant('append' as const),
  times: fc.array(timestamp, { minLength: 1, maxLength: 6 }),
  codec: fc.integer({ min: 0, max: 4 }),
})
const part = fc.double({ min: 0, max: 1, noNaN: true })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: append },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('append at append time' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('truncate' as const), part }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete records' as const), part }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('retention', 'restart', 'kill') }) },
)

/** A log, and every record that is in it. */
class Model {
  readonly disk = new SimDisk({ random: new SeededRandom(1) })
  records: Written[] = []
  #fixture: Fixture = this.#open()

  #open(): Fixture {
    return openLogs({
      disk: this.disk,
      config: { segmentBytes: 700, indexIntervalBytes: 150, retentionMs: -1 },
    })
  }

  get log(): ReplicaLog {
    return this.#fixture.log()
  }

  async take(step: Step): Promise<void> {
    const { log } = this
    switch (step.kind) {
      case 'append':
        return this.#append(step.times, step.codec)
      case 'append at append time':
        log.config = { ...log.config, messageTimestampType: 'LogAppendTime' }
        this.#append([5, 50], 0)
        log.config = { ...log.config, messageTimestampType: 'CreateTime' }
        return
      case 'truncate':
        log.truncateTo(Math.round(log.logStartOffset + step.part * (log.logEndOffset - log.logStartOffset)))
        break
      case 'delete records':
        log.raiseLogStart(Math.round(step.part * log.logEndOffset), log.logEndOffset)
        break
      case 'retention':
        log.config = { ...log.config, retentionBytes: 1500 }
        log.applyRetention(START_MS, log.logEndOffset)
        log.config = { ...log.config, retentionBytes: -1 }
        break
      case 'restart':
        await this.#fixture.manager.stop()
        this.#fixture = this.#open()
        break
      case 'kill':
        // The log start is written a moment after it has moved.
        await this.#fixture.time.settle()
        this.disk.kill()
        this.#fixture = this.#open()
    }
    const { logStartOffset, logEndOffset } = this.log
    this.records = this.records.filter(({ offset }) => offset >= logStartOffset && offset < logEndOffset)
  }

  #append(times: readonly number[], codec: number): void {
    const records = times.map((timestampMs, index) => ({
      timestampMs,
      key: Buffer.from(`${index}`),
      value: Buffer.alloc(20 * (index % 4)),
    }))
    const outcome = this.log.appendAsLeader(buildBatch({ records, codec }), {
      leaderEpoch: LEADER_EPOCH,
      origin: 'client',
    })
    if (!('firstOffset' in outcome)) throw new Error(outcome.message)
    const own = outcome.logAppendTimeMs
    for (const [index, timestampMs] of times.entries()) {
      this.records.push({ offset: outcome.firstOffset + index, timestampMs: own >= 0 ? own : timestampMs })
    }
  }

  /** Asks for every timestamp that matters, and for the greatest. */
  check(): void {
    const { log, records } = this
    const asked = new Set(
      records.flatMap(({ timestampMs }) => [timestampMs, timestampMs + 1]).filter((ms) => ms >= 0),
    )
    for (const timestampMs of asked) {
      const found = records.find((record) => record.timestampMs >= timestampMs)
      expect(log.offsetForTimestamp(timestampMs), `timestamp ${timestampMs}`).toEqual(answerOf(found))
    }
    const greatest = Math.max(-1, ...records.map(({ timestampMs }) => timestampMs))
    const first = greatest < 0 ? undefined : records.find(({ timestampMs }) => timestampMs === greatest)
    expect(log.offsetOfMaxTimestamp(), 'the greatest').toEqual(answerOf(first))
  }
}

const answerOf = (record: Written | undefined) =>
  record === undefined ? null : { ...record, leaderEpoch: LEADER_EPOCH }

describe('offsets by timestamp', () => {
  it('are those of a list of records, whatever has happened to the log', async () => {
    const steps = fc.array(step, { minLength: 10, maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        const model = new Model()
        for (const each of steps) {
          await model.take(each)
          model.check()
        }
      }),
      { numRuns: 60 },
    )
  })
})
