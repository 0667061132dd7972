/** What a start makes of the traces that a crash left; each of these once went wrong (test/log/crashes finds them). */
import { describe, expect, it } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { append, openLogs } from './log-fixture.ts'

const simDisk = (): SimDisk => new SimDisk({ random: new SeededRandom(1) })

function write(disk: SimDisk, path: string, content: string | Buffer): void {
  const file = disk.open(path, 'write')
  file.truncate(0)
  file.write([Buffer.from(content)], 0)
  file.close()
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
})
