import { describe, expect, it } from 'vitest'
import { propertyName, readEnvironment } from '../../src/broker/config/environment.ts'
import { loadConfig } from '../../src/broker/config/load-config.ts'
import type { ConfigSources } from '../../src/broker/config/load-config.ts'

function load(sources: Partial<ConfigSources>) {
  return loadConfig({ file: null, variables: {}, overrides: {}, ...sources })
}

/** The properties that Kafka 3.9 ships as config/kraft/server.properties. */
const STOCK_KRAFT = {
  'process.roles': 'broker,controller',
  'node.id': '1',
  'controller.quorum.voters': '1@localhost:9093',
  listeners: 'PLAINTEXT://:9092,CONTROLLER://:9093',
  'inter.broker.listener.name': 'PLAINTEXT',
  'advertised.listeners': 'PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093',
  'controller.listener.names': 'CONTROLLER',
  'listener.security.protocol.map':
    'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL',
  'num.network.threads': '3',
  'log.dirs': '/tmp/kraft-combined-logs',
  'offsets.topic.replication.factor': '1',
  'log.retention.hours': '168',
}

/** A compose file for the official image, one node in both roles. */
const OFFICIAL_IMAGE = {
  KAFKA_NODE_ID: '1',
  KAFKA_PROCESS_ROLES: 'broker,controller',
  KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT',
  KAFKA_ADVERTISED_LISTENERS: 'PLAINTEXT_HOST://localhost:9092,PLAINTEXT://broker:19092',
  KAFKA_LISTENERS: 'CONTROLLER://:29093,PLAINTEXT_HOST://:9092,PLAINTEXT://:19092',
  KAFKA_CONTROLLER_QUORUM_VOTERS: '1@broker:29093',
  KAFKA_INTER_BROKER_LISTENER_NAME: 'PLAINTEXT',
  KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
  CLUSTER_ID: '4L6g3nShT-eMCtK--X86sw',
  KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
  KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
  KAFKA_LOG_DIRS: '/tmp/kraft-combined-logs',
  KAFKA_HEAP_OPTS: '-Xmx1g',
}

const BITNAMI_IMAGE = {
  ALLOW_PLAINTEXT_LISTENER: 'yes',
  BITNAMI_DEBUG: 'false',
  KAFKA_CFG_NODE_ID: '0',
  KAFKA_CFG_PROCESS_ROLES: 'controller,broker',
  KAFKA_CFG_CONTROLLER_QUORUM_VOTERS: '0@kafka:9093',
  KAFKA_CFG_LISTENERS: 'PLAINTEXT://:9092,CONTROLLER://:9093,EXTERNAL://:9094',
  KAFKA_CFG_ADVERTISED_LISTENERS: 'PLAINTEXT://kafka:9092,EXTERNAL://localhost:9094',
  KAFKA_CFG_LISTENER_SECURITY_PROTOCOL_MAP: 'CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT',
  KAFKA_CFG_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
  KAFKA_CFG_AUTO_CREATE_TOPICS_ENABLE: 'false',
  KAFKA_KRAFT_CLUSTER_ID: 'abcdefghijklmnopqrstuv',
}

describe('A variable of the environment', () => {
  it.each([
    ['NUM_PARTITIONS', 'num.partitions'],
    ['LISTENER_NAME_MY__LISTENER_SSL_KEY', 'listener.name.my_listener.ssl.key'],
    ['SOME___DASHED_KEY', 'some-dashed.key'],
  ])('KAFKA_%s means %s, as in the official image', (variable, name) => {
    expect(propertyName(variable)).toBe(name)
    expect(readEnvironment({ [`KAFKA_${variable}`]: 'x' }).properties).toEqual({ [name]: 'x' })
    expect(readEnvironment({ [`KAFKA_CFG_${variable}`]: 'x' }).properties).toEqual({ [name]: 'x' })
  })

  it.each([
    'KAFKA_HEAP_OPTS',
    'KAFKA_OPTS',
    'KAFKA_JVM_PERFORMANCE_OPTS',
    'KAFKA_LOG4J_LOGGERS',
    'KAFKA_LOG4J_ROOT_LOGLEVEL',
    'KAFKA_TOOLS_LOG4J_LOGLEVEL',
    'KAFKA_JMX_OPTS',
    'KAFKA_JMX_PORT',
    'KAFKA_GC_LOG_OPTS',
    'KAFKA_VERSION',
    'ALLOW_PLAINTEXT_LISTENER',
  ])('%s is no setting and is named in the notes', (name) => {
    const { properties, ignored } = readEnvironment({ [name]: 'x', HOME: '/h' })
    expect(properties).toEqual({})
    expect(ignored).toEqual([name])
    const config = load({ variables: { [name]: 'x' } })
    expect(config.profile).toBe('development')
    expect(config.notes).toEqual([`accepted without effect here: ${name}`])
  })

  it('listens on the advertised ports where only advertised listeners are given', () => {
    const config = load({
      variables: {
        KAFKA_ADVERTISED_LISTENERS: 'PLAINTEXT://broker:19092,HOST://localhost:9092',
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'PLAINTEXT:PLAINTEXT,HOST:PLAINTEXT',
      },
    })
    expect(config.listeners()).toEqual([
      { name: 'PLAINTEXT', host: '0.0.0.0', port: 19092 },
      { name: 'HOST', host: '0.0.0.0', port: 9092 },
    ])
  })

  it('of an application, such as KAFKA_BROKERS, does not bring the defaults of Kafka', () => {
    const config = load({ variables: { KAFKA_BROKERS: 'localhost:9092' } })
    expect(config.profile).toBe('development')
    expect(config.notes).toEqual(['unknown configuration keys, ignored: brokers'])
  })
})

