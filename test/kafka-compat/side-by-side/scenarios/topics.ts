import { createTopicsApi } from '../../../../src/protocol/messages/19-create-topics.ts'
import { deleteTopicsApi } from '../../../../src/protocol/messages/20-delete-topics.ts'
import { createPartitionsApi } from '../../../../src/protocol/messages/37-create-partitions.ts'
import { metadataApi } from '../../../../src/protocol/messages/03-metadata.ts'
import { ZERO_UUID } from '../../../../src/protocol/schema.ts'
import type { Encodable } from '../../../../src/protocol/schema.ts'
import { everyVersion, step } from '../scenario.ts'
import type { Reply, Scenario, Step } from '../scenario.ts'
import { UNKNOWN_ID, createTopic, topicId } from './data.ts'

type NewTopic = NonNullable<Encodable<(typeof createTopicsApi)['request']['fields']>['topics']>[number]

function topic(name: string, changes: Partial<NewTopic> = {}): NewTopic {
  return { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...changes }
}

const assigned = (...brokers: number[][]): Partial<NewTopic> => ({
  numPartitions: -1,
  replicationFactor: -1,
  assignments: brokers.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })),
})

const configured = (...entries: [string, string | null][]): Partial<NewTopic> => ({
  configs: entries.map(([name, value]) => ({ name, value })),
})

const collidingName = (prefix: string): string => `${prefix}a.b`

/** What each topic asks for, by what is special about it. Made anew under every version's own prefix. */
const requests: Record<string, (prefix: string) => NewTopic> = {
  plain: (prefix) => topic(`${prefix}plain`),
  'three partitions': (prefix) => topic(`${prefix}three`, { numPartitions: 3 }),
  dotted: (prefix) => topic(collidingName(prefix)),
  'no partitions': (prefix) => topic(`${prefix}none`, { numPartitions: 0 }),
  'minus two partitions': (prefix) => topic(`${prefix}minus`, { numPartitions: -2 }),
  defaults: (prefix) => topic(`${prefix}defaults`, { numPartitions: -1, replicationFactor: -1 }),
  'default partitions': (prefix) => topic(`${prefix}default-p`, { numPartitions: -1 }),
  'no replicas': (prefix) => topic(`${prefix}r0`, { replicationFactor: 0 }),
  'two replicas': (prefix) => topic(`${prefix}r2`, { replicationFactor: 2 }),
  'minus two replicas': (prefix) => topic(`${prefix}r-2`, { replicationFactor: -2 }),
  assigned: (prefix) => topic(`${prefix}assigned`, assigned([1], [1])),
  'assigned and counted': (prefix) => topic(`${prefix}counted`, { ...assigned([1]), numPartitions: 1 }),
  'assigned and replicated': (prefix) =>
    topic(`${prefix}replicated`, { ...assigned([1]), replicationFactor: 1 }),
  'assigned twice': (prefix) => topic(`${prefix}twice`, assigned([1, 1])),
  'assigned unevenly': (prefix) => topic(`${prefix}uneven`, assigned([1], [1, 2])),
  'assigned with a gap': (prefix) =>
    topic(`${prefix}gap`, { ...assigned(), assignments: [{ partitionIndex: 1, brokerIds: [1] }] }),
  'partition assigned twice': (prefix) =>
    topic(`${prefix}p-twice`, {
      ...assigned(),
      assignments: [0, 0].map((partitionIndex) => ({ partitionIndex, brokerIds: [1] })),
    }),
  configured: (prefix) =>
    topic(
      `${prefix}configured`,
      configured(['retention.ms', '1000000'], ['cleanup.policy', 'compact,delete']),
    ),
  'unknown key': (prefix) => topic(`${prefix}unknown-key`, configured(['no.such.key', '1'])),
  'wrong value': (prefix) => topic(`${prefix}wrong-value`, configured(['retention.ms', 'soon'])),
  'value out of range': (prefix) => topic(`${prefix}range`, configured(['segment.bytes', '1'])),
  'wrong word': (prefix) => topic(`${prefix}word`, configured(['cleanup.policy', 'burn'])),
  'null value': (prefix) => topic(`${prefix}null-value`, configured(['retention.ms', null])),
  'empty value': (prefix) => topic(`${prefix}empty-value`, configured(['retention.ms', ''])),
  'key twice': (prefix) =>
    topic(`${prefix}key-twice`, configured(['retention.ms', '5'], ['retention.ms', '6'])),
  'empty key': (prefix) => topic(`${prefix}empty-key`, configured(['', '6'])),
  'local retention above the whole': (prefix) =>
    topic(`${prefix}local`, configured(['retention.ms', '5'], ['local.retention.ms', '6'])),
  'remote storage': (prefix) => topic(`${prefix}remote`, configured(['remote.storage.enable', 'true'])),
  'empty name': () => topic(''),
  dot: () => topic('.'),
  'two dots': () => topic('..'),
  slash: (prefix) => topic(`${prefix}/x`),
  space: (prefix) => topic(`${prefix} x`),
  '249 characters': (prefix) => topic(prefix.padEnd(249, 'x')),
  '250 characters': (prefix) => topic(prefix.padEnd(250, 'x')),
}

