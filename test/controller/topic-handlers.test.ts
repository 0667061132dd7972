/** The handlers of CreateTopics, DeleteTopics and CreatePartitions over a real TopicAdmin. */
import { expect, test } from 'vitest'
import { BrokerConfig } from '../../src/broker/config/broker-config.ts'
import { handleCreateTopics } from '../../src/broker/handlers/19-create-topics.ts'
import { handleDeleteTopics } from '../../src/broker/handlers/20-delete-topics.ts'
import { handleCreatePartitions } from '../../src/broker/handlers/37-create-partitions.ts'
import type { RequestContext, Services } from '../../src/broker/services.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { ZERO_UUID } from '../../src/protocol/schema.ts'
import { SimCluster, newTopic } from './cluster.ts'

async function start() {
  const cluster = new SimCluster()
  const broker = await cluster.addBroker(1)
  const services = {
    topics: broker.topics,
    config: new BrokerConfig({ 'broker.id': '1' }),
  } as unknown as Services
  return { cluster, broker, services }
}

const version = (apiVersion: number): RequestContext => ({ apiVersion }) as RequestContext
const createRequest = (...topics: ReturnType<typeof newTopic>[]) => {
  return { topics, timeoutMs: 1000, validateOnly: false }
}

test('CreateTopics 5 and later tell the settings in force and where they come from', async () => {
  const { cluster, services } = await start()
  const configs = [{ name: 'retention.ms', value: '1234' }]
  const { topics } = await cluster.until(
    handleCreateTopics(services, createRequest({ ...newTopic('t'), configs } as never), version(7)),
  )
  expect(topics[0]).toMatchObject({ name: 't', errorCode: 0, numPartitions: 2, replicationFactor: 1 })
  expect(topics[0].topicId).not.toBe(ZERO_UUID)
  const described = new Map(topics[0].configs!.map((config) => [config.name, config]))
  expect(described.get('retention.ms')).toMatchObject({ value: '1234', configSource: 1 })
  expect(described.get('segment.bytes')).toMatchObject({ configSource: 5 })
})

test('CreateTopics refuses a name that is asked for twice, and the metadata log', async () => {
  const { cluster, services } = await start()
  const request = createRequest(newTopic('t'), newTopic('t'), newTopic('__cluster_metadata'), newTopic('ok'))
  const { topics } = await cluster.until(handleCreateTopics(services, request, version(7)))
  expect(topics.map(({ name, errorCode }) => [name, errorCode])).toEqual([
    ['t', ErrorCode.INVALID_REQUEST],
    ['t', ErrorCode.INVALID_REQUEST],
    ['__cluster_metadata', ErrorCode.INVALID_REQUEST],
    ['ok', ErrorCode.NONE],
  ])
})

test('DeleteTopics reads names up to version 5, states from 6; older clients do not know TOPIC_DELETION_DISABLED', async () => {
  const { cluster, broker, services } = await start()
  await cluster.until(handleCreateTopics(services, createRequest(newTopic('a'), newTopic('b')), version(7)))
  const byNames = { topics: [], topicNames: ['a'], timeoutMs: 1000 }
  const byStates = { topics: [{ name: 'b', topicId: ZERO_UUID }], topicNames: [], timeoutMs: 1000 }
  const old = await cluster.until(handleDeleteTopics(services, byNames, version(5)))
  expect(old.responses).toMatchObject([{ name: 'a', errorCode: 0 }])
  // The state comes back as it was asked for, as in Kafka.
  const recent = await cluster.until(handleDeleteTopics(services, byStates, version(6)))
  expect(recent.responses).toEqual([{ name: 'b', topicId: ZERO_UUID, errorCode: 0, errorMessage: null }])
  broker.settings.deletionEnabled = () => false
  for (const [apiVersion, code] of [
    [2, ErrorCode.INVALID_REQUEST],
    [3, ErrorCode.TOPIC_DELETION_DISABLED],
  ] as const) {
    const { responses } = await cluster.until(handleDeleteTopics(services, byNames, version(apiVersion)))
    expect(responses[0].errorCode).toBe(code)
  }
})

test('CreatePartitions answers each topic once, a name given twice with INVALID_REQUEST', async () => {
  const { cluster, services } = await start()
  await cluster.until(handleCreateTopics(services, createRequest(newTopic('a'), newTopic('b')), version(7)))
  const grow = (name: string, count: number) => ({ name, count, assignments: null })
  const { results } = await cluster.until(
    handleCreatePartitions(services, {
      topics: [grow('a', 4), grow('b', 3), grow('b', 4)],
      timeoutMs: 1000,
      validateOnly: false,
    }),
  )
  expect(results.map(({ name, errorCode }) => [name, errorCode])).toEqual([
    ['a', ErrorCode.NONE],
    ['b', ErrorCode.INVALID_REQUEST],
  ])
})