describe('Sources of configuration', () => {
  it('are the development profile where none is given, flags or not', () => {
    expect(load({}).profile).toBe('development')
    expect(load({ overrides: { 'num.partitions': '3' } }).profile).toBe('development')
    expect(load({}).notes).toEqual([])
  })

  it("bring Kafka's defaults with a file or with variables", () => {
    expect(load({ file: {} }).get('group.initial.rebalance.delay.ms')).toBe(3000)
    expect(load({ variables: { KAFKA_NUM_PARTITIONS: '2' } }).get('group.initial.rebalance.delay.ms')).toBe(
      3000,
    )
  })

  it('go flags over variables over file over defaults', () => {
    const file = { 'num.partitions': '2', 'log.retention.hours': '2', 'message.max.bytes': '2' }
    const variables = { KAFKA_NUM_PARTITIONS: '3', KAFKA_LOG_RETENTION_HOURS: '3' }
    const config = load({ file, variables, overrides: { 'num.partitions': '4' } })
    expect(config.get('num.partitions')).toBe(4)
    expect(config.get('log.retention.hours')).toBe(3)
    expect(config.get('message.max.bytes')).toBe(2)
    expect(config.get('log.segment.bytes')).toBe(1073741824)
  })

  it('that are misspelt are named, with what was probably meant', () => {
    expect(load({ file: { 'num.partition': '3', 'my.plugin.key': 'x' } }).notes).toEqual([
      'unknown configuration keys, ignored: my.plugin.key, num.partition (did you mean num.partitions?)',
    ])
  })
})

describe('Configurations that people have', () => {
  it("Kafka's own server.properties for KRaft starts one broker, without its controller listener", () => {
    const config = load({ file: STOCK_KRAFT })
    expect(config.get('broker.id')).toBe(1)
    expect(config.listeners()).toEqual([{ name: 'PLAINTEXT', host: '', port: 9092 }])
    expect(config.resolveAdvertised(new Map())).toEqual([
      { name: 'PLAINTEXT', host: 'localhost', port: 9092 },
    ])
    expect(config.notes).toHaveLength(1)
    expect(config.notes[0]).toContain(
      'controller.listener.names, controller.quorum.voters, num.network.threads',
    )
  })

  it('a compose file for the official image starts one broker with both its listeners', () => {
    const config = load({ variables: OFFICIAL_IMAGE })
    expect(config.clusterId).toBe('4L6g3nShT-eMCtK--X86sw')
    expect(config.interBrokerListenerName()).toBe('PLAINTEXT')
    expect(config.resolveAdvertised(new Map())).toEqual([
      { name: 'PLAINTEXT_HOST', host: 'localhost', port: 9092 },
      { name: 'PLAINTEXT', host: 'broker', port: 19092 },
    ])
    expect(config.notes).toEqual([
      'accepted without effect here: controller.listener.names, controller.quorum.voters, process.roles, KAFKA_HEAP_OPTS',
    ])
  })

  it('a compose file for the Bitnami image starts one broker', () => {
    const config = load({ variables: BITNAMI_IMAGE })
    expect(config.get('broker.id')).toBe(0)
    expect(config.clusterId).toBe('abcdefghijklmnopqrstuv')
    expect(config.get('auto.create.topics.enable')).toBe(false)
    expect(config.listeners().map(({ name }) => name)).toEqual(['PLAINTEXT', 'EXTERNAL'])
    expect(config.notes).toEqual([
      'accepted without effect here: controller.listener.names, controller.quorum.voters, process.roles, ' +
        'ALLOW_PLAINTEXT_LISTENER, BITNAMI_DEBUG',
    ])
  })

  it('a file of three controllers is refused with advice', () => {
    const file = { ...STOCK_KRAFT, 'controller.quorum.voters': '1@a:9093,2@b:9093,3@c:9093' }
    expect(() => load({ file })).toThrow('for one broker set controller.quorum.voters=1@localhost:9093')
  })

  it('a file for ZooKeeper names the ensemble, and how long it may take to answer', () => {
    const file = { 'broker.id': '0', 'zookeeper.connect': 'a:2181,b:2181,[::1]:2181/kafka' }
    const ensemble = { connect: 'a:2181,b:2181,[::1]:2181/kafka', digest: null, setAcl: false }
    expect(load({ file }).ensemble()).toEqual({ ...ensemble, connectionTimeoutMs: 18000 })
    const timeout = { 'zookeeper.connection.timeout.ms': '500' }
    expect(load({ file: { ...file, ...timeout } }).ensemble()).toEqual({
      ...ensemble,
      connectionTimeoutMs: 500,
    })
    expect(load({ file: { 'broker.id': '0', 'zookeeper.connect': '' } }).ensemble()).toBeNull()
  })

  it("a member of a cluster advertises its machine's name, a broker that is alone localhost", () => {
    const file = { listeners: 'PLAINTEXT://:9092' }
    const hostName = 'broker-7.example'
    const hostOf = (properties: Record<string, string>) =>
      load({ file: properties, hostName }).resolveAdvertised(new Map())[0].host
    expect(hostOf({ ...file, 'zookeeper.connect': 'a:2181' })).toBe(hostName)
    expect(hostOf({ ...file, 'zookeeper.connect': 'a:2181', listeners: 'PLAINTEXT://10.0.0.7:9092' })).toBe(
      '10.0.0.7',
    )
    expect(hostOf(file)).toBe('localhost')
  })

  it("a member of a cluster has Kafka's defaults, also where flags alone say so", () => {
    const config = load({ overrides: { 'zookeeper.connect': 'a:2181' } })
    expect(config.profile).toBe('kafka')
    expect(config.get('offsets.topic.replication.factor')).toBe(3)
  })
})