function createSteps(version: number): Step[] {
  const prefix = `ct${version}-`
  const send = (label: string, topics: NewTopic[], validateOnly = false, timeoutMs = 20_000): Step =>
    step(label, createTopicsApi, version, { topics, timeoutMs, validateOnly })
  const check =
    version >= 1
      ? [
          send(
            'checked: all',
            Object.values(requests).map((make) => make(prefix)),
            true,
          ),
        ]
      : []
  return [
    ...check,
    ...Object.entries(requests).map(([label, make]) => send(label, [make(prefix)])),
    // Kafka makes them all the same, and waits for their leaders.
    send(
      'assigned to who is not there',
      [
        topic(`${prefix}stranger`, assigned([9])),
        topic(`${prefix}nobody`, assigned([])),
        topic(`${prefix}minus-one`, assigned([-1])),
      ],
      false,
      400,
    ),
    send('again', [topic(`${prefix}plain`)]),
    ...(version >= 1 ? [send('checked: again', [topic(`${prefix}plain`)], true)] : []),
    send('collides', [topic(`${prefix}a_b`)]),
    send('twice in one request', [topic(`${prefix}two`), topic(`${prefix}two`), topic(`${prefix}single`)]),
    send('two', [topic(`${prefix}one-of-two`), topic(`${prefix}other-of-two`, { numPartitions: 0 })]),
    send(
      'no time',
      [topic(`${prefix}no-time`), topic(`${prefix}no-time-bad`, { numPartitions: 0 })],
      false,
      0,
    ),
    send('none', []),
  ]
}

