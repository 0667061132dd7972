import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BrokerConfig } from '../../src/broker/config/broker-config.ts'
import type { Properties } from '../../src/broker/config/broker-config.ts'
import { ConfigAdmin, ResourceType } from '../../src/broker/config/config-admin.ts'
import { GroupConfigs } from '../../src/broker/config/group-configs.ts'
import { createEmbeddedCoordination } from '../../src/coordination/embedded.ts'
import type { EmbeddedCoordination } from '../../src/coordination/embedded.ts'
import { CoordinationError } from '../../src/env/coordination.ts'
import type { CoordinationSession, SessionState } from '../../src/env/coordination.ts'
import { createNodeEnv } from '../../src/env/node/index.ts'
import { silentLogger } from '../../src/env/node/logger.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'

const BROKER_ID = 3
const SET = 0
const DELETE = 1
const APPEND = 2
const SUBTRACT = 3

const env = createNodeEnv(silentLogger)

interface Setup {
  readonly admin: ConfigAdmin
  readonly config: BrokerConfig
  readonly topicChanges: { topic: string; overrides: Properties }[]
  readonly brokerChanges: string[]
}

let coordination: EmbeddedCoordination
let session: CoordinationSession

beforeEach(async () => {
  coordination = createEmbeddedCoordination({ ...env, directory: null })
  session = await coordination.connect({ sessionTimeoutMs: 18_000 })
})

afterEach(() => coordination.close())

async function start(properties: Properties = {}, nowMs = () => env.clock.nowMs()): Promise<Setup> {
  const config = new BrokerConfig(properties)
  const groupConfigs = new GroupConfigs(session, config, silentLogger)
  const topicChanges: Setup['topicChanges'] = []
  const brokerChanges: string[] = []
  const admin = new ConfigAdmin({
    session,
    config,
    groupConfigs,
    brokerId: BROKER_ID,
    clock: { ...env.clock, nowMs },
    logger: silentLogger,
    topicExists: (topic) => topic.startsWith('t'),
    holdsTopicConfig: (topic) => topic === 'not-heard-of-yet',
    onTopicConfigChange: (topic, overrides) => void topicChanges.push({ topic, overrides }),
    onBrokerConfigChange: (keys) => void brokerChanges.push(...keys),
  })
  await admin.start()
  return { admin, config, topicChanges, brokerChanges }
}

type Operation = readonly [name: string, configOperation: number, value: string | null]

async function alter(admin: ConfigAdmin, type: number, name: string, ...operations: Operation[]) {
  const change = {
    resourceType: type,
    resourceName: name,
    replace: false,
    operations: operations.map(([key, configOperation, value]) => ({ name: key, configOperation, value })),
  }
  return (await admin.alter([change], false))[0]
}

async function describe1(admin: ConfigAdmin, type: number, name: string, keys: string[] | null = null) {
  const [result] = await admin.describe({
    resources: [{ resourceType: type, resourceName: name, configurationKeys: keys }],
    includeSynonyms: true,
    includeDocumentation: true,
  })
  return result
}

const { TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS } = ResourceType

