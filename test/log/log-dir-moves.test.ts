import { describe, expect, test } from 'vitest'
import { SimDisk, type CrashMode } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import type { ReplicaLog } from '../../src/log/types.ts'
import { LogDirMoves } from '../../src/replication/log-dir-moves.ts'
import { Partition } from '../../src/replication/partition.ts'
import { HandHost } from '../replication/partition-fixture.ts'
import { append, openLogs, readAll, TOPIC_ID, type Fixture } from './log-fixture.ts'

const DIRECTORIES = ['/one', '/two']
const config = { segmentBytes: 400, indexIntervalBytes: 100, fileDeleteDelayMs: 1000 }
const open = (disk: SimDisk): Fixture =>
  openLogs({ disk, config, manager: { logDirs: DIRECTORIES, clusterId: 'test-cluster' } })

interface Moving {
  readonly fixture: Fixture
  readonly partition: Partition
  readonly moves: LogDirMoves
}

function movesOn(fixture: Fixture, bytesPerSecond = Infinity): LogDirMoves {
  const { manager: logs, time, logger } = fixture
  return new LogDirMoves({ logs, timers: time.timers, logger, maxBytesPerSecond: () => bytesPerSecond })
}

/** A log of several segments that is durable, and lies in the first directory. */
async function filled(disk: SimDisk): Promise<Moving> {
  const fixture = open(disk)
  const log = fixture.log()
  log.startLeaderEpoch(3)
  for (let i = 0; i < 12; i += 2) {
    const producer = { producerId: 5, producerEpoch: 0, baseSequence: i }
    append(log, { values: [`v${i}`, `v${i + 1}`], ...producer }, 3)
  }
  // In the middle of a batch: nothing but the checkpoint knows it.
  log.raiseLogStart(3, 12)
  log.startLeaderEpoch(4)
  await fixture.time.settle()
  await log.flush()
  const partition = new Partition(new HandHost(), log, 12)
  return { fixture, partition, moves: movesOn(fixture) }
}

function begin({ fixture, partition, moves }: Moving, path = '/two'): void {
  moves.start(partition, fixture.manager.createFuture('t', 0, path))
}

/** Numbers of the records: v7 is 7. */
const numbersIn = (log: ReplicaLog): number[] =>
  [
    ...readAll(log)
      .toString('latin1')
      .matchAll(/v(\d+)/g),
  ].map((match) => Number(match[1]))

const liveDirectories = (disk: SimDisk): string[] =>
  DIRECTORIES.filter((directory) => disk.stat(`${directory}/t-0`) !== null)

test('a moved log has the records, the log start, the epochs and the producers, and is appended to', async () => {
  const disk = new SimDisk({ random: new SeededRandom(1) })
  const moving = await filled(disk)
  const before = moving.partition.log
  const had = { bytes: readAll(before), epochs: [3, 4].map((epoch) => before.endOffsetForEpoch(epoch)) }
  begin(moving)
  await moving.fixture.time.settle()
  const { log } = moving.partition
  expect(log.logDirectory).toBe('/two')
  expect(moving.fixture.manager.get('t', 0)).toBe(log)
  expect(log).toMatchObject({ logStartOffset: 3, logEndOffset: 12, topicId: TOPIC_ID, latestLeaderEpoch: 4 })
  expect(readAll(log)).toEqual(had.bytes)
  expect([3, 4].map((epoch) => log.endOffsetForEpoch(epoch))).toEqual(had.epochs)
  const again = { values: ['v10', 'v11'], producerId: 5, producerEpoch: 0, baseSequence: 10 }
  expect(append(log, again, 4)).toMatchObject({ error: 0, duplicate: true, firstOffset: 10 })
  expect(append(log, { ...again, values: ['v12'], baseSequence: 12 }, 4)).toMatchObject({ firstOffset: 12 })
})

test('what is appended, and what is cut, while a log is copied is appended and cut in the copy', async () => {
  const disk = new SimDisk({ random: new SeededRandom(1) })
  const moving = await filled(disk)
  const { partition, fixture } = moving
  begin(moving)
  let turns = 0
  const traffic = (): void => {
    turns++
    if (turns === 3) partition.log.truncateTo(6)
    if (turns > 3 && turns < 8) append(partition.log, `v${turns + 100}`, 4)
    if (turns < 8) fixture.time.timers.soon(traffic)
  }
  fixture.time.timers.soon(traffic)
  await fixture.time.settle()
  expect(partition.log.logDirectory).toBe('/two')
  expect(numbersIn(partition.log).filter((number) => number >= 2)).toEqual([2, 3, 4, 5, 104, 105, 106, 107])
})

