/**
 * The same heartbeats to Apache Kafka 4.1 (KRaft) and to ours: members of a group that join, acknowledge, fall behind, leave and
 * come back, and what is wrong. Every reply is compared field by field, every description of the group too.
 */
import { expect, test } from 'vitest'
import { SeededRandom } from '../../coordinator/world.ts'
import type { WireClient } from '../../broker/wire-client.ts'
import { metadataApi } from '../../../src/protocol/messages/03-metadata.ts'
import { offsetCommitApi } from '../../../src/protocol/messages/08-offset-commit.ts'
import { findCoordinatorApi } from '../../../src/protocol/messages/10-find-coordinator.ts'
import { listGroupsApi } from '../../../src/protocol/messages/16-list-groups.ts'
import { createTopicsApi } from '../../../src/protocol/messages/19-create-topics.ts'
import { consumerGroupHeartbeatApi } from '../../../src/protocol/messages/68-consumer-group-heartbeat.ts'
import { consumerGroupDescribeApi } from '../../../src/protocol/messages/69-consumer-group-describe.ts'
import type { Encodable } from '../../../src/protocol/schema.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { kafkaJars } from '../harness/paths.ts'
import { filesBelow, kafkaDumpOf, ourDump } from './dump-log/both-dumps.ts'
import { expectSameOffsets } from './dump-log/decoded.ts'
import { historiesIn } from './dump-log/histories.ts'
import type { Histories } from './dump-log/histories.ts'
import { startBoth, startSide, type SideKind } from './sides.ts'

const TOPICS = { one: 7, two: 4, three: 12 }
const STEPS = 250
/** Ours writes commits as Kafka 3.9 does, whose coordinators may read them next; nothing but the number differs. */
const LATER_COMMIT = ['"version":"4"', '"version":"3"'] as const
const OFFSETS_LOG = /\/__consumer_offsets-\d+\/\d+\.log$/

interface Owned {
  [topic: string]: number[]
}

type Said = Omit<
  Encodable<typeof consumerGroupHeartbeatApi.request.fields>,
  'topicPartitions' | 'groupId'
> & {
  readonly groupId: string
  readonly owned?: Owned | null
}

class Side {
  readonly broker: TestBroker
  readonly client: WireClient
  readonly ids = new Map<string, string>()
  readonly names = new Map<string, string>()

  constructor(broker: TestBroker, client: WireClient) {
    this.broker = broker
    this.client = client
  }

  static async start(kind: SideKind): Promise<Side> {
    const { broker, client } = await startSide(kind, { 'group.consumer.max.size': '8' })
    const side = new Side(broker, client)
    await side.makeTopics()
    return side
  }

  async makeTopics(): Promise<void> {
    const topics = Object.entries(TOPICS).map(([name, numPartitions]) => {
      return { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }
    })
    await eventually('the topics are made', async () => {
      const answer = await this.client.request(createTopicsApi, 7, {
        topics,
        timeoutMs: 10_000,
        validateOnly: false,
      })
      return answer.topics.every(({ errorCode }) => errorCode === 0 || errorCode === 36)
    })
    await eventually('the topics have ids', async () => {
      const asked = Object.keys(TOPICS).map((name) => ({ name }))
      const { topics: known } = await this.client.request(metadataApi, 12, { topics: asked })
      for (const { name, topicId } of known) {
        this.ids.set(name ?? '', topicId)
        this.names.set(topicId, name ?? '')
      }
      return known.every(
        ({ errorCode, partitions }) => errorCode === 0 && partitions.every(({ leaderId }) => leaderId >= 0),
      )
    })
    await eventually('groups are coordinated', async () => {
      await this.client.request(findCoordinatorApi, 4, { keyType: 0, coordinatorKeys: ['any'] })
      const answer = await this.client.request(consumerGroupHeartbeatApi, 1, {
        groupId: 'any',
        memberId: 'm',
        memberEpoch: 5,
      })
      return answer.errorCode === 69
    })
  }

  async beat({ owned = null, ...said }: Said, version: number) {
    const topicPartitions =
      owned &&
      Object.entries(owned).map(([name, partitions]) => ({ topicId: this.ids.get(name)!, partitions }))
    const answer = await this.client.request(consumerGroupHeartbeatApi, version, { ...said, topicPartitions })
    const assignment = answer.assignment && this.byName(answer.assignment.topicPartitions)
    return { ...answer, assignment }
  }