describe('Altering a topic', () => {
  it('writes its znode and a change node, and is in force before it is answered', async () => {
    const { admin, topicChanges } = await start()
    expect(await alter(admin, TOPIC, 't1', ['retention.ms', SET, '1000'])).toBeNull()
    expect(topicChanges).toEqual([{ topic: 't1', overrides: { 'retention.ms': '1000' } }])
    const entity = await session.get('/config/topics/t1')
    expect(entity.data?.toString()).toBe('{"version":1,"config":{"retention.ms":"1000"}}')
    const change = await session.get('/config/changes/config_change_0000000000')
    expect(change.data?.toString()).toBe('{"version":2,"entity_path":"topics/t1"}')
  })

  it('sets, appends, subtracts and deletes single keys', async () => {
    const { admin } = await start()
    await alter(admin, TOPIC, 't', ['cleanup.policy', APPEND, 'compact'], ['retention.ms', SET, '5'])
    expect(await admin.topicOverrides('t')).toEqual({
      'cleanup.policy': 'delete,compact',
      'retention.ms': '5',
    })
    await alter(admin, TOPIC, 't', ['cleanup.policy', SUBTRACT, 'delete'], ['retention.ms', DELETE, null])
    expect(await admin.topicOverrides('t')).toEqual({ 'cleanup.policy': 'compact' })
    await alter(admin, TOPIC, 't', ['cleanup.policy', APPEND, 'compact'])
    expect(await admin.topicOverrides('t')).toEqual({ 'cleanup.policy': 'compact' })
  })

  it('replaces everything with AlterConfigs', async () => {
    const { admin } = await start()
    await alter(admin, TOPIC, 't', ['retention.ms', SET, '5'])
    const operations = [{ name: 'segment.bytes', configOperation: SET, value: '99' }]
    await admin.alter([{ resourceType: TOPIC, resourceName: 't', replace: true, operations }], false)
    expect(await admin.topicOverrides('t')).toEqual({ 'segment.bytes': '99' })
  })

  it('writes nothing when it shall only be validated', async () => {
    const { admin } = await start()
    const operations = [{ name: 'segment.bytes', configOperation: SET, value: '99' }]
    const change = { resourceType: TOPIC, resourceName: 't', replace: false, operations }
    expect(await admin.alter([change], true)).toEqual([null])
    expect(await admin.topicOverrides('t')).toEqual({})
  })

  it.each<[string, Operation[], keyof typeof ErrorCode, string]>([
    ['', [['retention.ms', SET, '1']], 'INVALID_REQUEST', 'Default topic resources are not allowed.'],
    [
      'unknown',
      [['retention.ms', SET, '1']],
      'UNKNOWN_TOPIC_OR_PARTITION',
      "The topic 'unknown' does not exist.",
    ],
    ['t', [['retention.ms', SET, 'x']], 'INVALID_CONFIG', 'Invalid value x for configuration retention.ms'],
    ['t', [['nonsense', SET, 'x']], 'INVALID_CONFIG', 'Unknown topic config name: nonsense'],
    ['t', [['nonsense', APPEND, 'x']], 'INVALID_CONFIG', 'Unknown config name: nonsense'],
    [
      't',
      [['retention.ms', APPEND, '1']],
      'INVALID_CONFIG',
      'append is not allowed for config key: retention.ms',
    ],
    ['t', [['retention.ms', SET, null]], 'INVALID_REQUEST', 'Null value not supported for : retention.ms'],
    ['t', [['retention.ms', 9, '1']], 'INVALID_REQUEST', 'Unknown operations type 9'],
    [
      't',
      [
        ['retention.ms', SET, '1'],
        ['retention.ms', SET, '2'],
      ],
      'INVALID_REQUEST',
      'duplicate config keys',
    ],
  ])('of name "%s" by %j is refused with %3$s', async (topic, operations, code, message) => {
    const { admin, topicChanges } = await start()
    const refused = await alter(admin, TOPIC, topic, ...operations)
    expect(refused?.errorCode).toBe(ErrorCode[code])
    expect(refused?.errorMessage).toContain(message)
    expect(topicChanges).toEqual([])
  })

  it('twice in one request is refused both times', async () => {
    const { admin } = await start()
    const change = { resourceType: TOPIC, resourceName: 't', replace: false, operations: [] }
    const outcomes = await admin.alter([change, change], false)
    expect(outcomes.map((outcome) => outcome?.errorMessage)).toEqual([
      'Each resource must appear at most once.',
      'Each resource must appear at most once.',
    ])
  })

  it('is fenced by the version of the controller znode', async () => {
    const { admin } = await start()
    await session.create('/controller', Buffer.from('{}'))
    expect(await alter(admin, TOPIC, 't', ['retention.ms', SET, '1'])).toBeNull()
  })
})

