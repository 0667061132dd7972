import { fetchApi } from '../../../../src/protocol/messages/01-fetch.ts'
import { listOffsetsApi } from '../../../../src/protocol/messages/02-list-offsets.ts'
import { deleteRecordsApi } from '../../../../src/protocol/messages/21-delete-records.ts'
import { offsetForLeaderEpochApi } from '../../../../src/protocol/messages/23-offset-for-leader-epoch.ts'
import type { Encodable } from '../../../../src/protocol/schema.ts'
import { ZERO_UUID } from '../../../../src/protocol/schema.ts'
import { everyVersion, settle, step } from '../scenario.ts'
import type { Replies, Scenario, Step, StepOptions } from '../scenario.ts'
import { UNKNOWN_ID, batchOf, createTopic, produce, recentMs, topicId } from './data.ts'

type FetchBody = Encodable<(typeof fetchApi)['request']['fields']>
type FetchPartition = FetchBody['topics'][number]['partitions'][number]

const WITH_IDS = 13
/** Five batches: offsets 0-2, 3-4, 5, 6-8, 9. */
const contents = [['a', 'b', 'c'], ['d', 'e'], ['f'], ['g', 'h', 'i'], ['j']]

/** All partitions are filled, or the first `filled` ones. */
function filledTopic(name: string, partitions = 2, filled = partitions): Step[] {
  const fill = (partition: number): Step[] =>
    contents.map((values, index) =>
      produce(`fill ${index}`, name, batchOf(values, { timestampMs: recentMs + 1000 * index }), partition),
    )
  return [
    createTopic(name, { partitions }),
    ...Array.from({ length: filled }, (_, index) => fill(index)).flat(),
  ]
}

function at(fetchOffset: number, changes: Partial<FetchPartition> = {}): FetchPartition {
  return { partition: 0, fetchOffset, partitionMaxBytes: 1_000_000, ...changes }
}

interface FetchOptions extends StepOptions {
  readonly body?: Partial<FetchBody>
  readonly session?: { id: number | string; epoch: number }
  readonly forgotten?: number[]
}

/** A fetch of one topic, named or by id as the version has it. A session is given by the label of the fetch that made it. */
function fetch(
  label: string,
  version: number,
  topic: string,
  partitions: FetchPartition[],
  { body = {}, session, forgotten, ...options }: FetchOptions = {},
): Step {
  const named = (replies: Replies) =>
    version < WITH_IDS ? { topic, topicId: ZERO_UUID } : { topic: '', topicId: topicId(replies, topic) }
  return step(
    label,
    fetchApi,
    version,
    (replies) => ({
      maxWaitMs: 0,
      minBytes: 1,
      topics: partitions.length === 0 ? [] : [{ ...named(replies), partitions }],
      forgottenTopicsData: forgotten ? [{ ...named(replies), partitions: forgotten }] : [],
      ...(session && {
        sessionId: typeof session.id === 'number' ? session.id : replies.get(session.id).sessionId,
        sessionEpoch: session.epoch,
      }),
      ...body,
    }),
    options,
  )
}

