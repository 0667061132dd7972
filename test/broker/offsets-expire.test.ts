/** Expiry of offsets in a whole broker: its own timer, its own log, and the start after it. */
import { expect, test } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { offsetCommitApi } from '../../src/protocol/messages/08-offset-commit.ts'
import { startProcess } from './broker-process.ts'
import { commitOffset, committedOffset, createTopic } from './requests.ts'

const PROPERTIES = { 'offsets.retention.check.interval.ms': '5', 'offsets.topic.num.partitions': '1' }

test('an offset goes when its retention is over, and stays gone after a restart; others stay', async () => {
  const disk = new SimDisk({ random: new SeededRandom(1) })
  let process = await startProcess(disk, PROPERTIES)
  try {
    let client = await process.connect()
    await createTopic(client, 'read')
    const partitions = [{ partitionIndex: 0, committedOffset: 3, committedMetadata: '' }]
    const topics = [{ name: 'read', partitions }]
    await commitOffset(client, 'lasting', 'read', 9)
    const commit = { groupId: 'short-lived', memberId: '', retentionTimeMs: 1, topics }
    await client.request(offsetCommitApi, 2, commit)
    await expect.poll(() => committedOffset(client, 'short-lived', 'read')).toBe(-1)
    await process.stop()
    process = await startProcess(disk, PROPERTIES)
    client = await process.connect()
    expect(await committedOffset(client, 'short-lived', 'read')).toBe(-1)
    expect(await committedOffset(client, 'lasting', 'read')).toBe(9)
    expect(process.bugs).toEqual([])
  } finally {
    await process.stop()
  }
})