describe('Altering a broker', () => {
  it('puts settings of all brokers and of this one in force, this one first', async () => {
    const { admin, config, brokerChanges } = await start()
    expect(await alter(admin, BROKER, '', ['message.max.bytes', SET, '5'])).toBeNull()
    expect(config.get('message.max.bytes')).toBe(5)
    expect(await alter(admin, BROKER, '3', ['message.max.bytes', SET, '6'])).toBeNull()
    expect(config.get('message.max.bytes')).toBe(6)
    expect(brokerChanges).toEqual(['message.max.bytes', 'message.max.bytes'])
    expect((await session.get('/config/brokers/<default>')).data?.toString()).toContain('"5"')
    await alter(admin, BROKER, '3', ['message.max.bytes', DELETE, null])
    expect(config.get('message.max.bytes')).toBe(5)
  })

  it('is found again by the next start', async () => {
    const first = await start()
    await alter(first.admin, BROKER, '3', ['log.retention.ms', SET, '77'])
    await alter(first.admin, TOPIC, 't', ['segment.bytes', SET, '88'])
    const second = await start()
    expect(second.config.get('log.retention.ms')).toBe(77)
    expect(await second.admin.topicOverrides('t')).toEqual({ 'segment.bytes': '88' })
    expect(second.topicChanges).toEqual([])
  })

  it('leaves out what another version wrote and this one cannot hold', async () => {
    await session.create('/config', null)
    await session.create('/config/brokers', null)
    const config = { 'message.max.bytes': 'much', 'log.retention.ms': '7', 'num.partitions': '9' }
    await session.create('/config/brokers/3', Buffer.from(JSON.stringify({ version: 1, config })))
    const { config: inForce } = await start()
    expect(inForce.get('log.retention.ms')).toBe(7)
    expect(inForce.get('message.max.bytes')).toBe(1048588)
    expect(inForce.get('num.partitions')).toBe(1)
  })

  it.each<[string, Operation[], string]>([
    ['3', [['num.partitions', SET, '4']], 'Cannot update these configs dynamically: Set(num.partitions)'],
    ['4', [['message.max.bytes', SET, '4']], 'Unexpected broker id, expected 3 but received 4'],
    ['three', [['message.max.bytes', SET, '4']], 'Broker id must be an integer, but it is: three'],
    ['3', [['message.max.bytes', SET, 'x']], 'Invalid value x for configuration message.max.bytes'],
    ['3', [['ssl.keystore.location', SET, 'x']], 'only per-listener using the listener prefix'],
    ['', [['listener.name.a.ssl.keystore.location', SET, 'x']], 'broker id must be specified'],
    ['3', [['listener.name.a.ssl.key.password', SET, 'x']], 'Password encoder secret not configured'],
    ['3', [['num.io.threads', SET, '17']], 'should not be greater than double the current value 8'],
    ['3', [['num.io.threads', SET, '3']], 'should be at least half the current value 8'],
    [
      '3',
      [
        ['log.cleaner.min.compaction.lag.ms', SET, '5'],
        ['log.cleaner.max.compaction.lag.ms', SET, '4'],
      ],
      'expected at most',
    ],
  ])('"%s" by %j is refused', async (name, operations, message) => {
    const { admin, brokerChanges } = await start()
    const refused = await alter(admin, BROKER, name, ...operations)
    expect(refused).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST })
    expect(refused?.errorMessage).toContain(message)
    expect(brokerChanges).toEqual([])
  })

  it('of another kind is refused', async () => {
    const { admin } = await start()
    expect(await alter(admin, BROKER_LOGGER, '3', ['kafka.server', SET, 'DEBUG'])).toEqual({
      errorCode: ErrorCode.INVALID_CONFIG,
      errorMessage: 'Logger kafka.server does not exist!',
    })
    expect(await alter(admin, CLIENT_METRICS, 'm', ['interval.ms', SET, '1'])).toMatchObject({
      errorCode: ErrorCode.INVALID_REQUEST,
    })
    expect(await alter(admin, 99, 'x')).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST })
  })
})

describe('Changes that another broker wrote', () => {
  it('are put in force as soon as their change node is there', async () => {
    const { config, brokerChanges } = await start()
    const other = await coordination.connect({ sessionTimeoutMs: 18_000 })
    const entity = { version: 1, config: { 'message.max.bytes': '9' } }
    await other.create('/config/brokers/<default>', Buffer.from(JSON.stringify(entity)))
    for (const entity_path of ['users/someone', 'brokers/<default>']) {
      const change = Buffer.from(JSON.stringify({ version: 2, entity_path }))
      await other.create('/config/changes/config_change_', change, 'persistent_sequential')
    }
    await expect.poll(() => brokerChanges).toEqual(['message.max.bytes'])
    expect(config.get('message.max.bytes')).toBe(9)
  })

  it('are read in the old format, and what is no change is passed over', async () => {
    const { topicChanges } = await start()
    for (const text of ['rubbish', '{"version":1,"entity_type":"topics","entity_name":"t9"}']) {
      await session.create('/config/changes/config_change_', Buffer.from(text), 'persistent_sequential')
    }
    await expect.poll(() => topicChanges).toEqual([{ topic: 't9', overrides: {} }])
  })

  it('reach settings that were read before the topic itself was heard of; those of other topics are read when needed', async () => {
    const { topicChanges } = await start()
    for (const name of ['of-no-interest', 'not-heard-of-yet']) {
      const change = Buffer.from(`{"version":2,"entity_path":"topics/${name}"}`)
      await session.create('/config/changes/config_change_', change, 'persistent_sequential')
    }
    await expect.poll(() => topicChanges).toEqual([{ topic: 'not-heard-of-yet', overrides: {} }])
  })

  it('are put in force in the next session where the end of one has cut them short', async () => {
    const states: ((state: SessionState) => void)[] = []
    session.onState = (listener) => void states.push(listener)
    const { topicChanges } = await start()
    const get = session.get.bind(session)
    let refused = 0
    session.get = (path, watch) => {
      if (path !== '/config/topics/t1') return get(path, watch)
      refused++
      return Promise.reject(new CoordinationError('SESSION_EXPIRED', path))
    }
    const change = Buffer.from('{"version":2,"entity_path":"topics/t1"}')
    await session.create('/config/changes/config_change_', change, 'persistent_sequential')
    await expect.poll(() => refused).toBe(1)
    session.get = get
    for (const listener of states) listener('renewed')
    await expect.poll(() => topicChanges).toEqual([{ topic: 't1', overrides: {} }])
  })

  it('are removed after 15 minutes', async () => {
    let laterMs = 0
    const { admin } = await start({}, () => env.clock.nowMs() + laterMs)
    await alter(admin, TOPIC, 't1', ['retention.ms', SET, '1'])
    await alter(admin, TOPIC, 't2', ['retention.ms', SET, '1'])
    expect(await session.children('/config/changes')).toHaveLength(2)
    laterMs = 16 * 60_000
    await alter(admin, TOPIC, 't3', ['retention.ms', SET, '1'])
    expect(await session.children('/config/changes')).toEqual([])
  })
})

