import { expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { describeConfigsApi } from '../../../src/protocol/messages/32-describe-configs.ts'
import { alterConfigsApi } from '../../../src/protocol/messages/33-alter-configs.ts'
import { incrementalAlterConfigsApi } from '../../../src/protocol/messages/44-incremental-alter-configs.ts'
import { consumerGroupHeartbeatApi } from '../../../src/protocol/messages/68-consumer-group-heartbeat.ts'
import { findCoordinatorApi } from '../../../src/protocol/messages/10-find-coordinator.ts'
import { eventually } from '../eventually.ts'
import { useBroker } from '../use-broker.ts'
import { alterTopic, batchOf, createTopic, offsetAt, produce } from '../requests.ts'

const broker = useBroker({
  'log.retention.check.interval.ms': '5',
  'producer.id.expiration.check.interval.ms': '5',
})

const TOPIC = 2
const BROKER = 4
const GROUP = 32
const [SET, DELETE, APPEND, SUBTRACT] = [0, 1, 2, 3]

async function describeOne(resourceType: number, resourceName: string, name: string) {
  const resources = [{ resourceType, resourceName, configurationKeys: [name] }]
  const { results } = await broker.client.request(describeConfigsApi, 4, { resources, includeSynonyms: true })
  return results[0].configs[0]
}

async function change(
  resourceType: number,
  resourceName: string,
  config: { name: string; value: string | null; configOperation?: number },
  validateOnly = false,
) {
  const resources = [{ resourceType, resourceName, configs: [{ configOperation: SET, ...config }] }]
  return (await broker.client.request(incrementalAlterConfigsApi, 1, { resources, validateOnly }))
    .responses[0]
}

const large = batchOf(['x'.repeat(2000)])
const produceLarge = async (topic: string) => (await produce(broker.client, topic, large)).errorCode

test('a topic setting is in force when the change is answered: topic, then broker, then cluster, then default', async () => {
  await createTopic(broker.client, 'layers')
  const limit = async (resourceType: number, resourceName: string, value: string | null) => {
    const name = resourceType === TOPIC ? 'max.message.bytes' : 'message.max.bytes'
    const configOperation = value === null ? DELETE : SET
    expect((await change(resourceType, resourceName, { name, value, configOperation })).errorCode).toBe(0)
    const { value: inForce, configSource } = await describeOne(TOPIC, 'layers', 'max.message.bytes')
    return [inForce, configSource, await produceLarge('layers')]
  }
  const { NONE, MESSAGE_TOO_LARGE } = ErrorCode
  expect(await limit(BROKER, '', '1000')).toEqual(['1000', 3, MESSAGE_TOO_LARGE])
  expect(await limit(BROKER, '1', '3000')).toEqual(['3000', 2, NONE])
  expect(await limit(TOPIC, 'layers', '500')).toEqual(['500', 1, MESSAGE_TOO_LARGE])
  expect(await limit(TOPIC, 'layers', null)).toEqual(['3000', 2, NONE])
  expect(await limit(BROKER, '1', null)).toEqual(['1000', 3, MESSAGE_TOO_LARGE])
  expect(await limit(BROKER, '', null)).toEqual(['1048588', 5, NONE])
})

test('what is to be validated only, or is wrong, changes nothing', async () => {
  await createTopic(broker.client, 'unchanged')
  const name = 'max.message.bytes'
  expect((await change(TOPIC, 'unchanged', { name, value: '100' }, true)).errorCode).toBe(ErrorCode.NONE)
  const refused = await change(TOPIC, 'unchanged', { name, value: 'many' })
  expect(refused.errorCode).toBe(ErrorCode.INVALID_CONFIG)
  expect(refused.errorMessage).toMatch(/max\.message\.bytes/)
  expect(await produceLarge('unchanged')).toBe(ErrorCode.NONE)
  const unknown = await change(TOPIC, 'nowhere', { name, value: '100' })
  expect(unknown.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
})

test('lists are appended to and subtracted from', async () => {
  await createTopic(broker.client, 'lists')
  const policy = async (configOperation: number, value: string) => {
    await change(TOPIC, 'lists', { name: 'cleanup.policy', configOperation, value })
    return (await describeOne(TOPIC, 'lists', 'cleanup.policy')).value
  }
  expect(await policy(APPEND, 'compact')).toBe('delete,compact')
  expect(await policy(SUBTRACT, 'delete')).toBe('compact')
})

test('AlterConfigs replaces everything that the topic sets', async () => {
  await createTopic(broker.client, 'replaced', { 'max.message.bytes': '100', 'retention.ms': '5000' })
  expect(await produceLarge('replaced')).toBe(ErrorCode.MESSAGE_TOO_LARGE)
  const configs = [{ name: 'retention.ms', value: '6000' }]
  const resources = [{ resourceType: TOPIC, resourceName: 'replaced', configs }]
  const reply = await broker.client.request(alterConfigsApi, 2, { resources, validateOnly: false })
  expect(reply.responses[0].errorCode).toBe(ErrorCode.NONE)
  expect(await produceLarge('replaced')).toBe(ErrorCode.NONE)
  expect((await describeOne(TOPIC, 'replaced', 'retention.ms')).value).toBe('6000')
})

test('retention by size and time takes whole segments, and offsets go on', async () => {
  await createTopic(broker.client, 'forgetful', { 'segment.bytes': '2100', 'retention.ms': '-1' })
  for (let count = 0; count < 4; count++) expect(await produceLarge('forgetful')).toBe(ErrorCode.NONE)
  const logStart = () => offsetAt(broker.client, 'forgetful', -2)
  expect(await logStart()).toBe(0)
  await alterTopic(broker.client, 'forgetful', 'retention.bytes', String(2 * large.length))
  await expect.poll(logStart).toBe(2)
  // The records are years old.
  await alterTopic(broker.client, 'forgetful', 'retention.ms', '60000')
  await expect.poll(logStart).toBe(4)
  expect((await produce(broker.client, 'forgetful', batchOf(['next']))).baseOffset).toBe(4)
})

test('max.connections is in force for the next connection', async () => {
  const set = (value: string | null) => {
    const configOperation = value === null ? DELETE : SET
    return change(BROKER, '', { name: 'max.connections', value, configOperation })
  }
  expect((await set('1')).errorCode).toBe(ErrorCode.NONE)
  const refused = await broker.process.connect()
  await refused.closed
  expect((await set(null)).errorCode).toBe(ErrorCode.NONE)
  await createTopic(await broker.process.connect(), 'connected')
})

test('producer.id.expiration.ms is in force at the next check', async () => {
  await createTopic(broker.client, 'producers')
  const send = async (baseSequence: number) => {
    const batch = batchOf(['a'], { producerId: 1, producerEpoch: 0, baseSequence, timestampMs: Date.now() })
    return (await produce(broker.client, 'producers', batch)).errorCode
  }
  expect(await send(0)).toBe(ErrorCode.NONE)
  expect(await send(9)).toBe(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
  const value = { name: 'producer.id.expiration.ms', value: '1' }
  expect((await change(BROKER, '', value)).errorCode).toBe(ErrorCode.NONE)
  // Nothing is known of the producer any more, so any number may come first.
  await expect.poll(() => send(9)).toBe(ErrorCode.NONE)
})

test('settings of another broker and of unknown kinds are refused', async () => {
  const name = 'message.max.bytes'
  expect((await change(BROKER, '2', { name, value: '100' })).errorCode).toBe(ErrorCode.INVALID_REQUEST)
  expect((await change(99, '1', { name, value: '100' })).errorCode).toBe(ErrorCode.INVALID_REQUEST)
  const readOnly = await change(BROKER, '1', { name: 'socket.request.max.bytes', value: '100' })
  expect(readOnly.errorCode).toBe(ErrorCode.INVALID_REQUEST)
})

test('a setting of a group is what its members are told when the change is answered', async () => {
  const told = async (groupId: string) => {
    const request = {
      groupId,
      memberId: 'm',
      memberEpoch: 0,
      rebalanceTimeoutMs: 1000,
      subscribedTopicNames: ['t'],
    }
    const { errorCode, heartbeatIntervalMs } = await broker.client.request(consumerGroupHeartbeatApi, 0, {
      ...request,
      topicPartitions: [],
    })
    expect(errorCode).toBe(ErrorCode.NONE)
    return heartbeatIntervalMs
  }
  const name = 'consumer.heartbeat.interval.ms'
  expect((await change(GROUP, 'readers', { name, value: '7000' })).errorCode).toBe(ErrorCode.NONE)
  expect(await describeOne(GROUP, 'readers', name)).toMatchObject({ name, value: '7000', configSource: 8 })
  await eventually(
    () => broker.client.request(findCoordinatorApi, 1, { key: 'readers', keyType: 0 }),
    ({ errorCode }) => errorCode === ErrorCode.NONE,
  )
  expect(await told('readers')).toBe(7000)
  expect((await change(GROUP, 'readers', { name, value: null, configOperation: DELETE })).errorCode).toBe(0)
  expect(await told('readers')).toBe(5000)
})
