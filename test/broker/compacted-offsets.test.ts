/** The broker's own topic of group offsets is compacted as any other, and groups are loaded from what is left. */
import { expect, test } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { startProcess } from './broker-process.ts'
import { commitOffset, committedOffset, createTopic } from './requests.ts'

const COMMITS = 60
const GROUPS = ['a', 'b', 'c']
const properties = {
  'offsets.topic.num.partitions': '1',
  'offsets.topic.segment.bytes': '1000',
  'log.cleaner.backoff.ms': '5',
  'log.cleaner.min.cleanable.ratio': '0',
}

test('committed offsets outlive compaction and a restart', async () => {
  const disk = new SimDisk({ random: new SeededRandom(1) })
  const first = await startProcess(disk, properties)
  const client = await first.connect()
  await createTopic(client, 't')
  for (let offset = 1; offset <= COMMITS; offset++) {
    for (const group of GROUPS) expect(await commitOffset(client, group, 't', offset)).toBe(0)
  }
  const log = first.broker.parts.logs.get('__consumer_offsets', 0)!
  const written = log.logEndOffset
  expect(written).toBeGreaterThanOrEqual(COMMITS * GROUPS.length)
  // Bytes, not files: a pass makes a file of each full segment, and only the next one merges them, if there is one.
  await expect.poll(() => log.sizeBytes, { timeout: 50_000 }).toBeLessThan(5000)
  await first.stop()
  expect(first.bugs).toEqual([])

  const second = await startProcess(disk, properties)
  const again = await second.connect()
  for (const group of GROUPS) expect(await committedOffset(again, group, 't')).toBe(COMMITS)
  expect(second.broker.parts.logs.get('__consumer_offsets', 0)!.logEndOffset).toBe(written)
  await second.stop()
  expect(second.bugs).toEqual([])
})
