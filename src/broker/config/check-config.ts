/** Checks between keys, before anything is opened (Kafka's KafkaConfig.validateValues), and what this release refuses. */
import { isValidPath } from '../../base/znode-path.ts'
import { ConfigError } from './config-types.ts'
import type { BrokerConfig, Properties } from './broker-config.ts'

const MIB = 1024 * 1024

/** Throws `ConfigError` for the first fault. */
export function checkBrokerConfig(config: BrokerConfig, given: Properties): void {
  checkRefused(config)
  checkZookeeper(config)
  checkIdentity(config, given)
  checkKraft(config)
  checkLog(config)
  checkReplication(config)
}

function checkRefused(config: BrokerConfig): void {
  const authorizer = config.get('authorizer.class.name')
  if (authorizer !== '') {
    throw new ConfigError(
      'authorizer.class.name',
      authorizer,
      'authorizers come with a later release; it must be empty',
    )
  }
  const never = [
    'zookeeper.metadata.migration.enable',
    'zookeeper.ssl.client.enable',
    'remote.log.storage.system.enable',
  ] as const
  for (const key of never) {
    if (config.get(key)) throw new ConfigError(key, 'true', 'not supported; it must be false')
  }
}

/** One host of `zookeeper.connect`: a name or an address, and a port that may be missing. */
const ENSEMBLE_HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/

function checkZookeeper(config: BrokerConfig): void {
  const connect = config.get('zookeeper.connect') ?? ''
  const setAcl = config.get('zookeeper.set.acl')
  if (setAcl && config.get('zookeeper.digest') === null) {
    throw new ConfigError(
      'zookeeper.set.acl',
      'true',
      'nodes that only their maker may change need credentials: set zookeeper.digest=user:password',
    )
  }
  if (connect === '') return
  const slash = connect.indexOf('/')
  const hosts = (slash < 0 ? connect : connect.slice(0, slash)).split(',').map((host) => host.trim())
  const chroot = slash < 0 ? '/' : connect.slice(slash)
  if (!hosts.every((host) => ENSEMBLE_HOST.test(host)) || !(chroot === '/' || isValidPath(chroot)))
    throw new ConfigError('zookeeper.connect', connect, 'expected host:port,host:port/chroot')
  if (config.get('process.roles').length > 0) {
    throw new ConfigError(
      'zookeeper.connect',
      connect,
      'a node with process.roles does not use ZooKeeper; leave out one of the two',
    )
  }
}

function checkIdentity(config: BrokerConfig, given: Properties): void {
  const brokerId = config.get('broker.id')
  if (given['node.id'] !== undefined && config.get('node.id') !== brokerId) {
    throw new ConfigError(
      'node.id',
      String(config.get('node.id')),
      `expected the same number as broker.id (${brokerId})`,
    )
  }
  if (config.get('process.roles').length > 0 && brokerId < 0) {
    throw new ConfigError('node.id', null, 'missing; it is required where process.roles is set')
  }
  const most = config.get('reserved.broker.max.id')
  if (!config.get('broker.id.generation.enable')) {
    if (brokerId < 0)
      throw new ConfigError(
        'broker.id',
        String(brokerId),
        'expected 0 or more where broker.id.generation.enable is false',
      )
  } else if (brokerId < -1 || (brokerId > most && config.get('process.roles').length === 0)) {
    throw new ConfigError(
      'broker.id',
      String(brokerId),
      `expected an integer from -1 to reserved.broker.max.id (${most})`,
    )
  }
  const { clusterId } = config
  if (clusterId !== null && !/^[A-Za-z0-9_-]{1,64}$/.test(clusterId)) {
    throw new ConfigError(
      'CLUSTER_ID',
      clusterId,
      'expected up to 64 letters, digits, "-" or "_", as kafka-storage random-uuid prints',
    )
  }
}

/** A KRaft-era file starts this broker where its quorum is this one node. */
function checkKraft(config: BrokerConfig): void {
  const roles = config.get('process.roles')
  if (roles.length === 0) return
  const unknown = roles.find((role) => role !== 'broker' && role !== 'controller')
  if (unknown !== undefined) {
    throw new ConfigError('process.roles', roles.join(','), 'expected broker, or broker,controller')
  }
  if (!roles.includes('broker')) {
    throw new ConfigError(
      'process.roles',
      roles.join(','),
      'a controller alone is not needed; start the node with process.roles=broker,controller',
    )
  }
  const nodeId = config.get('broker.id')
  const voters = config.get('controller.quorum.voters')
  const advice = `a quorum of several nodes comes with a later release; for one broker set controller.quorum.voters=${nodeId}@localhost:9093`
  if (voters.length > 1) throw new ConfigError('controller.quorum.voters', voters.join(','), advice)
  if (voters.length === 1) {
    const id = /^(\d+)@[^@]+:\d+$/.exec(voters[0])?.[1]
    if (id === undefined)
      throw new ConfigError('controller.quorum.voters', voters[0], 'expected id@host:port')
    if (Number(id) !== nodeId) {
      throw new ConfigError(
        'controller.quorum.voters',
        voters[0],
        `the voter is another node than this one (node.id=${nodeId}); ${advice} and process.roles=broker,controller`,
      )
    }
  }
  const servers = config.get('controller.quorum.bootstrap.servers')
  if (servers.length > 1)
    throw new ConfigError('controller.quorum.bootstrap.servers', servers.join(','), advice)
}

