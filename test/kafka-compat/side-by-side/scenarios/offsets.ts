import { offsetCommitApi } from '../../../../src/protocol/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../../../src/protocol/messages/09-offset-fetch.ts'
import { joinGroupApi } from '../../../../src/protocol/messages/11-join-group.ts'
import { leaveGroupApi } from '../../../../src/protocol/messages/13-leave-group.ts'
import { syncGroupApi } from '../../../../src/protocol/messages/14-sync-group.ts'
import { describeGroupsApi } from '../../../../src/protocol/messages/15-describe-groups.ts'
import { deleteGroupsApi } from '../../../../src/protocol/messages/42-delete-groups.ts'
import { offsetDeleteApi } from '../../../../src/protocol/messages/47-offset-delete.ts'
import type { Encodable } from '../../../../src/protocol/schema.ts'
import { everyVersion, step } from '../scenario.ts'
import type { Reply, Scenario, Step } from '../scenario.ts'
import { createTopic, subscription, untilCoordinator } from './data.ts'

type CommitBody = Encodable<(typeof offsetCommitApi)['request']['fields']>
type CommitPartition = CommitBody['topics'][number]['partitions'][number]

const TOPIC = 'offsets-topic'
const OTHER = 'offsets-other'

interface CommitOptions {
  readonly generation?: number
  readonly memberId?: string
  readonly topic?: string
  readonly partition?: Partial<CommitPartition>
  readonly body?: Partial<CommitBody>
}

function commitBody(group: string, options: CommitOptions): CommitBody {
  const { generation = -1, memberId = '', topic = TOPIC, partition = {}, body = {} } = options
  return {
    groupId: group,
    generationIdOrMemberEpoch: generation,
    memberId,
    topics: [
      {
        name: topic,
        partitions: [{ partitionIndex: 0, committedOffset: 5, committedMetadata: 'm', ...partition }],
      },
    ],
    ...body,
  }
}

/** One topic's partitions, or all offsets of the group (null). */
function fetchOf(
  label: string,
  version: number,
  group: string,
  partitionIndexes: number[] | null,
  topic = TOPIC,
): Step {
  const topics = partitionIndexes && [{ name: topic, partitionIndexes }]
  return step(label, offsetFetchApi, version, {
    groupId: group,
    topics,
    groups: [{ groupId: group, topics }],
  })
}

function simpleConsumer(version: number): Step[] {
  const group = `simple-${version}`
  const commit = (label: string, options: CommitOptions = {}, to = group): Step =>
    step(label, offsetCommitApi, version, commitBody(to, options))
  return [
    commit('first'),
    commit('empty metadata', { partition: { partitionIndex: 1, committedMetadata: '' } }),
    commit('null metadata', { partition: { partitionIndex: 2, committedMetadata: null } }),
    commit('leader epoch', { partition: { partitionIndex: 3, committedLeaderEpoch: 4 } }),
    commit('metadata of 4096', { partition: { committedMetadata: 'x'.repeat(4096) } }),
    commit('metadata of 4097', { partition: { committedMetadata: 'x'.repeat(4097) } }),
    commit('offset -1', { partition: { committedOffset: -1 } }),
    commit('offset -5', { partition: { committedOffset: -5 } }),
    commit('beyond the end', { partition: { committedOffset: 1_000_000 } }),
    commit('unknown partition', { partition: { partitionIndex: 9 } }),
    commit('partition -1', { partition: { partitionIndex: -1 } }),
    commit('unknown topic', { topic: 'offsets-gone' }),
    commit('bad topic name', { topic: 'a/b' }),
    commit('empty topic name', { topic: '' }),
    commit('generation 3', { generation: 3 }),
    commit('generation 3 and a member', { generation: 3, memberId: 'stranger' }),
    commit('a member alone', { memberId: 'stranger' }),
    commit('generation of an unknown group', { generation: 3, memberId: 'stranger' }, `${group}-unknown`),
    commit('generation 0 of an unknown group', { generation: 0 }, `${group}-unknown`),
    commit('empty group id', {}, ''),
    commit('instance id', { body: { groupInstanceId: 'instance' } }),
    commit('empty', { body: { topics: [] } }),
    commit('empty to an unknown group', { body: { topics: [] } }, `${group}-never`),
    commit('topic without partitions', { body: { topics: [{ name: TOPIC, partitions: [] }] } }),
    commit('retention', { body: { retentionTimeMs: 100_000 } }),
    step('good and bad', offsetCommitApi, version, {
      ...commitBody(group, {}),
      topics: [
        {
          name: TOPIC,
          partitions: [0, 1, 9].map((partitionIndex) => ({
            partitionIndex,
            committedOffset: 7,
            committedMetadata: '',
          })),
        },
        {
          name: 'offsets-gone',
          partitions: [{ partitionIndex: 0, committedOffset: 7, committedMetadata: '' }],
        },
        { name: OTHER, partitions: [{ partitionIndex: 0, committedOffset: 8, committedMetadata: 'o' }] },
      ],
    }),
    step('twice', offsetCommitApi, version, {
      ...commitBody(group, {}),
      topics: [
        {
          name: TOPIC,
          partitions: [11, 12].map((committedOffset) => ({
            partitionIndex: 0,
            committedOffset,
            committedMetadata: '',
          })),
        },
      ],
    }),
    fetchOf('read', 7, group, [0, 1, 2, 3]),
    fetchOf('read all', 7, group, null),
    step('described', describeGroupsApi, 5, { groups: [group], includeAuthorizedOperations: false }),
    step('deleted', deleteGroupsApi, 2, { groupsNames: [group] }),
    fetchOf('read after that', 7, group, [0]),
  ]
}

