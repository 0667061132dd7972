/**
 * Apache Kafka 3.9 and ours in one cluster, under load from its beginning to its end: each kind is controller once, and
 * leads, follows, coordinates, is asked by Kafka's tools. All that the clients saw is judged in the end.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClusterMember } from '../harness/cluster-member.ts'
import { partitionOfGroup } from '../cluster/cluster-view.ts'
import { makeController } from './controller-choice.ts'
import { loadAssignment, LOAD_TOPIC, MixedCluster, ours, patiently } from './mixed-cluster.ts'

/** Broker 2 is ours, between two of Kafka's. */
const OURS = 2
const KAFKA = 1
const OTHER_KAFKA = 3

let mixed: MixedCluster
let our: ClusterMember
let kafka: ClusterMember

beforeAll(async () => {
  mixed = await MixedCluster.start(['kafka', ours, 'kafka'])
  our = mixed.cluster.member(OURS)
  kafka = mixed.cluster.member(KAFKA)
})

afterAll(() => mixed?.stop())

/** Both kinds, to ask each of them the same. */
const each = (): ClusterMember[] => [our, kafka]

const lines = (count: number, word = 'line'): string[] =>
  Array.from({ length: count }, (_, i) => `${word} ${String(i).padStart(5, '0')}`)

function hasReplica(member: ClusterMember, topic: string, partition: number): boolean {
  return existsSync(join(member.logDir, `${topic}-${partition}`))
}

async function leadersOf(topic: string): Promise<number[]> {
  const partitions = await mixed.view.partitions()
  return partitions.filter((each) => each.topic === topic).map(({ leader }) => leader)
}

async function isrOf(topic: string): Promise<number[][]> {
  const partitions = await mixed.view.partitions()
  return partitions.filter((each) => each.topic === topic).map(({ isr }) => isr.toSorted((a, b) => a - b))
}

const controllers: [name: string, brokerId: number][] = [
  ['Apache Kafka', KAFKA],
  ['ours', OURS],
]

