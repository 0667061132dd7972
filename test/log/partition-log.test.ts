import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createNodeDisk } from '../../src/env/node/disk.ts'
import { decodeRecords } from '../../src/protocol/record-batch.ts'
import { append, openLogs, readAll } from './log-fixture.ts'

describe('a partition log on the real disk', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'odradek-log-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))
  const disk = createNodeDisk()

  it('gives back what was appended, across a clean stop', async () => {
    const first = openLogs({ disk, directory })
    const log = first.log()
    for (let i = 0; i < 100; i++) {
      expect(append(log, `value ${i}`)).toMatchObject({ error: 0, firstOffset: i, lastOffset: i })
    }
    const bytes = readAll(log)
    expect(decodeRecords(bytes)[0].value?.toString()).toBe('value 0')
    await first.manager.stop()

    const second = openLogs({ disk, directory })
    expect(second.log().logEndOffset).toBe(100)
    expect(readAll(second.log()).equals(bytes)).toBe(true)
    expect(second.logger.lines).toEqual([])
    expect(append(second.log(), 'more')).toMatchObject({ firstOffset: 100 })
    await second.manager.stop()
  })

  it('rolls and reads across segments', async () => {
    const { manager, log: open } = openLogs({ disk, directory, config: { segmentBytes: 1000 } })
    const log = open()
    for (let i = 0; i < 50; i++) append(log, `value ${i} ${'x'.repeat(100)}`)
    const bytes = readAll(log)
    let at = 0
    for (let i = 0; i < 50; i++) {
      expect(decodeRecords(bytes, at)[0].value?.toString()).toMatch(new RegExp(`^value ${i} `))
      at += 12 + bytes.readInt32BE(at + 8)
    }
    await manager.stop()
  })

  it('serves more segments than it may keep open', async () => {
    const config = { segmentBytes: 400, indexIntervalBytes: 100 }
    const options = { disk, directory, config, manager: { maxResidentSegments: 3 } }
    const first = openLogs(options)
    for (let i = 0; i < 120; i++) append(first.log('t', i % 8), `value ${i} ${'x'.repeat(60)}`)
    const bytes = Array.from({ length: 8 }, (_, partition) => readAll(first.log('t', partition)))
    for (const each of bytes) expect(each.length).toBeGreaterThan(1500)
    await first.manager.stop()
    const second = openLogs(options)
    bytes.forEach((each, partition) => expect(readAll(second.log('t', partition)).equals(each)).toBe(true))
    await second.manager.stop()
  })
})
