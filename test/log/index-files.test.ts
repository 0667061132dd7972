import { describe, expect, it } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { append, batchOf, openLogs, START_MS } from './log-fixture.ts'
import { checkPartitionFiles } from './partition-files.ts'

const DIRECTORY = '/data/t-0'

function simDisk(): SimDisk {
  return new SimDisk({ random: new SeededRandom(1) })
}

function offsetEntries(bytes: Buffer): [number, number][] {
  return Array.from({ length: bytes.length / 8 }, (_, i) => [
    bytes.readInt32BE(8 * i),
    bytes.readInt32BE(8 * i + 4),
  ])
}

function timeEntries(bytes: Buffer): [number, number][] {
  return Array.from({ length: bytes.length / 12 }, (_, i) => [
    Number(bytes.readBigInt64BE(12 * i)),
    bytes.readInt32BE(12 * i + 8),
  ])
}

describe('index files', () => {
  it('hold (last offset of the chunk, position where it starts) once more than the interval has passed', async () => {
    const disk = simDisk()
    const { manager, log } = openLogs({ disk, config: { indexIntervalBytes: 300 } })
    const size = batchOf({ values: ['x'.repeat(100), 'y'] }).length
    for (let i = 0; i < 6; i++)
      append(log(), { values: ['x'.repeat(100), 'y'], timestampMs: START_MS + 10 * i })
    await manager.stop()

    expect(size).toBeGreaterThan(150)
    expect(size).toBeLessThan(300)
    // Two batches are more than 300 bytes: the third has an entry, then the fifth.
    expect(offsetEntries(disk.readFile(`${DIRECTORY}/00000000000000000000.index`))).toEqual([
      [5, 2 * size],
      [9, 4 * size],
    ])
    // With each of them, and at the close, the largest timestamp and the last offset of its batch.
    expect(timeEntries(disk.readFile(`${DIRECTORY}/00000000000000000000.timeindex`))).toEqual([
      [START_MS + 21, 5],
      [START_MS + 41, 9],
      [START_MS + 51, 11],
    ])
  })

  it('give no time entry for a timestamp that is not greater', async () => {
    const disk = simDisk()
    const { manager, log } = openLogs({ disk, config: { indexIntervalBytes: 0 } })
    for (const timestampMs of [50, 40, 30, 60]) append(log(), { values: ['v'], timestampMs })
    await manager.stop()
    expect(timeEntries(disk.readFile(`${DIRECTORY}/00000000000000000000.timeindex`))).toEqual([
      [50, 0],
      [60, 3],
    ])
  })

  it('are rebuilt where a kill or a power cut left none, and agree with the log', () => {
    const disk = simDisk()
    const first = openLogs({ disk, config: { indexIntervalBytes: 200 } })
    for (let i = 0; i < 20; i++) append(first.log(), { values: ['x'.repeat(150)], timestampMs: START_MS + i })
    disk.kill()
    expect(disk.stat(`${DIRECTORY}/00000000000000000000.index`)).toBe(null)
    const second = openLogs({ disk, config: { indexIntervalBytes: 200 } })
    expect(second.log().logEndOffset).toBe(20)
    expect(second.log().offsetForTimestamp(START_MS + 13)).toMatchObject({
      offset: 13,
      timestampMs: START_MS + 13,
    })
    const size = batchOf('x'.repeat(150)).length
    for (const [offset, position] of offsetEntries(
      disk.readFile(`${DIRECTORY}/00000000000000000000.index`),
    )) {
      expect(position).toBe(offset * size)
    }
  })

  it('find the first record at a timestamp, inside a batch and across segments', async () => {
    const disk = simDisk()
    const { manager, log } = openLogs({ disk, config: { indexIntervalBytes: 100, segmentBytes: 500 } })
    for (let i = 0; i < 10; i++)
      append(log(), { values: ['a', 'b', 'x'.repeat(100)], timestampMs: START_MS + 10 * i })
    const t = log()
    expect(t.offsetForTimestamp(0)).toMatchObject({ offset: 0, timestampMs: START_MS })
    expect(t.offsetForTimestamp(START_MS + 41)).toMatchObject({ offset: 13, timestampMs: START_MS + 41 })
    expect(t.offsetForTimestamp(START_MS + 45)).toMatchObject({ offset: 15, timestampMs: START_MS + 50 })
    expect(t.offsetForTimestamp(START_MS + 93)).toBe(null)
    expect(t.offsetOfMaxTimestamp()).toMatchObject({ offset: 29, timestampMs: START_MS + 92 })
    t.raiseLogStart(14, 30)
    expect(t.offsetForTimestamp(0)).toMatchObject({ offset: 14 })
    await manager.stop()
  })
})

const filesOf = (disk: SimDisk, directory: string) =>
  new Map(disk.list(directory).map((name) => [name, disk.readFile(`${directory}/${name}`)]))

it('a segment that was at rest when its log rolled, or stopped, has its greatest timestamp in its time index', async () => {
  const disk = simDisk()
  const { manager, log } = openLogs({
    disk,
    config: { segmentBytes: 600 },
    manager: { maxResidentSegments: 1 },
  })
  const [rolled, stopped] = [log('rolled'), log('stopped')]
  append(rolled, { values: ['a'], timestampMs: START_MS })
  append(stopped, { values: ['b'], timestampMs: START_MS + 1 })
  append(rolled, { values: ['c'.repeat(500)], timestampMs: START_MS + 2 })
  expect(rolled.segmentMarks()).toHaveLength(3)
  await manager.stop()
  for (const topic of ['rolled-0', 'stopped-0'])
    expect(checkPartitionFiles(filesOf(disk, `/data/${topic}`), { closed: true }).problems).toEqual([])
})
