import { expect, test } from 'vitest'
import {
  MAX_MISSING_PARTITIONS,
  decideAdoption,
  type FoundPartition,
} from '../../src/controller/decide/adopt-topics.ts'

const ID = 'QnEBEb6RQz2bXiJxKkDbNA'

function found(topic: string, partition: number, more: Partial<FoundPartition> = {}): FoundPartition {
  return { topic, partition, topicId: ID, latestLeaderEpoch: 0, isEmpty: false, ...more }
}
const decide = (...partitions: FoundPartition[]) => decideAdoption(partitions, () => 0)

test('a topic has the partitions, the id and the leader epochs that its directories tell of', () => {
  const { topics, refused } = decide(
    found('t', 1, { latestLeaderEpoch: 7 }),
    found('other', 0),
    found('t', 0, { latestLeaderEpoch: -1, isEmpty: true }),
  )
  expect(topics).toEqual([
    { name: 't', topicId: ID, partitionCount: 2, latestLeaderEpochs: [-1, 7] },
    { name: 'other', topicId: ID, partitionCount: 1, latestLeaderEpochs: [0] },
  ])
  expect(refused).toEqual([])
})

test('what lies below the highest partition and is missing is there without an epoch', () => {
  expect(decide(found('t', 2)).topics[0].latestLeaderEpochs).toEqual([undefined, undefined, 0])
})

test("the broker's own topic has the configured number of partitions, and more where there are more", () => {
  const count = (partition: number): number =>
    decideAdoption([found('__consumer_offsets', partition)], () => 4).topics[0].partitionCount
  expect([count(1), count(9)]).toEqual([4, 10])
})

test('one directory that names its topic speaks for those that do not', () => {
  expect(decide(found('t', 0, { topicId: null }), found('t', 1)).topics[0].topicId).toBe(ID)
  expect(decide(found('old', 0, { topicId: null })).topics[0].topicId).toBeNull()
})

test.each<[string, FoundPartition[], RegExp]>([
  [
    'directories of two topics of one name',
    [found('t', 0), found('t', 1, { topicId: 'AnotherAnotherAnother1' })],
    /different/,
  ],
  ['a directory without id and records', [found('t', 0, { topicId: null, isEmpty: true })], /neither/],
  [
    'a number that is no partition',
    [found('backup', 20_240_101)],
    new RegExp(`more than ${MAX_MISSING_PARTITIONS}`),
  ],
  ['a name that no topic may have', [found('..', 0)], /not allowed/],
  ["KRaft's metadata", [found('__cluster_metadata', 1), found('__cluster_metadata', 0)], /KRaft/],
])('%s are not adopted', (_, partitions, reason) => {
  const { topics, refused } = decide(...partitions, found('sound', 0))
  expect(topics.map(({ name }) => name)).toEqual(['sound'])
  expect(refused).toEqual([{ name: partitions[0].topic, reason: expect.stringMatching(reason) as unknown }])
})

test('as many partitions may be missing as the limit says, and not one more', () => {
  expect(decide(found('t', MAX_MISSING_PARTITIONS)).topics).toHaveLength(1)
  expect(decide(found('t', MAX_MISSING_PARTITIONS + 1)).refused).toHaveLength(1)
})
