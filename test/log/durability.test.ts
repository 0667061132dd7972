import { describe, expect, test } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import type { LogConfig, ReplicaLog } from '../../src/log/types.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { append, openLogs, readAll, type Fixture } from './log-fixture.ts'

const LOG = '/data/t-0/00000000000000000000.log'
const simDisk = (): SimDisk => new SimDisk({ random: new SeededRandom(1) })
const everyRecord: Partial<LogConfig> = { flushMessages: 1, segmentBytes: 300, indexIntervalBytes: 100 }
const open = (disk: SimDisk, config: Partial<LogConfig> = everyRecord, directory = '/data'): Fixture =>
  openLogs({ disk, config, directory })

/** As Produce does: what is due is flushed before it counts. Throws where it must not be acknowledged. */
async function acknowledge(log: ReplicaLog, value: string, leaderEpoch = 0): Promise<void> {
  expect(append(log, value, leaderEpoch)).toMatchObject({ error: 0 })
  if (log.flushDue) await log.flush()
}

const valuesIn = (log: ReplicaLog): string[] =>
  [
    ...readAll(log)
      .toString('latin1')
      .matchAll(/<(\w+)>/g),
  ].map((match) => match[1])

/** The disk as a power cut would leave it now; it goes on itself. */
function cut(disk: SimDisk): SimDisk {
  const copy = disk.clone(new SeededRandom(1))
  copy.crash('drop')
  return copy
}

/** Counts syncs of `.log` files. */
function countSyncs(disk: SimDisk): () => number {
  let syncs = 0
  disk.onStep = ({ operation, path }) => {
    if (operation === 'sync' && path.endsWith('.log')) syncs++
  }
  return () => syncs
}

describe('with flush.messages=1 a power cut loses nothing that was acknowledged', () => {
  const afterPowerCut = (disk: SimDisk, directory = '/data'): string[] => {
    disk.crash('drop')
    return valuesIn(open(disk, everyRecord, directory).log())
  }

  test('of a new topic, in a directory that was just made', async () => {
    const disk = simDisk()
    disk.makeDirectory('/mnt')
    disk.syncDirectory('/')
    await acknowledge(open(disk, everyRecord, '/mnt/new').log(), '<a>')
    expect(afterPowerCut(disk, '/mnt/new')).toEqual(['a'])
  })

  test('over rolls', async () => {
    const disk = simDisk()
    const { log } = open(disk)
    const values = Array.from({ length: 20 }, (_, i) => `r${i}`)
    for (const value of values) {
      await acknowledge(log(), `<${value}>`)
      expect(valuesIn(open(cut(disk)).log()).at(-1)).toBe(value)
    }
    expect(disk.list('/data/t-0').filter((name) => name.endsWith('.log')).length).toBeGreaterThan(3)
    expect(afterPowerCut(disk)).toEqual(values)
  })

  test('in place of what was cut off, which does not come back', async () => {
    const disk = simDisk()
    const { log } = open(disk)
    for (let i = 0; i < 12; i++) await acknowledge(log(), `<old${i}>`)
    log().truncateTo(2)
    for (let i = 0; i < 3; i++) await acknowledge(log(), `<new${i}>`, 1)
    expect(afterPowerCut(disk)).toEqual(['old0', 'old1', 'new0', 'new1', 'new2'])
  })

  test('from the offset on where the log was begun anew', async () => {
    const disk = simDisk()
    const { log } = open(disk)
    for (let i = 0; i < 3; i++) await acknowledge(log(), `<old${i}>`)
    log().truncateFullyAndStartAt(50)
    await acknowledge(log(), '<new>', 1)
    disk.crash('drop')
    const after = open(disk).log()
    expect([after.logStartOffset, after.logEndOffset, valuesIn(after)]).toEqual([50, 51, ['new']])
  })

  test('after a start that found only what was in memory', async () => {
    const disk = simDisk()
    append(open(disk, { ...everyRecord, flushMessages: Infinity }).log(), '<unflushed>')
    disk.kill()
    await acknowledge(open(disk).log(), '<flushed>')
    expect(afterPowerCut(disk)).toEqual(['unflushed', 'flushed'])
  })

  test('of a topic of the same name as one that was deleted', async () => {
    const disk = simDisk()
    const { manager, log } = open(disk)
    await acknowledge(log(), '<old>')
    manager.remove('t', 0)
    await acknowledge(log(), '<new>')
    expect(afterPowerCut(disk)).toEqual(['new'])
  })
})