function fetching(version: number): Step[] {
  const group = 'offset-fetch'
  return [
    fetchOf('some', version, group, [0, 1, 2, 3]),
    fetchOf('unknown partition', version, group, [9, -1]),
    fetchOf('unknown topic', version, group, [0], 'offsets-gone'),
    fetchOf('bad topic name', version, group, [0], 'a/b'),
    fetchOf('unknown group', version, 'offset-fetch-gone', [0]),
    fetchOf('empty group id', version, '', [0]),
    fetchOf('partition twice', version, group, [0, 0]),
    fetchOf('no partitions', version, group, []),
    ...(version >= 2
      ? [
          fetchOf('all', version, group, null),
          fetchOf('all of an unknown group', version, 'offset-fetch-gone', null),
        ]
      : []),
    step('no topics', offsetFetchApi, version, {
      groupId: group,
      topics: [],
      groups: [{ groupId: group, topics: [] }],
    }),
    ...(version >= 7
      ? [
          step('stable', offsetFetchApi, version, {
            groupId: group,
            topics: null,
            groups: [{ groupId: group, topics: null }],
            requireStable: true,
          }),
        ]
      : []),
    ...(version >= 8
      ? [
          step('several groups', offsetFetchApi, version, {
            groups: [
              { groupId: group, topics: null },
              { groupId: 'offset-fetch-gone', topics: [{ name: TOPIC, partitionIndexes: [0] }] },
              { groupId: '', topics: null },
            ],
          }),
          step('group twice', offsetFetchApi, version, {
            groups: [
              { groupId: group, topics: null },
              { groupId: group, topics: [{ name: TOPIC, partitionIndexes: [0] }] },
            ],
          }),
          step('no groups', offsetFetchApi, version, { groups: [] }, { patienceMs: 1500 }),
        ]
      : []),
    ...(version >= 9
      ? [
          step('of a member', offsetFetchApi, version, {
            groups: [{ groupId: group, memberId: 'stranger', memberEpoch: 3, topics: null }],
          }),
        ]
      : []),
  ]
}

interface MemberOptions {
  readonly protocolType?: string
  readonly metadata?: Buffer
  readonly groupInstanceId?: string
}

function joined(group: string, options: MemberOptions = {}): Step {
  const { protocolType = 'consumer', metadata = subscription(TOPIC), groupInstanceId = null } = options
  return step('member', joinGroupApi, groupInstanceId === null ? 3 : 5, {
    groupId: group,
    sessionTimeoutMs: 30_000,
    rebalanceTimeoutMs: 30_000,
    memberId: '',
    groupInstanceId,
    protocolType,
    protocols: [{ name: 'range', metadata }],
  })
}

function synced(group: string): Step {
  return step('member is assigned', syncGroupApi, 3, (replies) => ({
    groupId: group,
    generationId: replies.get('member').generationId,
    memberId: replies.get('member').memberId,
    assignments: [{ memberId: replies.get('member').memberId, assignment: Buffer.from('all') }],
  }))
}

function left(group: string): Step {
  return step('member leaves', leaveGroupApi, 1, (replies) => ({
    groupId: group,
    memberId: replies.get('member').memberId,
  }))
}