describe.each(controllers)('with %s as the controller', (_, brokerId) => {
  const topicOf = (name: string): string => `${name}-${brokerId}`

  beforeAll(async () => {
    await makeController(mixed.cluster, brokerId)
    await mixed.untilLoadGoesOn()
  })

  test('a topic is made on brokers of both kinds, each leads its share, and each kind tells the same of it', async () => {
    const topic = topicOf('made')
    for (const [at, name] of [
      [our, `${topic}-a`],
      [kafka, `${topic}-b`],
    ] as const) {
      await mixed.admin.createTopic(at, name, loadAssignment)
      expect(await leadersOf(name)).toEqual([1, 2, 3, 1, 2, 3])
      for (const asked of each()) {
        const told = await mixed.admin.untilInSync(asked, name)
        expect(told.map(({ replicas }) => replicas)).toEqual(loadAssignment)
        expect(told.map(({ leader }) => leader)).toEqual([1, 2, 3, 1, 2, 3])
      }
      await mixed.admin.produce(at, name, lines(300))
      for (const reader of each())
        expect(await mixed.admin.consume(reader, name, 300)).toEqual(lines(300).sort())
    }
    const names = [LOAD_TOPIC, `${topic}-a`, `${topic}-b`]
    for (const asked of each())
      await patiently(
        `broker ${asked.brokerId} tells the topics`,
        async () => (await mixed.admin.topicNames(asked)).join() === names.join(),
      )
  })

  test('kafka-get-offsets, kafka-log-dirs and kafka-replica-verification agree about a topic that both hold', async () => {
    const topic = `${topicOf('made')}-a`
    const offsets = await mixed.admin.offsets(our, topic)
    expect(await mixed.admin.offsets(kafka, topic)).toBe(offsets)
    const total = offsets
      .trim()
      .split('\n')
      .map((line) => Number(line.split(':')[2]))
    expect(total.reduce((a, b) => a + b, 0)).toBe(300)
    const sizes = await mixed.admin.logDirs(our, topic)
    expect(await mixed.admin.logDirs(kafka, topic)).toEqual(sizes)
    expect([...sizes.keys()].sort()).toEqual([1, 2, 3])
    expect(sizes.get(OURS)).toEqual(sizes.get(KAFKA))
    await mixed.admin.untilReplicasVerified(our, topic)
  })

  test('leadership goes to ours and back by kafka-leader-election, with records on both sides', async () => {
    const topic = topicOf('led')
    await mixed.admin.createTopic(kafka, topic, [[KAFKA, OURS, OTHER_KAFKA]])
    await mixed.admin.produce(our, topic, lines(100, 'by kafka'))
    for (const [leader, order] of [
      [OURS, [OURS, OTHER_KAFKA, KAFKA]],
      [OTHER_KAFKA, [OTHER_KAFKA, OURS, KAFKA]],
    ] as const) {
      await mixed.admin.reassign(kafka, topic, [order])
      await mixed.admin.electPreferred(our, topic, 1)
      await patiently('the leader is the preferred one', async () => (await leadersOf(topic))[0] === leader)
      await mixed.admin.produce(our, topic, lines(100, `by ${leader}`))
    }
    const all = [...lines(100, 'by kafka'), ...lines(100, `by ${OURS}`), ...lines(100, `by ${OTHER_KAFKA}`)]
    for (const reader of each()) expect(await mixed.admin.consume(reader, topic, 300)).toEqual(all.sort())
    expect(await isrOf(topic)).toEqual([[1, 2, 3]])
  })

  test('partitions are reassigned from one kind to the other, throttled, and back', async () => {
    const topic = topicOf('moved')
    await mixed.admin.createTopic(kafka, topic, [
      [KAFKA, OTHER_KAFKA],
      [KAFKA, OTHER_KAFKA],
    ])
    await mixed.admin.produce(kafka, topic, lines(500))
    const throttle = ['--throttle', '50000000']
    await mixed.admin.reassign(
      our,
      topic,
      [
        [OURS, KAFKA],
        [OURS, OTHER_KAFKA],
      ],
      throttle,
    )
    await mixed.admin.untilKnown(topic, [
      [OURS, KAFKA],
      [OURS, OTHER_KAFKA],
    ])
    const otherKafka = mixed.cluster.member(OTHER_KAFKA)
    await patiently('what was moved away is deleted', () => !hasReplica(otherKafka, topic, 0))
    // --verify takes the throttle away again.
    const entity = ['--entity-type', 'topics', '--entity-name', topic]
    await patiently(
      'the throttle is gone',
      async () => !(await mixed.admin.describeConfig(kafka, entity)).includes('throttled'),
    )
    await mixed.admin.reassign(kafka, topic, [
      [OTHER_KAFKA, KAFKA],
      [KAFKA, OTHER_KAFKA],
    ])
    await patiently(
      'what was moved away from ours is deleted',
      () => !hasReplica(our, topic, 0) && !hasReplica(our, topic, 1),
    )
    for (const reader of each()) expect(await mixed.admin.consume(reader, topic, 500)).toEqual(lines(500))
    expect(await mixed.admin.reassignments(our)).toContain('No partition reassignments found')
  })

  test('a reassignment that waits is listed by each kind, and cancelled', async () => {
    const topic = topicOf('cancelled')
    await mixed.admin.createTopic(our, topic, [[KAFKA, OTHER_KAFKA]])
    // The log does not fit through this in the time of the test.
    const throttle = ['--throttle', '1000']
    await mixed.admin.produce(
      kafka,
      topic,
      lines(40_000, 'a long line that weighs something, to be copied slowly'),
    )
    const file = await mixed.admin.startReassignment(kafka, topic, [[OURS, KAFKA]], throttle)
    for (const at of each()) expect(await mixed.admin.reassignments(at)).toContain(`${topic}-0`)
    await mixed.admin.cancelReassignment(our, file)
    for (const at of each())
      expect(await mixed.admin.reassignments(at)).toContain('No partition reassignments found')
    await mixed.admin.untilKnown(topic, [[KAFKA, OTHER_KAFKA]])
    await patiently('the copy is deleted', () => !hasReplica(our, topic, 0))
    await mixed.admin.produce(our, topic, lines(1))
  })

  test('partitions are added, and both kinds serve them', async () => {
    const topic = topicOf('grown')
    await mixed.admin.createTopic(kafka, topic, [[OURS, KAFKA]])
    await mixed.admin.addPartitions(our, topic, [
      [OURS, KAFKA],
      [KAFKA, OURS],
      [OURS, OTHER_KAFKA],
    ])
    expect(await leadersOf(topic)).toEqual([OURS, KAFKA, OURS])
    await mixed.admin.produce(our, topic, lines(90))
    for (const reader of each()) expect(await mixed.admin.consume(reader, topic, 90)).toEqual(lines(90))
  })

  test('a change of configs by kafka-configs at one kind is obeyed by the other', async () => {
    const topic = topicOf('configured')
    const entity = ['--entity-type', 'topics', '--entity-name', topic]
    await mixed.admin.createTopic(our, topic, [
      [OURS, KAFKA, OTHER_KAFKA],
      [KAFKA, OURS, OTHER_KAFKA],
    ])
    for (const [at, limit] of [
      [our, 2000],
      [kafka, 3000],
    ] as const) {
      await mixed.admin.alterConfig(at, entity, ['--add-config', `max.message.bytes=${limit}`])
      for (const asked of each())
        await patiently('the change is told', async () =>
          (await mixed.admin.describeConfig(asked, entity)).includes(`max.message.bytes=${limit}`),
        )
      for (const partition of [0, 1]) {
        await patiently('a larger record is refused', async () =>
          /too large/.test(await mixed.produceOne(topic, partition, limit + 500)),
        )
        // The limit before may be lower.
        await patiently(
          'a smaller record is taken',
          async () => (await mixed.produceOne(topic, partition, limit - 500)) === '',
        )
      }
    }
    const defaults = ['--entity-type', 'brokers', '--entity-default']
    await mixed.admin.alterConfig(our, defaults, ['--add-config', 'log.retention.ms=86400000'])
    for (const asked of each())
      await patiently('the default is told', async () =>
        (await mixed.admin.describeConfig(asked, defaults)).includes('log.retention.ms=86400000'),
      )
    await mixed.admin.alterConfig(kafka, defaults, ['--delete-config', 'log.retention.ms'])
    for (const asked of each())
      await patiently(
        'the default is gone',
        async () => !(await mixed.admin.describeConfig(asked, defaults)).includes('log.retention.ms'),
      )
  })

  test('a broker of either kind that is told to stop hands its leaderships over first, and comes back', async () => {
    for (const member of [our, mixed.cluster.member(OTHER_KAFKA)]) {
      await mixed.electPreferred()
      // A JVM ends by its own rules at SIGTERM: 128 + 15.
      expect(await member.shutDown()).toBe(member.kind === 'kafka' ? 143 : 0)
      expect(await leadersOf(LOAD_TOPIC)).not.toContain(member.brokerId)
      for (const isr of await isrOf(LOAD_TOPIC)) expect(isr).not.toContain(member.brokerId)
      await mixed.untilLoadGoesOn()
      await member.start()
      await mixed.untilAllInSync()
      await mixed.untilLoadGoesOn()
      // The controller may have been the one that left.
      await makeController(mixed.cluster, brokerId)
    }
    await mixed.electPreferred()
    expect(await leadersOf(LOAD_TOPIC)).toEqual([1, 2, 3, 1, 2, 3])
  })

  test('the coordinator of the groups moves from one kind to the other, and no offset is lost', async () => {
    const offsetsTopic = '__consumer_offsets'
    const group = `${LOAD_TOPIC}-shared`
    for (const leader of [OURS, KAFKA, OURS]) {
      const described = await mixed.admin.describe(kafka, offsetsTopic)
      const order = [leader, ...[1, 2, 3].filter((id) => id !== leader)]
      await mixed.admin.reassign(
        our,
        offsetsTopic,
        described.map(() => order),
      )
      await mixed.admin.electPreferred(kafka, offsetsTopic, described.length)
      await patiently('the group has moved', async () => {
        const leaders = await leadersOf(offsetsTopic)
        return leaders[partitionOfGroup(group, leaders.length)] === leader
      })
      await mixed.untilGroupsGoOn()
      const isStable = new RegExp(`\\(${leader}\\)\\s+\\w+\\s+Stable`)
      for (const asked of each())
        await patiently('the group is stable at its coordinator', async () =>
          isStable.test(await mixed.admin.describeGroup(asked, group, ['--state'])),
        )
    }
  })

  test('topics are deleted on brokers of both kinds, and their files with them', async () => {
    const names = (await mixed.admin.topicNames(our)).filter((name) => name !== LOAD_TOPIC)
    expect(names.length).toBeGreaterThanOrEqual(6)
    for (const [i, name] of names.entries()) await mixed.admin.deleteTopic(each()[i % 2], name)
    for (const at of each())
      await patiently(
        'the topics are gone',
        async () => (await mixed.admin.topicNames(at)).join() === LOAD_TOPIC,
      )
    for (const member of mixed.cluster.members)
      await patiently(`the files are gone from broker ${member.brokerId}`, () =>
        names.every((name) => [0, 1, 2, 3, 4, 5].every((partition) => !hasReplica(member, name, partition))),
      )
    // Brokers forget the topics first. A controller that came before the end would tell them of these topics once more.
    await patiently('nothing is left to delete', async () => !(await mixed.view.topicsBeingDeleted()).length)
    await mixed.untilLoadGoesOn()
  })
})

test('no record of the load was lost, duplicated, reordered or made up, and the replicas are the same bytes', async () => {
  await mixed.expectNothingWrong()
})
