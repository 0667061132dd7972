/**
 * ListConfigResources (KIP-1142) of Apache Kafka 4.1 (KRaft) and of ours: what has settings, or may have. A group whose last
 * setting was removed Kafka goes on naming until it starts again, ours does not: that is not asked here.
 */
import { expect, test } from 'vitest'
import { createTopic } from '../../broker/requests.ts'
import { incrementalAlterConfigsApi } from '../../../src/protocol/messages/44-incremental-alter-configs.ts'
import { describeClusterApi } from '../../../src/protocol/messages/60-describe-cluster.ts'
import { listConfigResourcesApi } from '../../../src/protocol/messages/74-list-config-resources.ts'
import { eventually } from '../harness/conditions.ts'
import { startBoth, startSide, type RunningSide } from './sides.ts'

const [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, UNKNOWN] = [2, 4, 8, 16, 32, 64]
const SET = 0

const both = startBoth((kind) => startSide(kind, {}))

async function list({ client }: RunningSide, version: number, ...resourceTypes: number[]) {
  const { errorCode, configResources } = await client.request(listConfigResourcesApi, version, {
    resourceTypes,
  })
  const { brokers } = await client.request(describeClusterApi, 0, {
    includeClusterAuthorizedOperations: false,
  })
  const ofBroker = new Set(brokers.map(({ brokerId }) => String(brokerId)))
  const told = configResources.map(({ resourceName, resourceType }) =>
    [BROKER, BROKER_LOGGER].includes(resourceType) && ofBroker.has(resourceName)
      ? `${resourceType} <broker>`
      : `${resourceType} ${resourceName}`,
  )
  return { errorCode, told: told.sort() }
}

async function configure({ client }: RunningSide, resourceName: string) {
  const configs = [{ name: 'consumer.session.timeout.ms', configOperation: SET, value: '50000' }]
  const resources = [{ resourceType: GROUP, resourceName, configs }]
  const { responses } = await client.request(incrementalAlterConfigsApi, 1, {
    resources,
    validateOnly: false,
  })
  return responses[0].errorCode
}

test('is the same of every type, and of all of them', async () => {
  await both('a topic', ({ client }) => createTopic(client, 'orders', {}))
  await both('settings of a group', (side) => configure(side, 'readers'))
  await both('all are known', async (side) => {
    await eventually('they are', async () => {
      const { told } = await list(side, 1)
      return told.includes(`${TOPIC} orders`) && told.includes(`${GROUP} readers`)
    })
  })
  expect(await both('all', (side) => list(side, 1))).toMatchObject({ errorCode: 0 })
  await both('version 0', (side) => list(side, 0))
  for (const type of [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, UNKNOWN, 0, -1]) {
    await both(`type ${type}`, (side) => list(side, 1, type))
  }
  await both('several', (side) => list(side, 1, GROUP, TOPIC, GROUP))
  await both('several, one of them unknown', (side) => list(side, 1, GROUP, UNKNOWN))
})