  byName(list: readonly { topicId: string; partitions: readonly number[] }[]): Owned {
    const pairs = list.map(({ topicId, partitions }): [string, number[]] => {
      return [this.names.get(topicId) ?? topicId, [...partitions].sort((a, b) => a - b)]
    })
    return Object.fromEntries(pairs.sort(([one], [other]) => (one < other ? -1 : 1)))
  }

  async describe(groupId: string, version: number) {
    const { groups } = await this.client.request(consumerGroupDescribeApi, version, {
      groupIds: [groupId],
      includeAuthorizedOperations: false,
    })
    const [{ members, ...group }] = groups
    const told = members.map(({ assignment, targetAssignment, subscribedTopicNames, ...member }) => ({
      ...member,
      subscribedTopicNames: [...subscribedTopicNames].sort(),
      assignment: this.byName(assignment.topicPartitions),
      targetAssignment: this.byName(targetAssignment.topicPartitions),
    }))
    return { ...group, members: told.sort((a, b) => (a.memberId < b.memberId ? -1 : 1)) }
  }

  async commit(groupId: string, memberId: string, epoch: number, version: number) {
    const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }]
    const topics = [{ name: 'one', partitions }]
    const body = { groupId, memberId, generationIdOrMemberEpoch: epoch, topics }
    return this.client.request(offsetCommitApi, version, body)
  }

  /** What the coordinator has in its log when it has been stopped, group by group. */
  async stored() {
    await this.broker.shutDown()
    const logs = filesBelow(this.broker.dataDirectory).filter((path) => OFFSETS_LOG.test(path))
    const dump = await kafkaDumpOf(`${kafkaJars}/*`, logs, '--offsets-decoder')
    expectSameOffsets(dump, await ourDump(logs))
    const histories = JSON.stringify(historiesIn(dump, new Map(), this.names))
    return JSON.parse(histories.replaceAll(...LATER_COMMIT)) as Histories
  }

  async list() {
    const { groups } = await this.client.request(listGroupsApi, 5, { statesFilter: [], typesFilter: [] })
    return [...groups].sort((a, b) => (a.groupId < b.groupId ? -1 : 1))
  }
}

const both = startBoth((kind) => Side.start(kind))

interface Member {
  readonly id: string
  readonly instanceId: string | null
  readonly topics: string[]
  epoch: number
  owned: Owned
  news: boolean
}

/** Ids by uuid, as of Kafka's consumers: their order in Kafka's maps is no order of ours. */
function newId(random: SeededRandom): string {
  return random.bytes(16).toString('base64url')
}

async function run(
  groupId: string,
  seed: number,
  choice: { assignor: string | null; topics: string[][] },
): Promise<void> {
  const random = new SeededRandom(seed)
  const members: Member[] = []
  const beat = async (member: Member, more: Partial<Said>, version = 1) => {
    const said = {
      groupId,
      memberId: member.id,
      memberEpoch: member.epoch,
      instanceId: member.instanceId,
      ...more,
    }
    const answer = await both(`${groupId}: ${JSON.stringify(said)}`, (side) => side.beat(said, version))
    if (answer.errorCode !== 0 || more.memberEpoch !== undefined) return answer
    member.epoch = answer.memberEpoch
    if (answer.assignment !== null) Object.assign(member, { owned: answer.assignment, news: true })
    return answer
  }
  const join = async (member: Member) => {
    member.epoch = 0
    const wants = {
      subscribedTopicNames: member.topics,
      rebalanceTimeoutMs: 300_000,
      owned: {},
      serverAssignor: choice.assignor,
    }
    const { errorCode } = await beat(member, wants)
    return errorCode === 0
  }
  for (let step = 0; step < STEPS; step++) {
    const what = random.below(100)
    const member = members.length === 0 ? null : random.pick(members)
    if (member === null || (what < 14 && members.length < 8)) {
      const instanceId = random.below(3) === 0 ? `instance-${random.below(4)}` : null
      const next = {
        id: newId(random),
        instanceId,
        topics: random.pick(choice.topics),
        epoch: 0,
        owned: {},
        news: false,
      }
      if (await join(next)) members.push(next)
    } else if (what < 20) {
      members.splice(members.indexOf(member), 1)
      await beat(member, { memberEpoch: -1 })
    } else if (what < 25 && member.instanceId !== null) {
      members.splice(members.indexOf(member), 1)
      await beat(member, { memberEpoch: -2 })
      const back = { ...member, id: newId(random), owned: {}, news: false }
      if (await join(back)) members.push(back)
    } else if (what < 32) {
      await beat(member, {
        memberEpoch: member.epoch + random.pick([-2, -1, 1, 5]),
        owned: random.pick([null, member.owned, {}]),
      })
    } else if (what < 36) {
      await both('describe', (side) => side.describe(groupId, 1))
    } else if (what < 40) {
      const epoch = member.epoch + random.pick([0, 0, -1, 1])
      await both('commit', (side) => side.commit(groupId, member.id, epoch, 9))
    } else {
      const owned = member.news || random.below(4) === 0 ? member.owned : null
      member.news = false
      await beat(member, { owned })
    }
  }
  await both('describe at the end', (side) => side.describe(groupId, 1))
}