function memberCommits(version: number): Step[] {
  const group = `member-${version}`
  const commit = (label: string, options: (member: Reply) => CommitOptions): Step =>
    step(label, offsetCommitApi, version, (replies) => commitBody(group, options(replies.get('member'))))
  return [
    joined(group, { groupInstanceId: 'instance' }),
    commit('before the assignment', ({ generationId, memberId }) => ({ generation: generationId, memberId })),
    synced(group),
    commit('good', ({ generationId, memberId }) => ({ generation: generationId, memberId })),
    commit('named', ({ generationId, memberId }) => ({
      generation: generationId,
      memberId,
      body: { groupInstanceId: 'instance' },
    })),
    commit('under another name', ({ generationId, memberId }) => ({
      generation: generationId,
      memberId,
      body: { groupInstanceId: 'other' },
    })),
    commit('fenced', ({ generationId }) => ({
      generation: generationId,
      memberId: 'stranger',
      body: { groupInstanceId: 'instance' },
    })),
    commit('of the next generation', ({ generationId, memberId }) => ({
      generation: generationId + 1,
      memberId,
    })),
    commit('of the last generation', ({ generationId, memberId }) => ({
      generation: generationId - 1,
      memberId,
    })),
    commit('of a stranger', ({ generationId }) => ({ generation: generationId, memberId: 'stranger' })),
    commit('of nobody', ({ generationId }) => ({ generation: generationId })),
    commit('simple consumer', () => ({})),
    commit('member without a generation', ({ memberId }) => ({ memberId })),
    left(group),
    commit('having left', ({ generationId, memberId }) => ({ generation: generationId, memberId })),
    commit('simple consumer of an empty group', () => ({})),
    fetchOf('read', 7, group, null),
  ]
}

function offsetDeletes(): Step[] {
  const remove = (label: string, groupId: string, ...wanted: [string, ...number[]][]): Step =>
    step(label, offsetDeleteApi, 0, {
      groupId,
      topics: wanted.map(([name, ...indexes]) => ({
        name,
        partitions: indexes.map((partitionIndex) => ({ partitionIndex })),
      })),
    })
  const commit = (group: string, topic: string): Step =>
    step(`commit ${topic}`, offsetCommitApi, 6, (replies) => {
      const member = replies.get('member')
      return commitBody(group, { generation: member.generationId, memberId: member.memberId, topic })
    })
  const [group, connect] = ['offset-delete', 'offset-delete-connect']
  return [
    joined(group),
    synced(group),
    commit(group, TOPIC),
    commit(group, OTHER),
    remove('subscribed', group, [TOPIC, 0]),
    remove('not subscribed', group, [OTHER, 0]),
    remove('not committed', group, [OTHER, 1]),
    remove('both', group, [OTHER, 0], [TOPIC, 0, 1]),
    remove('unknown partition', group, [OTHER, 9]),
    remove('unknown topic', group, ['offsets-gone', 0]),
    remove('bad name', group, ['a/b', 0]),
    remove('nothing', group),
    remove('no partitions', group, [TOPIC]),
    remove('partition twice', group, [OTHER, 0, 0]),
    remove('unknown group', 'offset-delete-gone', [TOPIC, 0]),
    remove('empty group id', '', [TOPIC, 0]),
    fetchOf('read', 7, group, null),
    left(group),
    remove('empty group', group, [TOPIC, 0]),
    fetchOf('read again', 7, group, null),
    joined(connect, { protocolType: 'connect' }),
    synced(connect),
    commit(connect, TOPIC),
    remove('not a consumer', connect, [TOPIC, 0]),
    left(connect),
    remove('not a consumer, empty', connect, [TOPIC, 0]),
  ]
}

export const offsetScenarios: Scenario[] = [
  {
    name: 'Offsets: the coordinator and the topics are there',
    steps: [untilCoordinator('offsets'), createTopic(TOPIC, { partitions: 4 }), createTopic(OTHER)],
  },
  { name: 'OffsetCommit of simple consumers', steps: everyVersion(offsetCommitApi, simpleConsumer) },
  { name: 'OffsetCommit of members', steps: everyVersion(offsetCommitApi, memberCommits) },
  {
    name: 'OffsetFetch',
    steps: [
      step('commit', offsetCommitApi, 8, {
        ...commitBody('offset-fetch', {}),
        topics: [
          {
            name: TOPIC,
            partitions: [0, 1, 2].map((partitionIndex) => ({
              partitionIndex,
              committedOffset: 10 * partitionIndex,
              committedLeaderEpoch: partitionIndex - 1,
              committedMetadata: partitionIndex === 2 ? null : 'm',
            })),
          },
          { name: OTHER, partitions: [{ partitionIndex: 0, committedOffset: 3, committedMetadata: '' }] },
        ],
      }),
      ...everyVersion(offsetFetchApi, fetching),
    ],
  },
  { name: 'OffsetDelete', steps: offsetDeletes() },
]
