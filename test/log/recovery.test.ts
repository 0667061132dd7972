/** What a start makes of the traces that a crash left; each of these once went wrong (test/log/crashes finds them). */
import { describe, expect, it } from 'vitest'
import type { Disk, DiskFile } from '../../src/env/disk.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { append, openLogs } from './log-fixture.ts'

const simDisk = (): SimDisk => new SimDisk({ random: new SeededRandom(1) })

function write(disk: SimDisk, path: string, content: string | Buffer): void {
  const file = disk.open(path, 'write')
  file.truncate(0)
  file.write([Buffer.from(content)], 0)
  file.close()
}

/** The same disk; how many files are open on it, and how many syncs there were. */
function countOpenFiles(inner: Disk) {
  let [open, mostOpen, syncs] = [0, 0, 0]
  const countedFile = (file: DiskFile): DiskFile =>
    new Proxy(file, {
      get(target, name) {
        if (name === 'close') open--
        if (name === 'sync') syncs++
        const member = Reflect.get(target, name, target)
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
  const disk = new Proxy(inner, {
    get(target, name) {
      const member = Reflect.get(target, name, target)
      if (name !== 'open') return typeof member === 'function' ? member.bind(target) : member
      return (path: string, mode: 'read' | 'write') => {
        mostOpen = Math.max(mostOpen, ++open)
        return countedFile(inner.open(path, mode))
      }
    },
  })
  return { disk, open: () => open, mostOpen: () => mostOpen, synced: () => syncs }
}

describe('the start after a crash', () => {
  it('removes small files whose replacement was under way', () => {
    const disk = simDisk()
    append(openLogs({ disk }).log(), 'v')
    disk.kill()
    write(disk, '/data/t-0/00000000000000000001.snapshot.tmp', 'half')
    openLogs({ disk })
    expect(disk.list('/data/t-0').filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  it('is not taken for one after a clean stop because the marker came back', async () => {
    const disk = simDisk()
    await openLogs({ disk }).manager.stop()
    disk.crash('drop')
    openLogs({ disk })
    disk.crash('drop')
    expect(disk.stat('/data/.kafka_cleanshutdown')).toBe(null)
  })

  it('makes torn leader epochs anew from the batches', async () => {
    const disk = simDisk()
    const first = openLogs({ disk })
    for (const epoch of [0, 0, 3, 7]) append(first.log(), 'v', epoch)
    await first.manager.stop()
    disk.kill()
    write(disk, '/data/t-0/leader-epoch-checkpoint', '0\n3\n0 0\n3 2\n7 ')
    const second = openLogs({ disk })
    expect([0, 1, 2, 3].map((offset) => second.log().epochForOffset(offset))).toEqual([0, 0, 3, 7])
    expect(second.logger.lines.join()).toMatch(/leader epochs are broken/)
  })

  it('drops an empty segment whose predecessor lost its end', () => {
    const disk = simDisk()
    append(openLogs({ disk }).log(), 'v')
    disk.kill()
    write(disk, '/data/t-0/00000000000000000009.log', '')
    const { log, logger } = openLogs({ disk })
    expect(log().logEndOffset).toBe(1)
    expect(logger.lines.join()).toMatch(/segments after the end of the log are deleted/)
  })

  it('drops a segment that begins below the end of the one before', () => {
    const disk = simDisk()
    const { log } = openLogs({ disk })
    for (let index = 0; index < 4; index++) append(log(), `v${index}`)
    disk.kill()
    const old = disk.readFile('/data/t-0/00000000000000000000.log')
    write(disk, '/data/t-0/00000000000000000002.log', old.subarray(old.length / 2))
    const again = openLogs({ disk })
    expect(again.log().logEndOffset).toBe(4)
    expect(again.logger.lines.join()).toMatch(/segments after the end of the log are deleted/)
  })

  it('keeps what lies behind a gap that a compaction left, whatever the settings of the topic are now', async () => {
    const disk = simDisk()
    const { log } = openLogs({ disk, config: { segmentBytes: 200 } })
    for (let index = 0; index < 6; index++) append(log(), 'v'.repeat(100))
    disk.kill()
    for (const suffix of ['log', 'index', 'timeindex', 'snapshot']) {
      disk.remove(`/data/t-0/00000000000000000002.${suffix}`)
    }
    write(disk, '/data/recovery-point-offset-checkpoint', '0\n1\nt 0 1\n')
    write(disk, '/data/cleaner-offset-checkpoint', '0\n1\nt 0 3\n')
    expect(openLogs({ disk }).log().logEndOffset).toBe(6)
  })

  it('has few files open at once when it, and the stop after it, sync hundreds of segments', async () => {
    const disk = simDisk()
    const config = { segmentBytes: 200 }
    const before = openLogs({ disk, config })
    for (let partition = 0; partition < 4; partition++) {
      for (let count = 0; count < 50; count++) append(before.log('t', partition), 'v'.repeat(100))
    }
    expect([...before.manager.all()].map((log) => (log as PartitionLog).segmentCount)).toEqual([
      50, 50, 50, 50,
    ])
    disk.kill()
    disk.remove('/data/recovery-point-offset-checkpoint')
    const counted = countOpenFiles(disk)
    const after = openLogs({ disk: counted.disk, config, manager: { maxResidentSegments: 10 } })
    await after.manager.stop()
    expect(counted.synced()).toBeGreaterThan(4 * 49 * 3)
    expect(counted.mostOpen()).toBeLessThan(150)
    expect(counted.open()).toBeLessThanOrEqual(1)
  })
})
