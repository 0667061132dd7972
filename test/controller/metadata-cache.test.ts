import { expect, test } from 'vitest'
import { MetadataCache } from '../../src/broker/metadata-cache.ts'
import type { MetadataChange } from '../../src/broker/metadata-cache.ts'
import { LEADER_DURING_DELETE } from '../../src/controller/metadata.ts'
import type { MetadataUpdate, PartitionState } from '../../src/controller/metadata.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'

const broker = (id: number, port = 9092) => ({
  id,
  epoch: 1,
  rack: null,
  endpoints: [{ listenerName: 'PLAINTEXT', host: 'h', port, securityProtocol: 'PLAINTEXT' }],
})
const state = (topic: string, partition: number, more: Partial<PartitionState> = {}): PartitionState => ({
  topic,
  topicId: `id of ${topic}`,
  partition,
  controllerEpoch: 1,
  leader: 1,
  leaderEpoch: 0,
  isr: [1],
  partitionEpoch: 0,
  replicas: [1, 2],
  addingReplicas: [],
  removingReplicas: [],
  isNew: false,
  recovering: false,
  offlineReplicas: [],
  ...more,
})
const gone = (topic: string, partition: number, more: Partial<PartitionState> = {}): PartitionState => {
  return state(topic, partition, { leader: LEADER_DURING_DELETE, ...more })
}
const update = (more: Partial<MetadataUpdate>): MetadataUpdate => {
  return { brokers: [broker(1), broker(2)], partitions: [], ...more }
}

test('partitions are merged, brokers and controller replaced', () => {
  const cache = new MetadataCache('c', new SimScheduler().timers)
  cache.updateMetadata(1, update({ partitions: [state('t', 0), state('t', 1)] }))
  cache.updateMetadata(2, update({ brokers: [broker(1)], partitions: [state('t', 1, { leader: 2 })] }))
  expect(cache.controllerId).toBe(2)
  expect([...cache.brokers()].map(({ id }) => id)).toEqual([1])
  expect(
    cache.topic('t')!.partitions.map(({ leader, offlineReplicas }) => ({ leader, offlineReplicas })),
  ).toEqual([
    { leader: 1, offlineReplicas: [2] },
    { leader: 2, offlineReplicas: [2] },
  ])
  expect(cache.topicById('id of t')).toBe(cache.topic('t'))
})

test('a topic that is deleted and made again is another topic', () => {
  const cache = new MetadataCache('c', new SimScheduler().timers)
  cache.updateMetadata(1, update({ partitions: [state('t', 0), state('t', 1)] }))
  cache.updateMetadata(1, update({ partitions: [state('t', 0, { topicId: 'new' })] }))
  expect(cache.topic('t')).toMatchObject({ topicId: 'new', partitions: { length: 1 } })
  expect(cache.topicById('id of t')).toBeUndefined()
  cache.updateMetadata(1, update({ partitions: [gone('t', 0, { topicId: 'new' })] }))
  expect([cache.topic('t'), cache.topicById('new'), cache.partition('t', 0)]).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

test('a deletion told late does not touch a topic of the same name that was made since', () => {
  const cache = new MetadataCache('c', new SimScheduler().timers)
  cache.updateMetadata(1, update({ partitions: [state('t', 0, { topicId: 'new' })] }))
  cache.updateMetadata(1, update({ partitions: [gone('t', 0)] }))
  expect(cache.topic('t')).toMatchObject({ topicId: 'new', partitions: { length: 1 } })
})

test('what was read before an update is not changed by it', () => {
  const cache = new MetadataCache('c', new SimScheduler().timers)
  cache.updateMetadata(1, update({ partitions: [state('t', 0)] }))
  const before = cache.topic('t')!
  const copy = structuredClone(before)
  cache.updateMetadata(
    1,
    update({ brokers: [broker(1)], partitions: [state('t', 0, { leader: 2 }), state('t', 1)] }),
  )
  expect(before).toEqual(copy)
})

test('listeners hear of what changed, and of nothing else', () => {
  const cache = new MetadataCache('c', new SimScheduler().timers)
  const changes: MetadataChange[] = []
  cache.onChange((change) => changes.push(change))
  cache.updateMetadata(1, update({ partitions: [state('a', 0), state('b', 0, { replicas: [1] })] }))
  cache.updateMetadata(1, update({}))
  cache.updateMetadata(1, update({ brokers: [broker(1)] }))
  cache.updateMetadata(1, update({ brokers: [broker(1, 9999)], partitions: [gone('b', 0), gone('none', 0)] }))
  expect(changes.map(({ topics, brokersChanged }) => [[...topics], brokersChanged])).toEqual([
    [['a', 'b'], true],
    [['a'], true],
    [['b'], true],
  ])
})

test('waitFor ends when the condition holds, or when time is up', async () => {
  const scheduler = new SimScheduler()
  const cache = new MetadataCache('c', scheduler.timers)
  const there = (): boolean => cache.topic('t') !== undefined
  const [short, long] = [cache.waitFor(there, 10), cache.waitFor(there, 1000)]
  await scheduler.advance(20)
  cache.updateMetadata(1, update({ partitions: [state('t', 0)] }))
  expect(await Promise.all([short, long, cache.waitFor(there, 0)])).toEqual([false, true, true])
  expect(await cache.waitFor(() => false, 0)).toBe(false)
})