function fetchSteps(version: number): Step[] {
  const name = `fetch${version}`
  const plain = (label: string, partitions: FetchPartition[], options: FetchOptions = {}): Step =>
    fetch(label, version, name, partitions, options)
  return [
    ...filledTopic(name),
    plain('all', [at(0)]),
    plain('from the middle of a batch', [at(4)]),
    plain('from a batch', [at(5)]),
    plain('at the end', [at(10)]),
    plain('at the end, later', [at(10)], { body: { maxWaitMs: 100 } }),
    plain('beyond the end', [at(11)]),
    plain('-1', [at(-1)]),
    plain('-5', [at(-5)]),
    plain('one byte of the partition', [at(0, { partitionMaxBytes: 1 })]),
    plain('no byte of the partition', [at(0, { partitionMaxBytes: 0 })]),
    plain('one batch and a half', [at(0, { partitionMaxBytes: 150 })]),
    plain('minus one byte of the partition', [at(0, { partitionMaxBytes: -1 })]),
    plain('one byte in all', [at(0), at(0, { partition: 1 })], { body: { maxBytes: 1 } }),
    plain('no byte in all', [at(0), at(0, { partition: 1 })], { body: { maxBytes: 0 } }),
    plain('200 bytes in all', [at(0), at(0, { partition: 1 })], { body: { maxBytes: 200 } }),
    plain('second partition first', [at(0, { partition: 1 }), at(0)], { body: { maxBytes: 1 } }),
    plain('empty one first', [at(10), at(0, { partition: 1 })], { body: { maxBytes: 1 } }),
    plain('partition twice', [at(0), at(5)]),
    plain('unknown partition', [at(0, { partition: 9 }), at(9)]),
    plain('more than there is', [at(5)], { body: { minBytes: 1_000_000, maxWaitMs: 150 } }),
    plain('no topics', [], { body: { maxWaitMs: 50 } }),
    plain('read committed', [at(3)], { body: { isolationLevel: 1 } }),
    plain('isolation level 2', [at(3)], { body: { isolationLevel: 2 } }),
    plain('log start offset', [at(3, { logStartOffset: 2 })]),
    ...(version >= 9
      ? [0, 1, -1, -2].map((epoch) => plain(`leader epoch ${epoch}`, [at(9, { currentLeaderEpoch: epoch })]))
      : []),
    ...(version >= 12
      ? [0, 1, -1].map((epoch) => plain(`last fetched epoch ${epoch}`, [at(9, { lastFetchedEpoch: epoch })]))
      : []),
    ...(version >= 12 ? [plain('diverging', [at(15, { lastFetchedEpoch: 0 })])] : []),
    ...(version >= 11 ? [plain('rack', [at(9)], { body: { rackId: 'r' } })] : []),
    ...unknownTopicSteps(version),
    ...longPollSteps(version, name),
    ...(version >= 7 ? sessionSteps(version, name) : []),
    ...(version >= WITH_IDS && version >= 7 ? sessionIdSteps(version, name) : []),
  ]
}

function unknownTopicSteps(version: number): Step[] {
  const request = (label: string, topic: string, id: string): Step =>
    step(label, fetchApi, version, {
      maxWaitMs: 0,
      minBytes: 1,
      topics: [{ topic, topicId: id, partitions: [at(0)] }],
    })
  if (version < WITH_IDS)
    return [request('unknown topic', 'fetch-gone', ZERO_UUID), request('bad name', 'a/b', ZERO_UUID)]
  return [request('unknown id', '', UNKNOWN_ID), request('zero id', '', ZERO_UUID)]
}

function longPollSteps(version: number, name: string): Step[] {
  return [
    fetch('waits', version, name, [at(10)], { parked: true, on: 'waiting', body: { maxWaitMs: 15_000 } }),
    produce('wakes it', name, batchOf(['k'])),
    settle('waits'),
    fetch('waits for more', version, name, [at(11)], {
      parked: true,
      on: 'waiting',
      body: { maxWaitMs: 15_000, minBytes: 120 },
    }),
    produce('not enough', name, batchOf(['l'])),
    produce('enough', name, batchOf(['m'])),
    settle('waits for more'),
  ]
}

