/** The group APIs as requests come: each handler at the versions where its shape changes, through the codecs. */
import { describe, expect, it } from 'vitest'
import { handleOffsetCommit } from '../../src/broker/handlers/08-offset-commit.ts'
import { handleOffsetFetch } from '../../src/broker/handlers/09-offset-fetch.ts'
import { handleJoinGroup } from '../../src/broker/handlers/11-join-group.ts'
import { handleHeartbeat } from '../../src/broker/handlers/12-heartbeat.ts'
import { handleLeaveGroup } from '../../src/broker/handlers/13-leave-group.ts'
import { handleSyncGroup } from '../../src/broker/handlers/14-sync-group.ts'
import { handleDescribeGroups } from '../../src/broker/handlers/15-describe-groups.ts'
import { handleListGroups } from '../../src/broker/handlers/16-list-groups.ts'
import { handleDeleteGroups } from '../../src/broker/handlers/42-delete-groups.ts'
import { handleOffsetDelete } from '../../src/broker/handlers/47-offset-delete.ts'
import type { Handler, RequestContext, Services } from '../../src/broker/services.ts'
import { codec } from '../../src/protocol/compile.ts'
import { offsetCommitApi } from '../../src/protocol/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../src/protocol/messages/09-offset-fetch.ts'
import { joinGroupApi } from '../../src/protocol/messages/11-join-group.ts'
import { heartbeatApi } from '../../src/protocol/messages/12-heartbeat.ts'
import { leaveGroupApi } from '../../src/protocol/messages/13-leave-group.ts'
import { syncGroupApi } from '../../src/protocol/messages/14-sync-group.ts'
import { describeGroupsApi } from '../../src/protocol/messages/15-describe-groups.ts'
import { listGroupsApi } from '../../src/protocol/messages/16-list-groups.ts'
import { deleteGroupsApi } from '../../src/protocol/messages/42-delete-groups.ts'
import { offsetDeleteApi } from '../../src/protocol/messages/47-offset-delete.ts'
import { Reader } from '../../src/protocol/reader.ts'
import type { Api, Decoded, Encodable, Fields } from '../../src/protocol/schema.ts'
import { Writer } from '../../src/protocol/writer.ts'
import { GROUP, subscription } from './client.ts'
import { world } from './world.ts'
import type { World } from './world.ts'

/** Encodes, decodes, handles, encodes, decodes: what a client of that version gets. */
async function call<Q extends Fields, R extends Fields>(
  w: World,
  api: Api<Q, R>,
  handler: Handler<Decoded<Q>, Encodable<R>>,
  request: { version: number; body: Encodable<Q> },
): Promise<Decoded<R>> {
  const { version, body } = request
  const context = { apiKey: api.key, apiVersion: version, clientId: 'app', clientHost: '/127.0.0.1' }
  const out = new Writer()
  codec(api.request, version).encode(out, body)
  const received = codec(api.request, version).decode(new Reader(Buffer.concat(out.finish())))
  const response = await handler({ groups: w.groups } as Services, received, context as RequestContext)
  const back = new Writer()
  codec(api.response, version).encode(back, response!)
  return codec(api.response, version).decode(new Reader(Buffer.concat(back.finish())))
}

const versionsOf = ({ versions: [min, max] }: { versions: readonly [number, number] }): number[] =>
  Array.from({ length: max - min + 1 }, (_, i) => min + i)

async function joined(w: World, version: number): Promise<{ memberId: string; generationId: number }> {
  const body = {
    groupId: GROUP,
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: subscription('orders') }],
  }
  const first = await call(w, joinGroupApi, handleJoinGroup, { version, body: { ...body, memberId: '' } })
  if (version < 4) return first
  expect(first).toMatchObject({ errorCode: 79, protocolName: version >= 7 ? null : '' })
  const { memberId } = first
  return call(w, joinGroupApi, handleJoinGroup, { version, body: { ...body, memberId } })
}

async function synced(w: World, version: number) {
  const member = await joined(w, 3)
  const assignments = [{ memberId: member.memberId, assignment: Buffer.from('work') }]
  const named = version >= 5 ? { protocolType: 'consumer', protocolName: 'range' } : {}
  const body = { groupId: GROUP, ...member, ...named, assignments }
  const answer = await call(w, syncGroupApi, handleSyncGroup, { version, body })
  return { member, answer }
}

