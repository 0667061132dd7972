import { createTopicsApi } from '../../../../src/protocol/messages/19-create-topics.ts'
import { describeConfigsApi } from '../../../../src/protocol/messages/32-describe-configs.ts'
import { alterConfigsApi } from '../../../../src/protocol/messages/33-alter-configs.ts'
import { describeLogDirsApi } from '../../../../src/protocol/messages/35-describe-log-dirs.ts'
import { incrementalAlterConfigsApi } from '../../../../src/protocol/messages/44-incremental-alter-configs.ts'
import { everyVersion, step } from '../scenario.ts'
import type { Scenario, Step } from '../scenario.ts'
import { batchOf, createTopic, produce } from './data.ts'

const TOPIC = 2
const BROKER = 4
const BROKER_LOGGER = 8
const [SET, DELETE, APPEND, SUBTRACT] = [0, 1, 2, 3]

interface Resource {
  readonly type: number
  readonly name: string
}

interface DescribeOptions {
  readonly keys?: string[] | null
  readonly synonyms?: boolean
  readonly documentation?: boolean
}

function describe(
  label: string,
  version: number,
  resources: Resource[],
  options: DescribeOptions = {},
): Step {
  const { keys = null, synonyms = false, documentation = false } = options
  return step(label, describeConfigsApi, version, {
    resources: resources.map(({ type, name }) => ({
      resourceType: type,
      resourceName: name,
      configurationKeys: keys,
    })),
    includeSynonyms: synonyms,
    includeDocumentation: documentation,
  })
}

const topic = (name: string): Resource => ({ type: TOPIC, name })
const broker = (name: string): Resource => ({ type: BROKER, name })

const strangers: Record<string, Resource> = {
  'unknown topic': topic('configs-gone'),
  'bad topic name': topic('a/b'),
  'empty topic name': topic(''),
  'unknown broker': broker('9'),
  'broker that is no number': broker('one'),
  'type 0': { type: 0, name: 'x' },
  'type 3': { type: 3, name: 'x' },
  'a group': { type: 32, name: 'x' },
  'client metrics': { type: 16, name: 'x' },
  'logger of an unknown broker': { type: BROKER_LOGGER, name: '9' },
}

const someKeys = ['retention.ms', 'cleanup.policy', 'no.such.key', 'log.retention.ms', 'compression.type']

function describeSteps(version: number): Step[] {
  return [
    describe('topic', version, [topic('configs')], { synonyms: true, documentation: true }),
    describe('topic, plain', version, [topic('configs')]),
    describe('topic with its own', version, [topic('configs-own')], { synonyms: true }),
    describe('some keys', version, [topic('configs-own')], { keys: someKeys, synonyms: true }),
    describe('no keys', version, [topic('configs')], { keys: [] }),
    describe('broker', version, [broker('1')], { synonyms: true, documentation: true }),
    describe('some keys of the broker', version, [broker('1')], {
      keys: [...someKeys, 'log.retention.hours'],
    }),
    describe('all brokers', version, [broker('')], { synonyms: true }),
    ...Object.entries(strangers).map(([label, resource]) => describe(label, version, [resource])),
    describe('several', version, [topic('configs'), topic('configs-gone'), broker('1')], {
      keys: ['retention.ms'],
    }),
    describe('twice', version, [topic('configs'), topic('configs')], { keys: ['retention.ms'] }),
    describe('none', version, []),
  ]
}

