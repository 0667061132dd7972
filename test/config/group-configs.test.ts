import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BrokerConfig } from '../../src/broker/config/broker-config.ts'
import { ConfigAdmin, ResourceType } from '../../src/broker/config/config-admin.ts'
import {
  GroupConfigs,
  MAX_CONFIGURED_GROUPS,
  MAX_GROUP_ID_LENGTH,
} from '../../src/broker/config/group-configs.ts'
import { createEmbeddedCoordination } from '../../src/coordination/embedded.ts'
import type { EmbeddedCoordination } from '../../src/coordination/embedded.ts'
import { createNodeEnv } from '../../src/env/node/index.ts'
import { silentLogger } from '../../src/env/node/logger.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { eventually } from '../broker/eventually.ts'

const env = createNodeEnv(silentLogger)
const [SET, DELETE, APPEND] = [0, 1, 2]
const SESSION = 'consumer.session.timeout.ms'
const HEARTBEAT = 'consumer.heartbeat.interval.ms'

let coordination: EmbeddedCoordination

beforeEach(() => {
  coordination = createEmbeddedCoordination({ ...env, directory: null })
})
afterEach(() => coordination.close())

/** A broker's part of it, with a session of its own. */
async function start(properties: Record<string, string> = {}) {
  const session = await coordination.connect({ sessionTimeoutMs: 18_000 })
  const config = new BrokerConfig(properties)
  const groupConfigs = new GroupConfigs(session, config, silentLogger)
  const admin = new ConfigAdmin({
    session,
    config,
    groupConfigs,
    brokerId: 1,
    clock: env.clock,
    logger: silentLogger,
    topicExists: () => false,
    holdsTopicConfig: () => false,
    onTopicConfigChange: () => undefined,
    onBrokerConfigChange: () => undefined,
  })
  await admin.start()
  return { admin, groupConfigs, session }
}

type Operation = readonly [name: string, configOperation: number, value: string | null]

async function alter(admin: ConfigAdmin, groupId: string, ...operations: Operation[]) {
  const change = {
    resourceType: ResourceType.GROUP,
    resourceName: groupId,
    replace: false,
    operations: operations.map(([name, configOperation, value]) => ({ name, configOperation, value })),
  }
  return (await admin.alter([change], false))[0]
}

async function described(admin: ConfigAdmin, groupId: string, keys: string[] | null = null) {
  const resource = { resourceType: ResourceType.GROUP, resourceName: groupId, configurationKeys: keys }
  const request = { resources: [resource], includeSynonyms: true, includeDocumentation: true }
  return (await admin.describe(request))[0]
}

