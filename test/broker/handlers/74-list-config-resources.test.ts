import { beforeAll, expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { incrementalAlterConfigsApi } from '../../../src/protocol/messages/44-incremental-alter-configs.ts'
import { listConfigResourcesApi } from '../../../src/protocol/messages/74-list-config-resources.ts'
import { createTopic } from '../requests.ts'
import { useBroker } from '../use-broker.ts'

const [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP] = [2, 4, 8, 16, 32]

const broker = useBroker()

async function configure(group: string, configOperation: number): Promise<void> {
  const configs = [{ name: 'consumer.session.timeout.ms', configOperation, value: '50000' }]
  const resources = [{ resourceType: GROUP, resourceName: group, configs }]
  const request = { resources, validateOnly: false }
  expect((await broker.client.request(incrementalAlterConfigsApi, 1, request)).responses[0].errorCode).toBe(0)
}

async function list(version: number, ...resourceTypes: number[]) {
  const answer = await broker.client.request(listConfigResourcesApi, version, { resourceTypes })
  const told = answer.configResources.map(
    ({ resourceType, resourceName }) => `${resourceType} ${resourceName}`,
  )
  return { errorCode: answer.errorCode, told }
}

beforeAll(async () => {
  await createTopic(broker.client, 'orders')
  await configure('readers', 0)
  await configure('writers', 0)
  await configure('writers', 1)
})

test('groups are those that have settings of their own', async () => {
  expect(await list(1, GROUP)).toEqual({ errorCode: 0, told: [`${GROUP} readers`] })
})

test('all types: those that are named, or every one', async () => {
  const { brokerId } = broker.process.broker
  const told = [
    `${GROUP} readers`,
    `${BROKER_LOGGER} ${brokerId}`,
    `${BROKER} ${brokerId}`,
    `${TOPIC} orders`,
  ]
  expect(await list(1)).toEqual({ errorCode: 0, told })
  expect(await list(1, TOPIC, GROUP, TOPIC)).toEqual({ errorCode: 0, told: [told[0], told[3]] })
})

test('client metrics are asked for by version 0 alone, and there are none', async () => {
  expect(await list(0)).toEqual({ errorCode: 0, told: [] })
  expect(await list(1, CLIENT_METRICS)).toEqual({ errorCode: 0, told: [] })
})

test.each([[64], [0], [-1], [GROUP, 64]])('a type that there is not is refused: %j', async (...types) => {
  expect(await list(1, ...types)).toEqual({ errorCode: ErrorCode.UNSUPPORTED_VERSION, told: [] })
})