const topicValues: Record<string, [string, string | null][]> = {
  good: [['retention.ms', '100000']],
  two: [
    ['retention.ms', '100000'],
    ['cleanup.policy', 'compact'],
  ],
  'no value': [['retention.ms', null]],
  'empty value': [['retention.ms', '']],
  'wrong value': [['retention.ms', 'soon']],
  'value with spaces': [['retention.ms', ' 100000 ']],
  'out of range': [['segment.bytes', '13']],
  'wrong word': [['cleanup.policy', 'burn']],
  'empty list': [['cleanup.policy', '']],
  'word twice': [['cleanup.policy', 'delete,delete']],
  'unknown key': [['no.such.key', '1']],
  'broker key': [['log.retention.ms', '1000']],
  'key twice': [
    ['retention.ms', '1'],
    ['retention.ms', '2'],
  ],
  'good and wrong': [
    ['retention.ms', '5'],
    ['segment.ms', 'x'],
  ],
  'true in capitals': [['preallocate', 'TRUE']],
  'not a boolean': [['preallocate', 'yes']],
  fraction: [['min.cleanable.dirty.ratio', '0.25']],
  'fraction above one': [['min.cleanable.dirty.ratio', '1.5']],
  'throttled replicas': [['leader.replication.throttled.replicas', '0:1,1:1']],
  'wrong throttled replicas': [['leader.replication.throttled.replicas', '0,1']],
  compression: [['compression.type', 'zstd']],
  'compression nobody knows': [['compression.type', 'brotli']],
  level: [['compression.gzip.level', '3']],
  'level too high': [['compression.gzip.level', '99']],
  'remote storage': [['remote.storage.enable', 'true']],
  'local retention above the whole': [
    ['retention.ms', '5'],
    ['local.retention.ms', '6'],
  ],
}

const brokerValues: Record<string, [string, string | null][]> = {
  dynamic: [['log.retention.ms', '360000000']],
  'dynamic threads': [['num.io.threads', '9']],
  'threads doubled and more': [['num.io.threads', '99']],
  cleaner: [['log.cleaner.threads', '2']],
  'wrong value': [['log.retention.ms', 'soon']],
  'out of range': [['log.segment.bytes', '1']],
  'read only': [['broker.id', '1']],
  'read only too': [['log.dirs', '/tmp/x']],
  'read only group setting': [['group.initial.rebalance.delay.ms', '5']],
  listeners: [['listeners', 'PLAINTEXT://127.0.0.1:1']],
  'unknown key': [['my.own.key', '1']],
  connections: [['max.connections', '2000']],
  'no value': [['log.retention.ms', null]],
  sensitive: [['ssl.keystore.password', 'secret']],
}

function alter(
  label: string,
  version: number,
  resource: Resource,
  configs: [string, string | null][],
  validateOnly = false,
) {
  return step(label, alterConfigsApi, version, {
    resources: [
      {
        resourceType: resource.type,
        resourceName: resource.name,
        configs: configs.map(([name, value]) => ({ name, value })),
      },
    ],
    validateOnly,
  })
}

function alterSteps(version: number): Step[] {
  const own = topic(`alter-configs${version}`)
  const look = (label: string, resource: Resource): Step => {
    const keys = resource.type === TOPIC ? null : Object.values(brokerValues).map(([[name]]) => name)
    // What the other broker has not yet heard is asked for until it has.
    return describe(`after ${label}`, 4, [resource], { synonyms: true, keys })
  }
  return [
    createTopic(own.name),
    ...Object.entries(topicValues).flatMap(([label, configs]) => [
      alter(`checked: ${label}`, version, own, configs, true),
      alter(label, version, own, configs),
    ]),
    look('all of them', own),
    alter('nothing', version, own, []),
    look('nothing', own),
    ...Object.entries(strangers).map(([label, resource]) =>
      alter(label, version, resource, topicValues.good),
    ),
    ...['1', ''].flatMap((name) => [
      ...Object.entries(brokerValues).flatMap(([label, configs]) => [
        alter(`broker '${name}', checked: ${label}`, version, broker(name), configs, true),
        alter(`broker '${name}': ${label}`, version, broker(name), configs),
      ]),
      alter(`broker '${name}': nothing`, version, broker(name), []),
    ]),
    step(
      'twice',
      alterConfigsApi,
      version,
      {
        resources: [1, 2].map((value) => ({
          resourceType: TOPIC,
          resourceName: own.name,
          configs: [{ name: 'retention.ms', value: String(value) }],
        })),
        validateOnly: false,
      },
      { patienceMs: 1500 },
    ),
    step('none', alterConfigsApi, version, { resources: [], validateOnly: false }),
  ]
}

type Change = [name: string, operation: number, value: string | null]