describe('Settings of a group', () => {
  it('are in force when the change is answered, at other brokers soon after', async () => {
    const { admin, groupConfigs } = await start()
    const other = await start()
    expect(await alter(admin, 'readers', [SESSION, SET, '50000'], [HEARTBEAT, SET, '7000'])).toBeNull()
    const times = { consumerSessionTimeoutMs: 50_000, consumerHeartbeatIntervalMs: 7_000 }
    expect(groupConfigs.timesOf('readers')).toEqual(times)
    expect(groupConfigs.timesOf('writers')).toBeUndefined()
    const seen = await eventually(
      () => other.groupConfigs.timesOf('readers'),
      (each) => each !== undefined,
    )
    expect(seen).toEqual(times)
    await alter(other.admin, 'readers', [SESSION, DELETE, null], [HEARTBEAT, DELETE, null])
    expect(other.groupConfigs.timesOf('readers')).toBeUndefined()
    await eventually(
      () => groupConfigs.timesOf('readers'),
      (each) => each === undefined,
    )
  })

  it('are there after a start', async () => {
    const { admin } = await start()
    await alter(admin, 'readers', [SESSION, SET, '50000'])
    const again = await start()
    expect(again.groupConfigs.timesOf('readers')).toEqual({ consumerSessionTimeoutMs: 50_000 })
  })

  it('tell no broker of it by a change node, which Kafka 3.9 could not read', async () => {
    const { admin, session } = await start()
    await alter(admin, 'readers', [SESSION, SET, '50000'])
    expect(await session.children('/config/changes')).toEqual([])
    const { data } = await session.get('/config/groups/readers')
    expect(data?.toString()).toBe('{"version":1,"config":{"consumer.session.timeout.ms":"50000"}}')
  })

  it.each(['a/b', '.', '..', 'a group with spaces', 'grüße 🎉', '%2F'])(
    'work for a group called %s',
    async (name) => {
      const { admin, groupConfigs } = await start()
      expect(await alter(admin, name, [SESSION, SET, '50000'])).toBeNull()
      expect(groupConfigs.timesOf(name)).toEqual({ consumerSessionTimeoutMs: 50_000 })
      expect((await start()).groupConfigs.of(name)).toEqual({ [SESSION]: '50000' })
    },
  )

  it('are described with what holds where nothing is set, also of a group that nobody knows', async () => {
    const { admin } = await start({ 'group.consumer.heartbeat.interval.ms': '6000' })
    await alter(admin, 'readers', [SESSION, SET, '50000'])
    const { errorCode, configs } = await described(admin, 'readers')
    expect(errorCode).toBe(ErrorCode.NONE)
    expect(
      configs.map(({ name, value, configSource, synonyms }) => [name, value, configSource, synonyms]),
    ).toEqual([
      [HEARTBEAT, '6000', 5, [{ name: HEARTBEAT, value: '6000', source: 5 }]],
      [SESSION, '50000', 8, [{ name: SESSION, value: '50000', source: 8 }]],
    ])
    expect(
      configs.every(({ readOnly, isSensitive, configType }) => !readOnly && !isSensitive && configType === 3),
    ).toBe(true)
    const unknown = await described(admin, 'nobody', [SESSION])
    expect(unknown.configs.map(({ value, configSource }) => [value, configSource])).toEqual([['45000', 5]])
    expect(await described(admin, '')).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST, configs: [] })
  })

  it.each<[string, Operation, string, number?]>([
    [
      'an unknown name',
      ['share.session.timeout.ms', SET, '1'],
      'Unknown group config name: share.session.timeout.ms',
    ],
    ['no number', [SESSION, SET, 'soon'], 'Invalid value soon for configuration consumer.session.timeout.ms'],
    ['too little', [SESSION, SET, '1000'], 'greater than or equal to group.consumer.min.session.timeout.ms'],
    ['too much', [SESSION, SET, '60001'], 'less than or equal to group.consumer.max.session.timeout.ms'],
    ['too often', [HEARTBEAT, SET, '1'], 'greater than or equal to group.consumer.min.heartbeat.interval.ms'],
    [
      'too seldom',
      [HEARTBEAT, SET, '15001'],
      'less than or equal to group.consumer.max.heartbeat.interval.ms',
    ],
    ['not a list', [SESSION, APPEND, '1'], 'append is not allowed'],
  ])('are refused: %s', async (_, operation, message) => {
    const { admin, groupConfigs } = await start()
    const refused = await alter(admin, 'readers', operation)
    expect(refused).toMatchObject({
      errorCode: ErrorCode.INVALID_CONFIG,
      errorMessage: expect.stringContaining(message),
    })
    expect(groupConfigs.timesOf('readers')).toBeUndefined()
  })

  it('are refused where the session would end before the next heartbeat', async () => {
    const { admin } = await start({
      'group.consumer.min.session.timeout.ms': '1000',
      'group.consumer.max.heartbeat.interval.ms': '60000',
    })
    expect(await alter(admin, 'readers', [SESSION, SET, '5000'])).toMatchObject({
      errorCode: ErrorCode.INVALID_CONFIG,
      errorMessage: 'consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms',
    })
  })

  it('are refused for no group, for a very long name, and for too many groups', async () => {
    const { admin, session } = await start()
    const refused = { errorCode: ErrorCode.INVALID_REQUEST }
    expect(await alter(admin, '', [SESSION, SET, '50000'])).toMatchObject(refused)
    expect(await alter(admin, 'x'.repeat(MAX_GROUP_ID_LENGTH + 1), [SESSION, SET, '50000'])).toMatchObject(
      refused,
    )
    for (let i = 0; i < MAX_CONFIGURED_GROUPS; i++) await session.create(`/config/groups/g${i}`, null)
    const full = await start()
    expect(await alter(full.admin, 'one-more', [SESSION, SET, '50000'])).toMatchObject(refused)
    expect(await alter(full.admin, 'g7', [SESSION, SET, '50000'])).toBeNull()
  })

  it('that this broker cannot hold are shown, and have no effect', async () => {
    const { session } = await start()
    await session.create('/config/groups/readers', Buffer.from(`{"version":1,"config":{"${SESSION}":"7"}}`))
    const { admin, groupConfigs } = await start()
    expect(groupConfigs.timesOf('readers')).toBeUndefined()
    expect((await described(admin, 'readers', [SESSION])).configs[0].value).toBe('7')
  })
})