function checkLog(config: BrokerConfig): void {
  const atLeast = (key: 'log.roll.ms' | 'log.roll.jitter.ms', least: number) => {
    const value = config.get(key)
    if (value !== null && value < least)
      throw new ConfigError(key, String(value), `expected at least ${least}`)
  }
  atLeast('log.roll.ms', 1)
  atLeast('log.roll.jitter.ms', 0)
  for (const key of ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours'] as const) {
    const value = config.get(key)
    if (value === 0) throw new ConfigError(key, '0', 'expected -1 (without limit) or at least 1')
    if (value !== null) break
  }
  if (config.logDirs().length === 0) throw new ConfigError('log.dirs', '', 'expected at least one directory')
  const buffer = config.get('log.cleaner.dedupe.buffer.size')
  const threads = config.get('log.cleaner.threads')
  if (threads > 0 && buffer / threads <= MIB) {
    throw new ConfigError(
      'log.cleaner.dedupe.buffer.size',
      String(buffer),
      `expected more than 1 MiB for each of the ${threads} cleaner threads`,
    )
  }
  if (config.get('log.cleaner.min.compaction.lag.ms') > config.get('log.cleaner.max.compaction.lag.ms')) {
    throw new ConfigError(
      'log.cleaner.min.compaction.lag.ms',
      String(config.get('log.cleaner.min.compaction.lag.ms')),
      'expected at most log.cleaner.max.compaction.lag.ms',
    )
  }
}

const REPLICA_SELECTORS = ['RackAwareReplicaSelector', 'LeaderSelector'].map(
  (name) => `org.apache.kafka.common.replica.${name}`,
)

function checkReplication(config: BrokerConfig): void {
  const selector = config.get('replica.selector.class')
  if (selector !== null && selector !== '' && !REPLICA_SELECTORS.includes(selector)) {
    throw new ConfigError('replica.selector.class', selector, `expected ${REPLICA_SELECTORS.join(' or ')}`)
  }
  const waitMs = config.get('replica.fetch.wait.max.ms')
  for (const key of ['replica.socket.timeout.ms', 'replica.lag.time.max.ms'] as const) {
    if (waitMs > config.get(key)) {
      throw new ConfigError(
        'replica.fetch.wait.max.ms',
        String(waitMs),
        `expected at most ${key} (${config.get(key)})`,
      )
    }
  }
  const acks = config.get('offsets.commit.required.acks')
  const replicas = config.get('offsets.topic.replication.factor')
  if (acks < -1 || acks > replicas) {
    throw new ConfigError(
      'offsets.commit.required.acks',
      String(acks),
      `expected -1 to offsets.topic.replication.factor (${replicas})`,
    )
  }
  if (config.get('group.min.session.timeout.ms') > config.get('group.max.session.timeout.ms')) {
    throw new ConfigError(
      'group.min.session.timeout.ms',
      String(config.get('group.min.session.timeout.ms')),
      `expected at most group.max.session.timeout.ms (${config.get('group.max.session.timeout.ms')})`,
    )
  }
  checkConsumerGroups(config)
  if (config.get('max.connections.per.ip') === 0 && config.get('max.connections.per.ip.overrides') === '') {
    throw new ConfigError(
      'max.connections.per.ip',
      '0',
      'expected more than 0 where max.connections.per.ip.overrides is empty',
    )
  }
  const queued = config.get('queued.max.request.bytes')
  if (queued > 0 && queued < config.get('socket.request.max.bytes')) {
    throw new ConfigError(
      'queued.max.request.bytes',
      String(queued),
      'expected at least socket.request.max.bytes',
    )
  }
}

/** Source: GroupCoordinatorConfig.java (4.1). */
function checkConsumerGroups(config: BrokerConfig): void {
  const refuse = (key: string, value: unknown, expected: string): never => {
    throw new ConfigError(key, String(value), `expected ${expected}`)
  }
  const protocols = config.get('group.coordinator.rebalance.protocols')
  if (!protocols.includes('classic')) {
    refuse('group.coordinator.rebalance.protocols', protocols, '`classic` among them')
  }
  if (config.get('group.consumer.assignors').length === 0) {
    refuse('group.consumer.assignors', '', 'at least one')
  }
  const session = config.get('group.consumer.session.timeout.ms')
  const heartbeat = config.get('group.consumer.heartbeat.interval.ms')
  const bounds: [key: string, value: number, least: number, most: number][] = [
    [
      'group.consumer.session.timeout.ms',
      session,
      config.get('group.consumer.min.session.timeout.ms'),
      config.get('group.consumer.max.session.timeout.ms'),
    ],
    [
      'group.consumer.heartbeat.interval.ms',
      heartbeat,
      config.get('group.consumer.min.heartbeat.interval.ms'),
      config.get('group.consumer.max.heartbeat.interval.ms'),
    ],
  ]
  for (const [key, value, least, most] of bounds) {
    if (value < least || value > most) refuse(key, value, `${least} to ${most}`)
  }
  if (heartbeat >= session) {
    refuse(
      'group.consumer.heartbeat.interval.ms',
      heartbeat,
      `less than group.consumer.session.timeout.ms (${session})`,
    )
  }
}