function change(
  label: string,
  version: number,
  resource: Resource,
  changes: Change[],
  validateOnly = false,
): Step {
  return step(label, incrementalAlterConfigsApi, version, {
    resources: [
      {
        resourceType: resource.type,
        resourceName: resource.name,
        configs: changes.map(([name, configOperation, value]) => ({ name, configOperation, value })),
      },
    ],
    validateOnly,
  })
}

const topicChanges: Record<string, Change[]> = {
  set: [['retention.ms', SET, '100000']],
  'set null': [['retention.ms', SET, null]],
  'delete with a value': [['retention.ms', DELETE, 'x']],
  'set again': [['retention.ms', SET, '200000']],
  delete: [['retention.ms', DELETE, null]],
  'delete again': [['retention.ms', DELETE, null]],
  append: [['cleanup.policy', APPEND, 'compact']],
  'append again': [['cleanup.policy', APPEND, 'compact']],
  'append a wrong word': [['cleanup.policy', APPEND, 'burn']],
  subtract: [['cleanup.policy', SUBTRACT, 'delete']],
  'subtract what is not there': [['cleanup.policy', SUBTRACT, 'delete']],
  'subtract the last': [['cleanup.policy', SUBTRACT, 'compact']],
  'append to no list': [['retention.ms', APPEND, '5']],
  'subtract from no list': [['retention.ms', SUBTRACT, '5']],
  'append null': [['cleanup.policy', APPEND, null]],
  'operation 4': [['cleanup.policy', 4, 'x']],
  'operation -1': [['cleanup.policy', -1, 'x']],
  'unknown key': [['no.such.key', SET, '1']],
  'delete an unknown key': [['no.such.key', DELETE, null]],
  'wrong value': [['segment.bytes', SET, '-7']],
  'key twice': [
    ['retention.ms', SET, '1'],
    ['retention.ms', DELETE, null],
  ],
  several: [
    ['retention.ms', SET, '300000'],
    ['segment.ms', SET, '60000'],
    ['cleanup.policy', SET, 'delete'],
  ],
  nothing: [],
}

const brokerChanges: Record<string, Change[]> = {
  set: [['log.retention.ms', SET, '360000000']],
  delete: [['log.retention.ms', DELETE, null]],
  'delete again': [['log.retention.ms', DELETE, null]],
  append: [['log.cleanup.policy', APPEND, 'compact']],
  'delete it': [['log.cleanup.policy', DELETE, null]],
  'append to no list': [['log.retention.ms', APPEND, '5']],
  'read only': [['broker.id', SET, '1']],
  'delete read only': [['broker.id', DELETE, null]],
  'group setting': [['group.initial.rebalance.delay.ms', SET, '1']],
  'unknown key': [['my.own.key', SET, '1']],
  'delete the unknown key': [['my.own.key', DELETE, null]],
  'wrong value': [['log.retention.ms', SET, 'soon']],
  threads: [['num.io.threads', SET, '9']],
  'no threads any more': [['num.io.threads', DELETE, null]],
  'set null': [['log.retention.ms', SET, null]],
  nothing: [],
}

function incrementalSteps(version: number): Step[] {
  const own = topic(`incremental${version}`)
  const look = (label: string): Step =>
    describe(`after: ${label}`, 4, [own], {
      synonyms: true,
      keys: ['retention.ms', 'cleanup.policy', 'segment.ms'],
    })
  return [
    createTopic(own.name),
    ...Object.entries(topicChanges).flatMap(([label, changes]) => [
      change(`checked: ${label}`, version, own, changes, true),
      change(label, version, own, changes),
      look(label),
    ]),
    ...Object.entries(strangers).map(([label, resource]) =>
      change(label, version, resource, topicChanges.set),
    ),
    ...['1', ''].flatMap((name) =>
      Object.entries(brokerChanges).flatMap(([label, changes]) => [
        change(`broker '${name}', checked: ${label}`, version, broker(name), changes, true),
        change(`broker '${name}': ${label}`, version, broker(name), changes),
      ]),
    ),
    step('twice', incrementalAlterConfigsApi, version, {
      resources: [1, 2].map((value) => ({
        resourceType: TOPIC,
        resourceName: own.name,
        configs: [{ name: 'retention.ms', configOperation: SET, value: String(value) }],
      })),
      validateOnly: false,
    }),
    step('none', incrementalAlterConfigsApi, version, { resources: [], validateOnly: false }),
  ]
}