test('the directory that was left goes after a while, and a move back works', async () => {
  const disk = new SimDisk({ random: new SeededRandom(1) })
  const moving = await filled(disk)
  const { time } = moving.fixture
  begin(moving)
  await time.settle()
  await time.advance(2000)
  expect(disk.list('/one').filter((name) => name.startsWith('t-'))).toEqual([])
  begin(moving, '/one')
  await time.settle()
  expect(moving.partition.log.logDirectory).toBe('/one')
  expect(numbersIn(moving.partition.log)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  await moving.fixture.manager.stop()
  expect(numbersIn(open(disk).log())).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
})

test('what is copied in a second is limited, over all that moves', async () => {
  const moving = await filled(new SimDisk({ random: new SeededRandom(1) }))
  const { fixture, partition } = moving
  const { sizeBytes } = partition.log
  begin({ ...moving, moves: movesOn(fixture, sizeBytes / 10) })
  await fixture.time.advance(5000)
  expect(partition.log.logDirectory).toBe('/one')
  await fixture.time.advance(10_000)
  expect(partition.log.logDirectory).toBe('/two')
})

describe('a log directory that fails while a partition moves', () => {
  const slowly = async (disk: SimDisk): Promise<Moving> => {
    const moving = await filled(disk)
    begin({ ...moving, moves: movesOn(moving.fixture, 1) })
    await moving.fixture.time.settle()
    return moving
  }

  test('ends the move when it is the new one, even when all had been copied', async () => {
    const disk = new SimDisk({ random: new SeededRandom(1) })
    const { fixture, partition } = await slowly(disk)
    fixture.manager.prefer('other', 0, '/two')
    const other = fixture.log('other')
    disk.breakDirectory('/two')
    append(other, 'v0')
    await fixture.time.advance(3_600_000)
    expect(fixture.logger.lines.join()).toMatch(/could not be moved/)
    expect(append(partition.log, 'v12', 4)).toMatchObject({ error: 0, firstOffset: 12 })
    expect(fixture.manager.get('t', 0)).toBe(partition.log)
    expect(fixture.manager.future('t', 0)).toBeUndefined()
  })

  test('leaves the copy when it is the old one, and the move goes on when it is repaired', async () => {
    const disk = new SimDisk({ random: new SeededRandom(1) })
    const { fixture, partition } = await slowly(disk)
    disk.breakDirectory('/one')
    append(partition.log, 'v12', 4)
    await fixture.time.advance(3_600_000)
    expect(disk.list('/two')).toContainEqual(expect.stringMatching(/-future$/))
    disk.kill()
    const without = open(disk).manager
    expect(() => without.getOrCreate('t', 0, TOPIC_ID, partition.log.config, false)).toThrow(
      /in no directory/,
    )
    disk.kill()
    disk.repairDirectory('/one')
    const again = open(disk)
    const found = new Partition(new HandHost(), again.log(), 12)
    movesOn(again).start(found, again.manager.future('t', 0)!)
    await again.time.settle()
    expect(found.log.logDirectory).toBe('/two')
    expect(numbersIn(found.log)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  })
})

describe('a crash before any step that a move takes on the disk', () => {
  const modes: CrashMode[] = ['drop', 'keep', 'random']
  test.each(modes)('leaves one log with all that was durable (%s)', async (mode) => {
    const disk = new SimDisk({ random: new SeededRandom(2) })
    const moving = await filled(disk)
    const crashed: { disk: SimDisk; step: string }[] = []
    let seed = 0
    disk.onStep = ({ operation, path }) => {
      crashed.push({ disk: disk.clone(new SeededRandom(++seed)), step: `${operation} ${path}` })
    }
    begin(moving)
    await moving.fixture.time.settle()
    await moving.fixture.time.advance(2000)
    expect(moving.partition.log.logDirectory).toBe('/two')
    begin(moving, '/one')
    await moving.fixture.time.settle()
    disk.onStep = null
    expect(moving.partition.log.logDirectory).toBe('/one')
    expect(crashed.length).toBeGreaterThan(60)
    for (const { disk: left, step } of crashed) {
      left.crash(mode)
      const fixture = open(left)
      const log = fixture.manager.get('t', 0)
      const at = `${mode}: before ${step}`
      expect(log && { numbers: numbersIn(log), start: log.logStartOffset }, at).toEqual({
        numbers: [2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        start: 3,
      })
      expect(liveDirectories(left), at).toHaveLength(1)
      await finishes(fixture, log!, at)
    }
  })

  /** Whatever a start finds, the partition can be moved, and takes appends. */
  async function finishes(fixture: Fixture, log: ReplicaLog, at: string): Promise<void> {
    const { manager, time } = fixture
    const partition = new Partition(new HandHost(), log, 12)
    const to = DIRECTORIES.find((directory) => directory !== log.logDirectory)!
    movesOn(fixture).start(partition, manager.future('t', 0) ?? manager.createFuture('t', 0, to))
    expect(append(log, 'v12', 4), at).toMatchObject({ error: 0, firstOffset: 12 })
    await time.settle()
    expect(partition.log.logDirectory, at).toBe(to)
    expect(numbersIn(partition.log).at(-1), at).toBe(12)
  }
})

describe('a start', () => {
  test('that finds a partition in two directories keeps the one that has more, and sets aside what it has not', async () => {
    const disk = new SimDisk({ random: new SeededRandom(1) })
    const moving = await filled(disk)
    await moving.fixture.manager.stop()
    disk.makeDirectory('/two/t-0')
    for (const name of disk.list('/one/t-0'))
      disk.replaceFile(`/two/t-0/${name}`, disk.readFile(`/one/t-0/${name}`))
    const grown = openLogs({ disk, config, manager: { logDirs: ['/two'] } })
    append(grown.log(), 'v12', 5)
    await grown.manager.stop()
    const both = open(disk)
    expect(both.log().logDirectory).toBe('/two')
    expect(numbersIn(both.log()).at(-1)).toBe(12)
    expect(disk.list('/one').filter((name) => name.startsWith('t-'))).toEqual([
      expect.stringMatching(/-delete$/),
    ])
  })

  test('that finds a copy and nothing to copy from takes the copy', async () => {
    const disk = new SimDisk({ random: new SeededRandom(1) })
    const moving = await filled(disk)
    let left = disk
    disk.onStep = ({ operation, path }) => {
      if (operation === 'rename' && path.endsWith('-future')) left = disk.clone(new SeededRandom(1))
    }
    begin(moving)
    await moving.fixture.time.settle()
    left.remove('/one/t-0')
    const { manager, logger } = open(left)
    expect(numbersIn(manager.get('t', 0)!)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    expect(logger.lines.join()).toMatch(/the copy takes its place/)
  })
})