test('the recovery point never passes what is on the disk, over rolls, truncations and flushes', async () => {
  const random = new SeededRandom(4)
  const disk = simDisk()
  const { log } = open(disk, { segmentBytes: 300, indexIntervalBytes: 100 })
  const held = log() as PartitionLog
  const points = new Set<number>()
  for (let step = 0; step < 200; step++) {
    expect(append(held, `<${step}>`)).toMatchObject({ error: 0 })
    if (random.next() < 0.1) await held.flush()
    // A roll's own flush gets on, or does not.
    else if (random.next() < 0.3) await Promise.resolve()
    if (random.next() < 0.05) held.truncateTo(held.logEndOffset - 3)
    points.add(held.recoveryPoint)
    const after = open(cut(disk)).log()
    expect(after.logEndOffset, `step ${step}`).toBeGreaterThanOrEqual(held.recoveryPoint)
  }
  expect(points.size).toBeGreaterThan(20)
})

describe('group commit', () => {
  test('many who wait share an fsync: the one under way is followed by one for all that came meanwhile', async () => {
    const disk = simDisk()
    const { log } = open(disk, { flushMessages: 1 })
    await acknowledge(log(), '<first>')
    const syncs = countSyncs(disk)
    const waiting = Array.from({ length: 100 }, (_, i) => acknowledge(log(), `<w${i}>`))
    await Promise.all(waiting)
    expect(syncs()).toBe(2)
    disk.onStep = null
    disk.crash('drop')
    expect(valuesIn(open(disk).log())).toHaveLength(101)
  })

  test('whoever waits for an fsync that fails is not acknowledged, nor whoever comes after', async () => {
    const disk = simDisk()
    const { log, logger } = open(disk, { flushMessages: 1 })
    await acknowledge(log(), '<kept>')
    const { recoveryPoint } = log() as unknown as { recoveryPoint: number }
    disk.failNext({ operation: 'sync', code: 'IO', pathPart: LOG, losesPages: true })
    const held = log()
    const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((value) => acknowledge(held, `<${value}>`)))
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(append(held, '<late>')).toMatchObject({ error: ErrorCode.KAFKA_STORAGE_ERROR })
    await expect(held.flush()).rejects.toMatchObject({ code: 'IO' })
    expect((held as unknown as { recoveryPoint: number }).recoveryPoint).toBe(recoveryPoint)
    expect(logger.lines.join()).toMatch(/a log directory has failed/)
    disk.crash('drop')
    expect(valuesIn(open(disk).log())).toEqual(['kept'])
  })

  test('an fsync for lack of room is a failed one too', async () => {
    const disk = simDisk()
    const { log } = open(disk, { flushMessages: 1 })
    const held = log()
    append(held, '<a>')
    disk.failNext({ operation: 'sync', code: 'NO_SPACE', pathPart: LOG, losesPages: true })
    await expect(held.flush()).rejects.toMatchObject({ code: 'NO_SPACE' })
    expect(append(held, '<b>')).toMatchObject({ error: ErrorCode.KAFKA_STORAGE_ERROR })
  })
})

describe('flush.ms', () => {
  test('flushes what is older, and not before', async () => {
    const disk = simDisk()
    const { log, time } = open(disk, { flushMs: 500 })
    const syncs = countSyncs(disk)
    append(log(), '<a>')
    await time.advance(400)
    append(log(), '<b>')
    expect(syncs()).toBe(0)
    await time.advance(200)
    expect(syncs()).toBe(1)
    disk.onStep = null
    append(log(), '<c>')
    disk.crash('drop')
    expect(valuesIn(open(disk).log())).toEqual(['a', 'b'])
  })
})

describe('no room in the middle', () => {
  /** What is written when room ends after so many more bytes; then there is room again. */
  test.each([0, 1, 40, 90, 130, 200, 260, 400, 700])(
    'after %i bytes refuses what does not fit, keeps what was acknowledged, and goes on',
    async (room) => {
      const disk = simDisk()
      const { log, manager, time } = open(disk)
      const acknowledged: string[] = []
      for (let i = 0; i < 3; i++) {
        await acknowledge(log(), `<a${i}>`)
        acknowledged.push(`a${i}`)
      }
      disk.capacityBytes = disk.usedBytes() + room
      for (let i = 0; i < 6; i++) {
        const outcome = append(log(), `<b${i}>`)
        if (outcome.error !== 0) expect(outcome.error).toBe(ErrorCode.KAFKA_STORAGE_ERROR)
        else if (
          await log()
            .flush()
            .then(
              () => true,
              () => false,
            )
        )
          acknowledged.push(`b${i}`)
      }
      await time.advance(61_000)
      disk.capacityBytes = Infinity
      await acknowledge(log(), '<c>')
      acknowledged.push('c')
      expect(valuesIn(log())).toEqual(expect.arrayContaining(acknowledged))
      expect(manager.logDirectories()[0].online).toBe(true)
      disk.crash('drop')
      expect(valuesIn(open(disk).log())).toEqual(acknowledged)
    },
  )
})
