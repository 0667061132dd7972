/** Consumer groups of the new protocol (KIP-848) in a whole broker: real topics, real metadata, over the wire. */
import { expect, test } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { metadataApi } from '../../src/protocol/messages/03-metadata.ts'
import { offsetCommitApi } from '../../src/protocol/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../src/protocol/messages/09-offset-fetch.ts'
import { findCoordinatorApi } from '../../src/protocol/messages/10-find-coordinator.ts'
import { listGroupsApi } from '../../src/protocol/messages/16-list-groups.ts'
import { createPartitionsApi } from '../../src/protocol/messages/37-create-partitions.ts'
import { consumerGroupHeartbeatApi } from '../../src/protocol/messages/68-consumer-group-heartbeat.ts'
import { consumerGroupDescribeApi } from '../../src/protocol/messages/69-consumer-group-describe.ts'
import type { Encodable } from '../../src/protocol/schema.ts'
import { startProcess } from './broker-process.ts'
import { createTopic } from './requests.ts'
import type { WireClient } from './wire-client.ts'

const GROUP = 'new-group'
const PROPERTIES = { 'offsets.topic.num.partitions': '1' }

type Sent = Omit<Encodable<typeof consumerGroupHeartbeatApi.request.fields>, 'groupId'>

async function beat(client: WireClient, request: Sent, version = 1) {
  return client.request(consumerGroupHeartbeatApi, version, { groupId: GROUP, ...request })
}

const joining = (more: Partial<Sent>): Sent => ({
  memberId: 'm',
  memberEpoch: 0,
  rebalanceTimeoutMs: 60_000,
  topicPartitions: [],
  ...more,
})

async function topicId(client: WireClient, name: string): Promise<string> {
  const { topics } = await client.request(metadataApi, 12, { topics: [{ name }] })
  return topics[0].topicId
}

async function addPartitions(client: WireClient, count: number): Promise<void> {
  const topics = [{ name: 'read', count, assignments: null }]
  await client.request(createPartitionsApi, 3, { topics, timeoutMs: 5_000, validateOnly: false })
}

async function withBroker(properties: Record<string, string>, use: (client: WireClient) => Promise<void>) {
  const process = await startProcess(new SimDisk({ random: new SeededRandom(1) }), {
    ...PROPERTIES,
    ...properties,
  })
  try {
    const client = await process.connect()
    await createTopic(client, 'read', {}, 3)
    await client.request(findCoordinatorApi, 4, { keyType: 0, coordinatorKeys: [GROUP] })
    await use(client)
    expect(process.bugs).toEqual([])
  } finally {
    await process.stop()
  }
}

test('a member gets the partitions of a topic, those that are added, and stores what it has read', async () => {
  await withBroker({}, async (client) => {
    const id = await topicId(client, 'read')
    await expect
      .poll(async () => (await beat(client, joining({ subscribedTopicNames: ['read'] }))).errorCode)
      .toBe(ErrorCode.NONE)
    const joined = await beat(client, joining({ subscribedTopicNames: ['read'] }))
    expect(joined.assignment).toEqual({ topicPartitions: [{ topicId: id, partitions: [0, 1, 2] }] })
    const { memberEpoch } = joined
    await addPartitions(client, 4)
    const later = await beat(client, { memberId: 'm', memberEpoch })
    expect(later.memberEpoch).toBe(memberEpoch + 1)
    expect(later.assignment?.topicPartitions[0].partitions).toEqual([0, 1, 2, 3])

    const partitions = [{ partitionIndex: 3, committedOffset: 7, committedMetadata: '' }]
    const commit = (epoch: number) =>
      client.request(offsetCommitApi, 9, {
        groupId: GROUP,
        memberId: 'm',
        generationIdOrMemberEpoch: epoch,
        topics: [{ name: 'read', partitions }],
      })
    const errorOf = async (epoch: number) => (await commit(epoch)).topics[0].partitions[0].errorCode
    expect(await errorOf(memberEpoch)).toBe(ErrorCode.STALE_MEMBER_EPOCH)
    expect(await errorOf(later.memberEpoch)).toBe(ErrorCode.NONE)
    const fetch = (epoch: number) => {
      const groups = [{ groupId: GROUP, memberId: 'm', memberEpoch: epoch, topics: null }]
      return client.request(offsetFetchApi, 9, { groups, requireStable: true })
    }
    const [fetched] = (await fetch(later.memberEpoch)).groups
    expect(fetched.topics[0].partitions[0]).toMatchObject({ partitionIndex: 3, committedOffset: 7 })
    expect((await fetch(1)).groups[0].errorCode).toBe(ErrorCode.STALE_MEMBER_EPOCH)
  })
})

test('it is described, listed, and has its topics by a regular expression', async () => {
  await withBroker({}, async (client) => {
    await createTopic(client, 'rest')
    await expect
      .poll(async () => (await beat(client, joining({ subscribedTopicRegex: 're.*' }))).errorCode)
      .toBe(ErrorCode.NONE)
    await expect
      .poll(async () => {
        const { assignment } = await beat(client, joining({ subscribedTopicRegex: 're.*' }))
        return assignment?.topicPartitions.length
      })
      .toBe(2)
    const wrong = await beat(client, joining({ memberId: 'w', subscribedTopicRegex: '(' }))
    expect(wrong.errorCode).toBe(ErrorCode.INVALID_REGULAR_EXPRESSION)
    const { groups } = await client.request(listGroupsApi, 5, { statesFilter: [], typesFilter: ['consumer'] })
    expect(groups).toMatchObject([{ groupId: GROUP, protocolType: 'consumer', groupType: 'consumer' }])
    for (const version of [0, 1]) {
      const described = await client.request(consumerGroupDescribeApi, version, {
        groupIds: [GROUP, 'nobody'],
        includeAuthorizedOperations: true,
      })
      expect(described.groups[0]).toMatchObject({
        errorCode: 0,
        groupState: 'Stable',
        assignorName: 'uniform',
      })
      expect(described.groups[0].authorizedOperations).toBeGreaterThan(0)
      expect(described.groups[0].members).toMatchObject([
        { memberId: 'm', subscribedTopicRegex: 're.*', memberType: version === 0 ? -1 : 1 },
      ])
      expect(described.groups[1].errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    }
  })
})

test('where only the classic protocol is served it is told so', async () => {
  await withBroker({ 'group.coordinator.rebalance.protocols': 'classic' }, async (client) => {
    const { errorCode } = await beat(client, joining({ subscribedTopicNames: ['read'] }))
    expect(errorCode).toBe(ErrorCode.UNSUPPORTED_VERSION)
  })
})