function deleteSteps(version: number): Step[] {
  const prefix = `dt${version}-`
  const names = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${prefix}${name}`)
  const byName = (...list: string[]) => ({
    topics: list.map((name) => ({ name, topicId: ZERO_UUID })),
    topicNames: list,
    timeoutMs: 30_000,
  })
  const isGone = ({ topics }: { topics: { errorCode: number }[] }): boolean => topics[0].errorCode === 3
  const lookFor = (name: string): Step =>
    step(
      `look for ${name}`,
      metadataApi,
      8,
      { topics: [{ name }], allowAutoTopicCreation: false },
      { until: isGone },
    )
  return [
    ...names.map((name) => createTopic(name)),
    step('one', deleteTopicsApi, version, byName(names[0])),
    lookFor(names[0]),
    step('again', deleteTopicsApi, version, byName(names[0])),
    step('two, one of them unknown', deleteTopicsApi, version, byName(names[1], `${prefix}gone`)),
    step('twice', deleteTopicsApi, version, byName(names[2], names[2])),
    step('bad name', deleteTopicsApi, version, byName('a/b', '')),
    step('none', deleteTopicsApi, version, byName()),
    step('no time', deleteTopicsApi, version, { ...byName(names[3]), timeoutMs: 0 }),
    lookFor(names[3]),
    createTopic(names[0]),
    ...(version >= 6 ? deleteByIdSteps(version, names) : []),
  ]
}

function deleteByIdSteps(version: number, names: string[]): Step[] {
  const send = (label: string, ...topics: { name: string | null; topicId: string }[]): Step =>
    step(label, deleteTopicsApi, version, { topics, timeoutMs: 30_000 })
  const withId = (
    label: string,
    name: string,
    sentName: string | null,
    times = 1,
    until?: (reply: Reply) => boolean,
  ): Step =>
    step(
      label,
      deleteTopicsApi,
      version,
      (replies) => ({
        topics: Array.from({ length: times }, () => ({ name: sentName, topicId: topicId(replies, name) })),
        timeoutMs: 30_000,
      }),
      { until },
    )
  return [
    withId('by id', names[4], null),
    withId('by id again', names[4], null, 1, ({ responses }) => responses[0].errorCode === 100),
    send('by unknown id', { name: null, topicId: UNKNOWN_ID }),
    withId('by name and id', names[5], names[5]),
    withId('by id twice', names[5], null, 2),
    step(
      'by id and by name',
      deleteTopicsApi,
      version,
      (replies) => ({
        topics: [
          { name: names[5], topicId: ZERO_UUID },
          { name: null, topicId: topicId(replies, names[5]) },
        ],
        timeoutMs: 30_000,
      }),
      // Kafka's controller remembers the id of a deleted topic for a moment.
      { until: ({ responses }) => responses.some(({ errorCode }) => errorCode === 100) },
    ),
    send('by nothing', { name: null, topicId: ZERO_UUID }),
  ]
}

function partitionSteps(version: number): Step[] {
  const name = `cp${version}`
  const send = (
    label: string,
    count: number,
    assignments: number[][] | null = null,
    { validateOnly = false, to = name, timeoutMs = 30_000 } = {},
  ): Step =>
    step(label, createPartitionsApi, version, {
      topics: [
        { name: to, count, assignments: assignments && assignments.map((brokerIds) => ({ brokerIds })) },
      ],
      timeoutMs,
      validateOnly,
    })
  return [
    createTopic(name, { partitions: 2 }),
    send('checked', 3, null, { validateOnly: true }),
    send('three', 3),
    step(
      'look',
      metadataApi,
      8,
      { topics: [{ name }] },
      { until: ({ topics }) => topics[0].partitions.length === 3 },
    ),
    send('same', 3),
    send('fewer', 1),
    send('none', 0),
    send('minus one', -1),
    send('assigned', 5, [[1], [1]]),
    send('assigned too few', 7, [[1]]),
    send('assigned too many', 6, [[1], [1]]),
    send('assigned to a stranger', 6, [[9]]),
    send('assigned twice', 6, [[1, 1]]),
    send('assigned to nobody', 6, [[]]),
    send('assigned unevenly', 7, [[1], [1, 2]]),
    send('assigned nothing', 6, []),
    send('checked: fewer', 1, null, { validateOnly: true }),
    send('checked: assigned to a stranger', 6, [[9]], { validateOnly: true }),
    send('unknown topic', 6, null, { to: `${name}-gone` }),
    send('bad name', 6, null, { to: 'a/b' }),
    step('twice', createPartitionsApi, version, {
      topics: [9, 8].map((count) => ({ name, count, assignments: null })),
      timeoutMs: 30_000,
      validateOnly: false,
    }),
    step('none of them', createPartitionsApi, version, {
      topics: [],
      timeoutMs: 30_000,
      validateOnly: false,
    }),
    send('no time', 6, null, { timeoutMs: 0 }),
    step(
      'at last',
      metadataApi,
      8,
      { topics: [{ name }] },
      { until: ({ topics }) => topics[0].partitions.length === 6 },
    ),
  ]
}

export const topicScenarios: Scenario[] = [
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((version) => ({
    name: `CreateTopics v${version}`,
    steps: createSteps(version),
  })),
  { name: 'DeleteTopics', steps: everyVersion(deleteTopicsApi, deleteSteps) },
  { name: 'CreatePartitions', steps: everyVersion(createPartitionsApi, partitionSteps) },
]