/** A topic's settings follow the broker's dynamic ones, and the broker tells both. */
function layersSteps(): Step[] {
  const keys = ['log.retention.ms', 'retention.ms', 'log.segment.bytes', 'segment.bytes']
  const isTold =
    (source: number) => (reply: { results: { configs: { name: string; configSource: number }[] }[] }) =>
      reply.results[0].configs.some(
        ({ name, configSource }) => name === 'log.retention.ms' && configSource === source,
      )
  const [DYNAMIC_BROKER, DYNAMIC_DEFAULT, DEFAULT] = [2, 3, 5]
  const look = (label: string, source: number): Step[] => [
    step(
      `broker: ${label}`,
      describeConfigsApi,
      4,
      {
        resources: [{ resourceType: BROKER, resourceName: '1', configurationKeys: keys }],
        includeSynonyms: true,
      },
      { until: isTold(source) },
    ),
    describe(`topic: ${label}`, 4, [topic('layers')], { keys, synonyms: true }),
    describe(`default: ${label}`, 4, [broker('')], { synonyms: true }),
  ]
  const set = (name: string, value: string): Step =>
    change(`set of '${name}'`, 1, broker(name), [['log.retention.ms', SET, value]])
  const unset = (name: string): Step =>
    change(`unset of '${name}'`, 1, broker(name), [['log.retention.ms', DELETE, null]])
  return [
    createTopic('layers', { configs: { 'segment.bytes': '1000000' } }),
    ...look('at first', DEFAULT),
    set('', '400000000'),
    ...look('default set', DYNAMIC_DEFAULT),
    set('1', '500000000'),
    ...look('both set', DYNAMIC_BROKER),
    unset('1'),
    ...look('own unset', DYNAMIC_DEFAULT),
    unset(''),
    ...look('all unset', DEFAULT),
  ]
}

function logDirsSteps(version: number): Step[] {
  const send = (label: string, topics: { topic: string; partitions: number[] }[] | null): Step =>
    step(label, describeLogDirsApi, version, { topics })
  return [
    send('one', [{ topic: 'log-dirs', partitions: [0] }]),
    send('all of its partitions', [{ topic: 'log-dirs', partitions: [0, 1] }]),
    send('unknown partition', [{ topic: 'log-dirs', partitions: [0, 9] }]),
    send('unknown topic', [{ topic: 'log-dirs-gone', partitions: [0] }]),
    send('no partitions', [{ topic: 'log-dirs', partitions: [] }]),
    send('no topics', []),
  ]
}

export const configScenarios: Scenario[] = [
  {
    name: 'DescribeConfigs',
    steps: [
      createTopic('configs'),
      createTopic('configs-own', { configs: { 'retention.ms': '12345678', 'cleanup.policy': 'compact' } }),
      ...everyVersion(describeConfigsApi, describeSteps),
    ],
  },
  {
    name: 'CreateTopics: the settings it tells are those DescribeConfigs tells',
    steps: [
      step('made', createTopicsApi, 7, {
        topics: [
          {
            name: 'told',
            numPartitions: 1,
            replicationFactor: 1,
            assignments: [],
            configs: [{ name: 'segment.ms', value: '70000' }],
          },
        ],
        timeoutMs: 30_000,
      }),
      describe('described', 4, [topic('told')]),
    ],
  },
  { name: 'AlterConfigs', steps: everyVersion(alterConfigsApi, alterSteps) },
  { name: 'IncrementalAlterConfigs', steps: everyVersion(incrementalAlterConfigsApi, incrementalSteps) },
  { name: 'Layers of configuration', steps: layersSteps() },
  {
    name: 'DescribeLogDirs',
    steps: [
      createTopic('log-dirs', { partitions: 2 }),
      produce('fill', 'log-dirs', batchOf(['a', 'b', 'c'])),
      ...everyVersion(describeLogDirsApi, logDirsSteps),
    ],
  },
]