function sessionSteps(version: number, name: string): Step[] {
  const other = `${name}-session`
  const send = (
    label: string,
    partitions: FetchPartition[],
    id: number | string,
    epoch: number,
    forgotten?: number[],
  ) => fetch(label, version, other, partitions, { session: { id, epoch }, forgotten })
  return [
    ...filledTopic(other),
    send('no session', [at(0)], 0, -1),
    send('session', [at(9), at(0, { partition: 1 })], 0, 0),
    send('nothing new', [at(10), at(10, { partition: 1 })], 'session', 1),
    send('still nothing new', [], 'session', 2),
    produce('something new', other, batchOf(['k'])),
    send('something', [], 'session', 3),
    send('epoch repeated', [], 'session', 3),
    send('epoch skipped', [], 'session', 9),
    send('goes on', [at(11)], 'session', 4),
    send('unknown partition in a session', [at(0, { partition: 7 })], 'session', 5),
    send('out of range in a session', [at(100)], 'session', 6),
    send('again out of range', [], 'session', 7),
    send('forgets', [], 'session', 8, [0, 7]),
    send('has forgotten', [at(5, { partition: 1 })], 'session', 9),
    send('adds again', [at(0)], 'session', 10),
    send('unknown session', [], 12345, 1),
    send('unknown session, epoch 0', [at(0)], 12345, 0),
    send('negative session', [at(0)], -5, 1),
    send('session 0, epoch 1', [at(0)], 0, 1),
    send('new session in its place', [at(0)], 'session', 0),
    send('the old one', [], 'session', 11),
    send('closed', [at(0)], 'new session in its place', -1),
    send('is closed', [], 'new session in its place', 1),
    send('empty session', [], 0, 0),
    send('epoch -2', [], 0, -2),
  ]
}

function sessionIdSteps(version: number, name: string): Step[] {
  const known = `${name}-known`
  return [
    ...filledTopic(known, 1),
    step('session with an unknown id', fetchApi, version, (replies) => ({
      maxWaitMs: 0,
      minBytes: 1,
      sessionId: 0,
      sessionEpoch: 0,
      topics: [
        { topicId: topicId(replies, known), partitions: [at(0)] },
        { topicId: UNKNOWN_ID, partitions: [at(0)] },
      ],
    })),
    step('goes on with it', fetchApi, version, (replies) => ({
      maxWaitMs: 0,
      minBytes: 1,
      sessionId: replies.get('session with an unknown id').sessionId,
      sessionEpoch: 1,
      topics: [],
    })),
  ]
}

const offsetTimes: Record<string, number> = {
  latest: -1,
  earliest: -2,
  'largest timestamp': -3,
  'earliest local': -4,
  'latest tiered': -5,
  'minus six': -6,
  zero: 0,
  'a record': recentMs + 1001,
  'between records': recentMs + 1500,
  'the last record': recentMs + 4000,
  'after all': recentMs + 5000,
}

