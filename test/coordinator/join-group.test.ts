import { describe, expect, it } from 'vitest'
import { heartbeat, join, stableGroup, sync } from './client.ts'
import { settled, world } from './world.ts'

describe('a first member', () => {
  it('is the generation at once when there is no initial delay', async () => {
    const w = world()
    const joined = join(w).now
    expect(joined).toMatchObject({
      errorCode: 0,
      generationId: 1,
      leader: joined.memberId,
      protocolName: 'range',
    })
    const synced = sync(w, {
      memberId: joined.memberId,
      generationId: 1,
      assignments: [{ memberId: joined.memberId, assignment: Buffer.from('all') }],
    })
    expect(synced.now).toMatchObject({ errorCode: 0, assignment: Buffer.from('all') })
    expect(heartbeat(w, { memberId: joined.memberId, generationId: 1 })).toBe(0)
  })
  it('stable', async () => {
    const w = world()
    const ids = await stableGroup(w, 3)
    await settled()
    console.log(w.groups.describeGroup('readers'), ids)
  })
})
