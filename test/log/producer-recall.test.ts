/** A snapshot has the last batch of a producer: those before it, which it may send again, are found in the log. */
import { describe, expect, it } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import type { LogConfig, ReplicaLog } from '../../src/log/types.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { append, openLogs, type BatchShape } from './log-fixture.ts'

const produced = (baseSequence: number, more: Partial<BatchShape> = {}): BatchShape => ({
  values: ['a', 'b'],
  producerId: 9,
  producerEpoch: 0,
  baseSequence,
  ...more,
})
const byOther: Partial<BatchShape> = { producerId: 8 }
const refused = { error: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER }

/** What is sent again is where it was: `first`, batches of two records one after the other. */
function expectKnown(log: ReplicaLog, sequences: readonly number[], first: number): void {
  const end = log.logEndOffset
  for (const [index, sequence] of sequences.entries()) {
    const firstOffset = first + 2 * index
    expect(append(log, produced(sequence)), `sequence ${sequence}`).toMatchObject({
      duplicate: true,
      firstOffset,
    })
  }
  expect(log.logEndOffset).toBe(end)
}

/** A log to which `write` is done, as it is after a clean stop. */
async function stopped(
  write: (log: ReplicaLog) => void,
  config: Partial<LogConfig> = {},
): Promise<ReplicaLog> {
  const disk = new SimDisk({ random: new SeededRandom(1) })
  const first = openLogs({ disk, config })
  write(first.log())
  await first.manager.stop()
  return openLogs({ disk, config }).log()
}

describe('a producer that had batches in flight when the broker was stopped', () => {
  it('has each of the last five known, and those before as left behind', async () => {
    const log = await stopped((own) => {
      for (let i = 0; i < 7; i++) append(own, produced(2 * i))
    })
    expectKnown(log, [4, 6, 8, 10, 12], 4)
    expect(append(log, produced(2))).toMatchObject({ error: 0, duplicate: true, firstOffset: -1 })
    expect(append(log, produced(16))).toMatchObject(refused)
    expect(append(log, produced(14))).toMatchObject({ duplicate: false, firstOffset: 14 })
  })

  it('has those known that lie in the segments before', async () => {
    const write = (segments: number) => (own: ReplicaLog) => {
      for (let i = 0; i < 8; i++) append(own, produced(2 * i))
      expect(own.segmentMarks().length - 1).toBe(segments)
    }
    expectKnown(await stopped(write(8), { segmentBytes: 100 }), [6, 8, 10, 12, 14], 6)
    expectKnown(await stopped(write(3), { segmentBytes: 250 }), [6, 8, 10, 12, 14], 6)
  })

  it('has them known after the log was cut where a snapshot is, and after more was written and lost', async () => {
    const log = await stopped((own) => {
      for (let i = 0; i < 4; i++) append(own, produced(2 * i))
    })
    append(log, produced(8))
    log.truncateTo(8)
    expectKnown(log, [0, 2, 4, 6], 0)
    expect(append(log, produced(8))).toMatchObject({ duplicate: false, firstOffset: 8 })
  })

  it('has them known among those of others, but not without an end', async () => {
    const among = (count: number) => (own: ReplicaLog) => {
      append(own, produced(0))
      for (let i = 0; i < count; i++) append(own, produced(2 * i, byOther))
      append(own, produced(2))
    }
    const indexed = { indexIntervalBytes: 1 }
    expect(append(await stopped(among(100), indexed), produced(0))).toMatchObject({
      duplicate: true,
      firstOffset: 0,
    })
    expect(append(await stopped(among(300), indexed), produced(0))).toMatchObject(refused)
  })

  it('has no batch of an older epoch known, nor one below the log start', async () => {
    const bumped = await stopped((own) => {
      append(own, produced(0))
      append(own, produced(0, { producerEpoch: 1 }))
      append(own, produced(2, { producerEpoch: 1 }))
    })
    expect(append(bumped, produced(0))).toMatchObject({ error: ErrorCode.INVALID_PRODUCER_EPOCH })
    expect(append(bumped, produced(0, { producerEpoch: 1 }))).toMatchObject({
      duplicate: true,
      firstOffset: 2,
    })
    const raised = await stopped((own) => {
      for (let i = 0; i < 3; i++) append(own, produced(2 * i))
      own.raiseLogStart(4, 6)
    })
    expect(append(raised, produced(2))).toMatchObject(refused)
    expectKnown(raised, [4], 4)
  })
})