function listOffsetsSteps(version: number): Step[] {
  const name = 'list-offsets'
  const send = (label: string, timestamp: number, partition = {}, body = {}): Step =>
    step(label, listOffsetsApi, version, {
      replicaId: -1,
      topics: [{ name, partitions: [{ partitionIndex: 0, timestamp, ...partition }] }],
      ...body,
    })
  return [
    ...Object.entries(offsetTimes).flatMap(([label, timestamp]) => [
      send(label, timestamp),
      send(`empty: ${label}`, timestamp, { partitionIndex: 2 }),
      send(`committed: ${label}`, timestamp, {}, { isolationLevel: 1 }),
    ]),
    ...[0, 1, -1, -2].map((epoch) => send(`epoch ${epoch}`, -1, { currentLeaderEpoch: epoch })),
    ...[0, 1].map((epoch) => send(`epoch ${epoch}, by time`, recentMs, { currentLeaderEpoch: epoch })),
    send('unknown partition', -1, { partitionIndex: 9 }),
    send('unknown partition and time', -6, { partitionIndex: 9 }),
    send('partition -1', -1, { partitionIndex: -1 }),
    send('debugging replica', -1, {}, { replicaId: -2 }),
    send('isolation level 2', -1, {}, { isolationLevel: 2 }),
    step('unknown topic', listOffsetsApi, version, {
      replicaId: -1,
      topics: [{ name: 'list-gone', partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
    }),
    step('twice', listOffsetsApi, version, {
      replicaId: -1,
      topics: [
        {
          name,
          partitions: [
            { partitionIndex: 0, timestamp: -1 },
            { partitionIndex: 0, timestamp: -2 },
            { partitionIndex: 1, timestamp: -2 },
          ],
        },
      ],
    }),
    step('nothing', listOffsetsApi, version, { replicaId: -1, topics: [] }),
    step('two topics', listOffsetsApi, version, {
      replicaId: -1,
      topics: [
        { name, partitions: [0, 1, 2].map((partitionIndex) => ({ partitionIndex, timestamp: -1 })) },
        { name: 'list-gone', partitions: [{ partitionIndex: 0, timestamp: -2 }] },
      ],
    }),
  ]
}

function leaderEpochSteps(version: number): Step[] {
  const send = (label: string, partition: object, topic = 'list-offsets', replicaId = -1): Step =>
    step(label, offsetForLeaderEpochApi, version, {
      replicaId,
      topics: [{ topic, partitions: [{ partition: 0, leaderEpoch: 0, ...partition }] }],
    })
  return [
    ...[0, 1, -1, -2, 5].map((leaderEpoch) => send(`epoch ${leaderEpoch}`, { leaderEpoch })),
    ...[0, 1, -1, -2].map((currentLeaderEpoch) =>
      send(`current epoch ${currentLeaderEpoch}`, { currentLeaderEpoch }),
    ),
    send('empty partition', { partition: 2 }),
    send('unknown partition', { partition: 9 }),
    send('unknown topic', {}, 'list-gone'),
    send('debugging replica', {}, 'list-offsets', -2),
    step('nothing', offsetForLeaderEpochApi, version, { replicaId: -1, topics: [] }),
  ]
}

function deleteRecordsSteps(version: number): Step[] {
  const name = `delete-records${version}`
  const send = (
    label: string,
    offset: number,
    { topic = name, partitionIndex = 0, timeoutMs = 10_000 } = {},
  ): Step =>
    step(label, deleteRecordsApi, version, {
      topics: [{ name: topic, partitions: [{ partitionIndex, offset }] }],
      timeoutMs,
    })
  return [
    ...filledTopic(name),
    createTopic(`${name}-compact`, { configs: { 'cleanup.policy': 'compact' } }),
    produce('compacted', `${name}-compact`, batchOf(['a', 'b'])),
    send('to 4', 4),
    step('earliest', listOffsetsApi, 4, {
      replicaId: -1,
      topics: [
        { name, partitions: [-2, -1].map((timestamp) => ({ partitionIndex: timestamp + 2, timestamp })) },
      ],
    }),
    fetch('below', 11, name, [at(3)]),
    fetch('from there', 11, name, [at(4)]),
    send('to 4 again', 4),
    send('back to 2', 2),
    send('beyond the end', 11),
    send('minus two', -2),
    send('to the end', -1),
    send('to 10', 10, { partitionIndex: 1 }),
    send('unknown partition', 1, { partitionIndex: 9 }),
    send('unknown topic', 1, { topic: 'delete-gone' }),
    send('compacted topic', 1, { topic: `${name}-compact` }),
    send('internal topic', 0, { topic: '__consumer_offsets' }),
    send('bad name', 0, { topic: 'a/b' }),
    send('no time', 10, { timeoutMs: 0 }),
    step('partition twice', deleteRecordsApi, version, {
      topics: [{ name, partitions: [1, 2].map((offset) => ({ partitionIndex: 1, offset })) }],
      timeoutMs: 10_000,
    }),
    step('nothing', deleteRecordsApi, version, { topics: [], timeoutMs: 10_000 }),
  ]
}

export const readingScenarios: Scenario[] = [
  ...[4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17].map((version) => ({
    name: `Fetch v${version}`,
    steps: fetchSteps(version),
  })),
  {
    name: 'ListOffsets',
    steps: [...filledTopic('list-offsets', 3, 2), ...everyVersion(listOffsetsApi, listOffsetsSteps, 1)],
  },
  { name: 'OffsetForLeaderEpoch', steps: everyVersion(offsetForLeaderEpochApi, leaderEpochSteps) },
  { name: 'DeleteRecords', steps: everyVersion(deleteRecordsApi, deleteRecordsSteps) },
]