describe('Describing', () => {
  it('a topic names values, sources, types and synonyms', async () => {
    const { admin } = await start({ 'log.retention.ms': '50' })
    await alter(admin, TOPIC, 't', ['retention.ms', SET, '1000'])
    const { configs, errorCode } = await describe1(admin, TOPIC, 't', ['retention.ms'])
    expect(errorCode).toBe(0)
    expect(configs).toEqual([
      {
        name: 'retention.ms',
        value: '1000',
        readOnly: false,
        isDefault: false,
        configSource: 1,
        isSensitive: false,
        synonyms: [
          { name: 'retention.ms', value: '1000', source: 1 },
          { name: 'log.retention.ms', value: '50', source: 4 },
          { name: 'log.retention.hours', value: '168', source: 5 },
        ],
        configType: 5,
        documentation: 'How long records are kept; -1: for ever.',
      },
    ])
  })

  it('a topic lists all keys, of the broker where it sets nothing', async () => {
    const { admin } = await start({ 'log.roll.hours': '1' })
    const { configs } = await describe1(admin, TOPIC, 't')
    const byName = new Map(configs.map((config) => [config.name, config]))
    expect(byName.get('segment.ms')).toMatchObject({ value: '3600000', configSource: 5 })
    expect(byName.get('flush.ms')).toMatchObject({
      value: '9223372036854775807',
      configSource: 5,
      synonyms: [],
    })
    expect(byName.get('min.cleanable.dirty.ratio')).toMatchObject({ value: '0.5', configType: 6 })
    expect(byName.get('segment.bytes')?.synonyms).toEqual([
      { name: 'log.segment.bytes', value: '1073741824', source: 5 },
    ])
  })

  it('a broker hides secrets and marks what is fixed while it runs', async () => {
    const { admin } = await start({ 'ssl.key.password': 'hunter2', 'my.plugin': 'x', 'num.partitions': '2' })
    const { configs } = await describe1(admin, BROKER, '3')
    const byName = new Map(configs.map((config) => [config.name, config]))
    expect(byName.get('ssl.key.password')).toMatchObject({
      value: null,
      isSensitive: true,
      synonyms: [{ name: 'ssl.key.password', value: null, source: 4 }],
    })
    expect(byName.get('my.plugin')).toMatchObject({ value: null, isSensitive: true })
    expect(byName.get('num.partitions')).toMatchObject({ value: '2', readOnly: true, configSource: 4 })
    expect(byName.get('message.max.bytes')).toMatchObject({ readOnly: false, configSource: 5 })
    expect(byName.has('leader.replication.throttled.rate')).toBe(false)
    expect(configs.filter(({ value }) => value === 'hunter2')).toEqual([])
  })

  it('all brokers lists only what is set for all of them', async () => {
    const { admin } = await start()
    await alter(admin, BROKER, '', ['message.max.bytes', SET, '5'])
    const { configs } = await describe1(admin, BROKER, '')
    expect(configs).toMatchObject([{ name: 'message.max.bytes', value: '5', configSource: 3 }])
  })

  it.each<[number, string, keyof typeof ErrorCode]>([
    [TOPIC, 'unknown', 'UNKNOWN_TOPIC_OR_PARTITION'],
    [BROKER, '4', 'INVALID_REQUEST'],
    [BROKER, 'x', 'INVALID_REQUEST'],
    [BROKER_LOGGER, '', 'INVALID_REQUEST'],
    [CLIENT_METRICS, '', 'INVALID_REQUEST'],
    [99, '', 'INVALID_REQUEST'],
    [BROKER_LOGGER, '3', 'NONE'],
    [CLIENT_METRICS, 'm', 'INVALID_REQUEST'],
  ])('resource type %d "%s" gives %s', async (type, name, code) => {
    const { admin } = await start()
    const result = await describe1(admin, type, name)
    expect(result.errorCode).toBe(ErrorCode[code])
    expect(result.configs).toEqual([])
  })
})