test.each([1, 2, 3, 4])(
  'uniform, one topic, seed %i',
  async (seed) => {
    await run(`uniform-${seed}`, seed, { assignor: null, topics: [['one']] })
  },
  120_000,
)

test.each([5, 6, 7, 8])(
  'range, several topics, seed %i',
  async (seed) => {
    const topics = [['one'], ['one', 'two'], ['three', 'two', 'nowhere'], ['one', 'two', 'three']]
    await run(`range-${seed}`, seed, { assignor: 'range', topics })
  },
  120_000,
)

// A client that takes its time with an assignment (or with its callbacks) says meanwhile what it had before.
test('what a member was given, and does not say that it has, goes to another before it has given it back', async () => {
  const [ann, bob] = [newId(new SeededRandom(1)), newId(new SeededRandom(2))]
  const wants = { memberEpoch: 0, subscribedTopicNames: ['one'], rebalanceTimeoutMs: 300_000, owned: {} }
  const beat = (memberId: string, more: Omit<Said, 'groupId' | 'memberId'>) => {
    const said = { groupId: 'late', memberId, ...more }
    return both(`late: ${JSON.stringify(said)}`, (side) => side.beat(said, 1))
  }
  const first = await beat(ann, wants)
  const other = await beat(bob, wants)
  expect(first.assignment!.one).toHaveLength(TOPICS.one)
  expect(other.assignment!.one ?? []).toEqual([])
  const left = await beat(ann, { memberEpoch: first.memberEpoch, owned: {} })
  const given = await beat(bob, { memberEpoch: other.memberEpoch })
  expect([...left.assignment!.one, ...given.assignment!.one].sort()).toEqual(first.assignment!.one)
  expect(given.assignment!.one.length).toBeGreaterThan(0)
})

test('what is wrong', async () => {
  const fine = {
    groupId: 'wrong',
    memberId: 'm',
    memberEpoch: 0,
    rebalanceTimeoutMs: 1000,
    subscribedTopicNames: ['one'],
    owned: {},
  }
  const cases: [Partial<Said>, number][] = [
    [{ memberId: '' }, 1],
    [{ groupId: ' ' }, 1],
    [{ instanceId: '' }, 1],
    [{ rackId: ' ' }, 1],
    [{ rebalanceTimeoutMs: -1 }, 1],
    [{ owned: null }, 1],
    [{ owned: { one: [0] } }, 1],
    [{ subscribedTopicNames: null }, 1],
    [{ memberEpoch: -2 }, 1],
    [{ memberEpoch: -3 }, 1],
    [{ memberEpoch: -1 }, 1],
    [{ memberEpoch: 3 }, 1],
    [{ serverAssignor: 'sticky' }, 1],
    [{ memberId: '', memberEpoch: 3 }, 0],
    [{ memberId: '', memberEpoch: -1 }, 0],
  ]
  for (const [change, version] of cases) {
    await both(JSON.stringify(change), (side) => side.beat({ ...fine, ...change }, version))
  }
  await both('a regular expression that is none', async (side) => {
    const { errorCode } = await side.beat(
      { ...fine, subscribedTopicNames: null, subscribedTopicRegex: '(' },
      1,
    )
    return errorCode
  })
  await both('no such group', (side) => side.describe('nobody', 0))
  await both('the groups', (side) => side.list())
})

test('what has been stored of them', async () => {
  const histories = await both('the logs', (side) => side.stored())
  expect(Object.keys(histories)).toHaveLength(9)
})
