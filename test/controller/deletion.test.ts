import { expect, test } from 'vitest'
import { ZERO_UUID } from '../../src/protocol/schema.ts'
import { SimCluster } from './cluster.ts'

async function clusterWithTopic(): Promise<SimCluster> {
  const cluster = new SimCluster()
  for (const id of [1, 2, 3]) await cluster.addBroker(id)
  await cluster.createTopic('t', [1, 2, 3])
  return cluster
}

const mark = async (cluster: SimCluster, name = 't') => {
  await cluster.until(cluster.controller.session.create(`/admin/delete_topics/${name}`, null))
  await cluster.scheduler.settle()
}
const exists = async (cluster: SimCluster, path: string) =>
  (await cluster.until(cluster.controller.session.exists(path))) !== null

test('brokers forget the topic first, then delete its logs, then it is gone', async () => {
  const cluster = await clusterWithTopic()
  for (const { calls } of cluster.brokers.values()) calls.length = 0
  await mark(cluster)
  for (const { calls, metadata } of cluster.brokers.values()) {
    expect(calls.map(({ type }) => type)).toEqual(['updateMetadata', 'stopReplicas'])
    expect(calls[0].update!.partitions).toMatchObject([{ topic: 't', leader: -2, leaderEpoch: 0 }])
    expect(calls[1].partitions).toEqual([{ topic: 't', partition: 0, leaderEpoch: -2, deleteLog: true }])
    expect(metadata.topic('t')).toBeUndefined()
  }
  for (const path of ['/brokers/topics/t', '/config/topics/t', '/admin/delete_topics/t'])
    expect(await exists(cluster, path)).toBe(false)
})

test('a broker that is slow holds up the end of a deletion, and nothing else', async () => {
  const cluster = await clusterWithTopic()
  cluster.brokers.get(3)!.fault = 'TIMED_OUT'
  await mark(cluster)
  expect(await exists(cluster, '/brokers/topics/t')).toBe(true)
  await cluster.createTopic('u', [2, 1])
  expect(cluster.controller.metadata.partition('u', 0)!.leader).toBe(2)
  const deleted = cluster.controller.topics.deleteTopics([{ name: 'u', topicId: ZERO_UUID }], {
    timeoutMs: 1000,
  })
  expect((await cluster.until(deleted))[0].error).toBe(0)
  expect(await exists(cluster, '/brokers/topics/u')).toBe(false)
  cluster.brokers.get(3)!.fault = null
  await cluster.scheduler.advance(100)
  expect(await exists(cluster, '/brokers/topics/t')).toBe(false)
})

test('a broker that goes in the middle is waited for; the others are not asked again', async () => {
  const cluster = await clusterWithTopic()
  cluster.brokers.get(3)!.fault = 'TIMED_OUT'
  await mark(cluster)
  await cluster.removeBroker(3)
  expect(await exists(cluster, '/brokers/topics/t')).toBe(true)
  for (const { calls } of cluster.brokers.values()) calls.length = 0
  const three = await cluster.addBroker(3)
  expect(three.callsOf('stopReplicas')).toHaveLength(1)
  expect(three.callsOf('leaderAndIsr')).toEqual([])
  for (const id of [1, 2]) expect(cluster.brokers.get(id)!.callsOf('stopReplicas')).toEqual([])
  expect(await exists(cluster, '/brokers/topics/t')).toBe(false)
})

test('a new controller begins a deletion again that the one before it has not ended', async () => {
  const cluster = await clusterWithTopic()
  cluster.brokers.get(3)!.fault = 'TIMED_OUT'
  await mark(cluster)
  await cluster.removeBroker(cluster.controller.id)
  cluster.brokers.get(3)!.fault = null
  await cluster.scheduler.advance(200)
  // Broker 1 is away: it may have the logs.
  expect(await exists(cluster, '/brokers/topics/t')).toBe(true)
  await cluster.addBroker(1)
  expect(await exists(cluster, '/brokers/topics/t')).toBe(false)
  expect(await exists(cluster, '/admin/delete_topics/t')).toBe(false)
})

test('a reassignment under way ends with its topic, and all its replicas go', async () => {
  const cluster = await clusterWithTopic()
  await cluster.createTopic('u', [1, 2])
  const request = {
    timeoutMs: 0,
    topics: [{ name: 'u', partitions: [{ partitionIndex: 0, replicas: [3] }] }],
  }
  await cluster.until(cluster.controller.controller.alterPartitionReassignments(request))
  await mark(cluster, 'u')
  for (const broker of cluster.brokers.values())
    expect(broker.callsOf('stopReplicas').flatMap(({ partitions }) => partitions)).toHaveLength(1)
  expect(await exists(cluster, '/brokers/topics/u')).toBe(false)
})

test('a marker is removed where deletion is disabled, or where there is no such topic', async () => {
  const cluster = await clusterWithTopic()
  await mark(cluster, 'none')
  expect(await exists(cluster, '/admin/delete_topics/none')).toBe(false)
  cluster.controller.settings.deletionEnabled = () => false
  await mark(cluster)
  expect(await exists(cluster, '/admin/delete_topics/t')).toBe(false)
  expect(cluster.controller.metadata.topic('t')).toBeDefined()
})

test('partitions that are added to a topic in deletion are taken back', async () => {
  const cluster = await clusterWithTopic()
  await cluster.removeBroker(3)
  await mark(cluster)
  const { session } = cluster.controller
  const { data } = await cluster.until(session.get('/brokers/topics/t'))
  const topic = JSON.parse(data!.toString())
  const grown = { ...topic, partitions: { ...topic.partitions, 1: [1] } }
  await cluster.until(session.set('/brokers/topics/t', Buffer.from(JSON.stringify(grown))))
  await cluster.scheduler.settle()
  expect(JSON.parse((await cluster.until(session.get('/brokers/topics/t'))).data!.toString())).toEqual(topic)
})