describe('every version of', () => {
  it.each(versionsOf(joinGroupApi))('JoinGroup %i joins', async (version) => {
    const member = await joined(world(), version)
    expect(member).toMatchObject({
      errorCode: 0,
      generationId: 1,
      leader: member.memberId,
      protocolName: 'range',
    })
  })

  it.each(versionsOf(syncGroupApi))('SyncGroup %i brings the assignment', async (version) => {
    const { answer } = await synced(world(), version)
    expect(answer).toMatchObject({ errorCode: 0, assignment: Buffer.from('work') })
    expect(answer.protocolName).toBe(version >= 5 ? 'range' : null)
  })

  it.each(versionsOf(heartbeatApi))('Heartbeat %i is answered', async (version) => {
    const w = world()
    const { member } = await synced(w, 3)
    const body = { groupId: GROUP, ...member }
    expect(await call(w, heartbeatApi, handleHeartbeat, { version, body })).toMatchObject({ errorCode: 0 })
  })

  it.each(versionsOf(leaveGroupApi))(
    'LeaveGroup %i leaves, and says of a stranger that it is one',
    async (version) => {
      const w = world()
      const { member } = await synced(w, 3)
      const leave = (memberId: string) => {
        const body = { groupId: GROUP, memberId, members: [{ memberId }] }
        return call(w, leaveGroupApi, handleLeaveGroup, { version, body })
      }
      const answers = [await leave('stranger'), await leave(member.memberId)]
      const errors = answers.map((answer) => (version < 3 ? answer.errorCode : answer.members[0].errorCode))
      expect(errors).toEqual([25, 0])
    },
  )

  it.each(versionsOf(offsetCommitApi))('OffsetCommit %i commits', async (version) => {
    const w = world()
    const partitions = [
      { partitionIndex: 1, committedOffset: 42, committedLeaderEpoch: 2, committedMetadata: 'm' },
    ]
    const body = { groupId: GROUP, memberId: '', topics: [{ name: 'orders', partitions }] }
    const answer = await call(w, offsetCommitApi, handleOffsetCommit, { version, body })
    expect(answer.topics).toEqual([{ name: 'orders', partitions: [{ partitionIndex: 1, errorCode: 0 }] }])
    const [stored] = w.groups.fetchOffsets(GROUP, null, false).topics[0].partitions
    expect(stored).toMatchObject({
      committedOffset: 42,
      committedLeaderEpoch: version >= 6 ? 2 : -1,
      metadata: 'm',
    })
  })

  it.each(versionsOf(offsetFetchApi))('OffsetFetch %i fetches', async (version) => {
    const w = world()
    const partitions = [
      { partitionIndex: 1, committedOffset: 42, committedLeaderEpoch: 2, committedMetadata: 'm' },
    ]
    const committing = { groupId: GROUP, memberId: '', topics: [{ name: 'orders', partitions }] }
    await call(w, offsetCommitApi, handleOffsetCommit, { version: 9, body: committing })
    const fetch = async (groupId: string, topics: { name: string; partitionIndexes: number[] }[] | null) => {
      const body = { groupId, topics, groups: [{ groupId, topics }] }
      const answer = await call(w, offsetFetchApi, handleOffsetFetch, { version, body })
      return version >= 8 ? answer.groups[0] : answer
    }
    const wanted = [{ name: 'orders', partitionIndexes: [1] }]
    const epoch = version >= 5 ? 2 : -1
    const found = {
      partitionIndex: 1,
      committedOffset: 42,
      committedLeaderEpoch: epoch,
      metadata: 'm',
      errorCode: 0,
    }
    expect(await fetch(GROUP, wanted)).toMatchObject({ errorCode: 0, topics: [{ partitions: [found] }] })
    if (version >= 2)
      expect(await fetch(GROUP, null)).toMatchObject({ topics: [{ name: 'orders', partitions: [found] }] })
    w.groups.onResigned(0)
    const refused = await fetch(GROUP, wanted)
    // Version 1 has errors for partitions only.
    if (version >= 2) expect(refused).toMatchObject({ errorCode: 16, topics: [] })
    else expect(refused.topics[0].partitions[0]).toMatchObject({ committedOffset: -1, errorCode: 16 })
  })

  it.each(versionsOf(describeGroupsApi))('DescribeGroups %i describes', async (version) => {
    const w = world()
    await synced(w, 3)
    const body = { groups: [GROUP, 'x'], includeAuthorizedOperations: true }
    const { groups } = await call(w, describeGroupsApi, handleDescribeGroups, { version, body })
    expect(groups).toMatchObject([
      { groupState: 'Stable', members: [{ clientHost: '/127.0.0.1' }] },
      { groupState: 'Dead' },
    ])
    // READ, DELETE and DESCRIBE.
    expect(groups[0].authorizedOperations).toBe(version >= 3 ? 0b101001000 : -2147483648)
  })

  it.each(versionsOf(listGroupsApi))('ListGroups %i lists', async (version) => {
    const w = world()
    await synced(w, 3)
    const body = { statesFilter: ['Empty'], typesFilter: [] }
    const { groups } = await call(w, listGroupsApi, handleListGroups, { version, body })
    expect(groups.map(({ groupId }) => groupId)).toEqual(version >= 4 ? [] : [GROUP])
  })

  it.each(versionsOf(deleteGroupsApi))(
    'DeleteGroups %i deletes, and answers each name once',
    async (version) => {
      const w = world()
      await synced(w, 3)
      const body = { groupsNames: [GROUP, 'x', GROUP] }
      const { results } = await call(w, deleteGroupsApi, handleDeleteGroups, { version, body })
      expect(results).toEqual([
        { groupId: GROUP, errorCode: 68 },
        { groupId: 'x', errorCode: 69 },
      ])
    },
  )

  it('OffsetDelete 0 deletes', async () => {
    const w = world()
    const partitions = [{ partitionIndex: 1, committedOffset: 42, committedMetadata: null }]
    const committing = { groupId: GROUP, memberId: '', topics: [{ name: 'orders', partitions }] }
    await call(w, offsetCommitApi, handleOffsetCommit, { version: 3, body: committing })
    const body = { groupId: GROUP, topics: [{ name: 'orders', partitions: [{ partitionIndex: 1 }] }] }
    const answer = await call(w, offsetDeleteApi, handleOffsetDelete, { version: 0, body })
    expect(answer).toMatchObject({ errorCode: 0, topics: [{ partitions: [{ errorCode: 0 }] }] })
    expect(w.groups.listGroups([], []).groups).toEqual([])
  })

  it('OffsetFetch 8 answers each of several groups', async () => {
    const w = world()
    const body = { groups: ['a', 'b'].map((groupId) => ({ groupId, topics: null })) }
    const { groups } = await call(w, offsetFetchApi, handleOffsetFetch, { version: 8, body })
    expect(groups.map(({ groupId }) => groupId)).toEqual(['a', 'b'])
  })
})
