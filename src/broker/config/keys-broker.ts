/** Keys of identity, coordination, network, topics, replication and quotas. Source: Kafka 3.9's *Configs.java. */
import { bool, className, double, int, list, long, oneOf, password, string } from './config-types.ts'

const accepted = { honoured: false } as const
const cluster = { dynamic: 'cluster' } as const
const acceptedDynamic = { honoured: false, dynamic: 'cluster' } as const

export const identityKeys = {
  'broker.id': int(-1, 'Id of this broker in the cluster; -1: one is generated. `node.id` means the same.'),
  'broker.id.generation.enable': bool(true, 'Whether a missing broker id is generated.'),
  'reserved.broker.max.id': int(1000, 'Generated ids begin above this.', { min: 0 }),
  'broker.rack': string(null, 'Rack of this broker, for placing replicas and for clients.'),
  'inter.broker.protocol.version': string('3.9-IV0', 'Version of the inter-broker protocol.', accepted),
  'node.id': int(-1, 'Id of this node in a KRaft-era file; the same as `broker.id`.'),
  'process.roles': list([], 'KRaft-era: must name `broker`; one process does all here.', accepted),
  'controller.quorum.voters': list(
    [],
    'KRaft-era: one voter, this node, is accepted; no quorum is opened.',
    accepted,
  ),
  'controller.quorum.bootstrap.servers': list(
    [],
    'KRaft-era: accepted with one server; nothing is opened.',
    accepted,
  ),
  'controller.listener.names': list([], 'KRaft-era: listeners that are not opened here.', accepted),
  'metadata.log.dir': string(null, 'KRaft-era metadata log; not used.', accepted),
}

export const zookeeperKeys = {
  'zookeeper.connect': string(
    null,
    'A ZooKeeper ensemble, `host:port,host:port/chroot`; without it one broker stands on its embedded store.',
  ),
  'zookeeper.session.timeout.ms': int(
    18000,
    'A broker that the coordination service has not heard of for this long is taken for gone.',
    { min: 1 },
  ),
  'zookeeper.connection.timeout.ms': int(
    null,
    'Longest wait for the first connection; default: the session timeout.',
    { min: 1 },
  ),
  'zookeeper.max.in.flight.requests': int(10, 'Requests sent without waiting for answers.', {
    ...accepted,
    min: 1,
  }),
  'zookeeper.set.acl': bool(
    false,
    'Whether znodes can be changed by their maker alone; needs `zookeeper.digest`.',
  ),
  'zookeeper.ssl.client.enable': bool(false, 'TLS towards the ensemble. Must stay false.'),
  'zookeeper.metadata.migration.enable': bool(false, 'Migration to KRaft. Must stay false.'),
  // Not Kafka's, whose clients log in through JAAS.
  'zookeeper.digest': password('Credentials for the ensemble, `user:password`.', { internal: true }),
}

export const networkKeys = {
  listeners: string('PLAINTEXT://:9092', 'Addresses to listen on: `NAME://host:port`, separated by commas.'),
  'advertised.listeners': string(null, 'Addresses given to clients; default: those of `listeners`.'),
  'listener.security.protocol.map': string(
    'SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT',
    'Security protocol of each listener name. Only PLAINTEXT in this release.',
  ),
  'inter.broker.listener.name': string(null, 'The listener that brokers use among themselves.'),
  'security.inter.broker.protocol': oneOf(
    ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'],
    'PLAINTEXT',
    'Chooses the inter-broker listener by protocol where no name is given.',
  ),
  'control.plane.listener.name': string(null, 'Listener for controller requests.', accepted),
  'num.network.threads': int(3, 'Network threads; one event loop serves here.', {
    ...acceptedDynamic,
    min: 1,
  }),
  'num.io.threads': int(8, 'Request threads; one event loop serves here.', { ...acceptedDynamic, min: 1 }),
  'background.threads': int(10, 'Background threads.', { ...acceptedDynamic, min: 1 }),
  'queued.max.requests': int(500, 'Requests waiting for a thread.', { ...accepted, min: 1 }),
  'queued.max.request.bytes': long(-1, 'Bytes of waiting requests.', accepted),
  'socket.send.buffer.bytes': int(102400, 'SO_SNDBUF; -1: the system decides.', accepted),
  'socket.receive.buffer.bytes': int(102400, 'SO_RCVBUF; -1: the system decides.', accepted),
  'socket.listen.backlog.size': int(50, 'Connections waiting to be accepted.', { ...accepted, min: 1 }),
  'socket.request.max.bytes': int(104857600, 'Largest request; a larger one closes its connection.', {
    min: 1,
  }),
  'max.connections': int(2147483647, 'Connections at once.', { dynamic: 'cluster', min: 0 }),
  'max.connections.per.ip': int(2147483647, 'Connections of one address.', { ...acceptedDynamic, min: 0 }),
  'max.connections.per.ip.overrides': string('', '`host:count`, separated by commas.', acceptedDynamic),
  'max.connection.creation.rate': int(2147483647, 'New connections a second.', {
    ...acceptedDynamic,
    min: 0,
  }),
  'connections.max.idle.ms': long(600000, 'An idle connection is closed after this.'),
  'connection.failed.authentication.delay.ms': int(100, 'Delay before a failed login is answered.', {
    ...accepted,
    min: 0,
  }),
  'request.timeout.ms': int(30000, 'Longest wait of a request between brokers.'),
}

export const topicKeys = {
  'num.partitions': int(1, 'Partitions of a topic created without a number.', { min: 1 }),
  'default.replication.factor': int(1, 'Replicas of a topic created without a number.'),
  'auto.create.topics.enable': bool(true, 'Whether asking for an unknown topic creates it.'),
  'delete.topic.enable': bool(true, 'Whether topics can be deleted.'),
  'create.topic.policy.class.name': className('Policy plug-in for new topics.', accepted),
  'alter.config.policy.class.name': className('Policy plug-in for changed configurations.', accepted),
  'auto.leader.rebalance.enable': bool(true, 'Whether leadership returns to preferred replicas.'),
  'leader.imbalance.check.interval.seconds': long(300, 'Time between checks of leader balance.', { min: 1 }),
  'leader.imbalance.per.broker.percentage': int(10, 'Imbalance of a broker that starts a rebalance.'),
  'odradek.fast.failover.enable': bool(
    true,
    "Whether a broker whose process is gone is replaced before its session ends. Odradek's own (docs/decisions/0013-fast-failover.md).",
  ),
  'controlled.shutdown.enable': bool(true, 'Whether a stopping broker hands its leaders over first.'),
  'controlled.shutdown.max.retries': int(3, 'Attempts of a controlled shutdown.'),
  'controlled.shutdown.retry.backoff.ms': long(5000, 'Wait between those attempts.'),
  'controller.socket.timeout.ms': int(
    30000,
    'Longest wait of the controller for a broker, and of a broker for the controller.',
  ),
  'controller.quota.window.num': int(11, 'Samples of the controller quota.', { ...accepted, min: 1 }),
  'controller.quota.window.size.seconds': int(1, 'Length of a sample.', { ...accepted, min: 1 }),
}

export const replicationKeys = {
  'replica.lag.time.max.ms': long(
    30000,
    'A follower that has not caught up for this long leaves the in-sync set.',
  ),
  'num.replica.fetchers': int(1, 'Fetchers for each leader.', cluster),
  'replica.fetch.min.bytes': int(1, 'A follower fetch waits for this many bytes.'),
  'replica.fetch.max.bytes': int(1048576, 'Bytes of one partition in a follower fetch.', { min: 0 }),
  'replica.fetch.response.max.bytes': int(10485760, 'Bytes of a whole follower fetch.', { min: 0 }),
  'replica.fetch.wait.max.ms': int(500, 'Longest wait of a follower fetch.'),
  'replica.fetch.backoff.ms': int(
    1000,
    'Longest wait after a failed follower fetch; the first waits are shorter.',
    { min: 0 },
  ),
  'replica.socket.timeout.ms': int(30000, 'Longest wait of a follower for its leader.'),
  'replica.socket.receive.buffer.bytes': int(65536, 'SO_RCVBUF of a follower.', accepted),
  'replica.high.watermark.checkpoint.interval.ms': long(5000, 'Time between writes of the high watermarks.'),
  'replica.selector.class': string(
    null,
    "What sends consumers to a replica near them: Kafka's RackAwareReplicaSelector, or its LeaderSelector, as where nothing is set.",
  ),
  'fetch.max.bytes': int(57671680, 'Most bytes a fetch is answered with.', { min: 1024 }),
  'max.incremental.fetch.session.cache.slots': int(1000, 'Fetch sessions kept.', { min: 0 }),
  'fetch.purgatory.purge.interval.requests': int(1000, 'Housekeeping of waiting fetches.', accepted),
  'producer.purgatory.purge.interval.requests': int(1000, 'Housekeeping of waiting produces.', accepted),
  'delete.records.purgatory.purge.interval.requests': int(1, 'Housekeeping of waiting deletions.', accepted),
  'replication.quota.window.num': int(11, 'Samples of the replication quota.', { min: 1 }),
  'replication.quota.window.size.seconds': int(1, 'Length of a sample.', { min: 1 }),
  'quota.window.num': int(11, 'Samples of client quotas.', { ...accepted, min: 1 }),
  'quota.window.size.seconds': int(1, 'Length of a sample.', { ...accepted, min: 1 }),
  'client.quota.callback.class': className('Plug-in for client quotas.', accepted),
  'metric.reporters': list([], 'Metric plug-ins.', acceptedDynamic),
  'metrics.num.samples': int(2, 'Samples of a metric.', { ...accepted, min: 1 }),
  'metrics.sample.window.ms': long(30000, 'Length of a sample.', { ...accepted, min: 1 }),
}

/** Not in any file: set through the admin client alone (KIP-73, KIP-113). */
export const dynamicOnlyKeys = {
  'leader.replication.throttled.rate': long(
    Infinity,
    'Bytes a second that leaders send throttled replicas.',
    {
      ...cluster,
      min: 0,
    },
  ),
  'follower.replication.throttled.rate': long(Infinity, 'Bytes a second that throttled followers take.', {
    ...cluster,
    min: 0,
  }),
  'replica.alter.log.dirs.io.max.bytes.per.second': long(
    Infinity,
    'Bytes a second of moves between directories (AlterReplicaLogDirs).',
    { dynamic: 'cluster', min: 0 },
  ),
}

export const cleanerKeys = {
  'log.cleaner.enable': bool(true, 'Whether compacted topics are compacted.'),
  'log.cleaner.threads': int(
    1,
    'Parts of the memory of cleaning, of which one is used: one log is compacted at a time. 0: none.',
    { ...cluster, min: 0 },
  ),
  'log.cleaner.dedupe.buffer.size': long(134217728, 'Most memory of the offset map.', cluster),
  'log.cleaner.io.buffer.size': int(524288, 'Memory of cleaning.', { ...cluster, min: 0 }),
  'log.cleaner.io.buffer.load.factor': double(0.9, 'How full the offset map may be.', cluster),
  'log.cleaner.io.max.bytes.per.second': double(
    Number.MAX_VALUE,
    'Bytes a second of cleaning, read and written.',
    cluster,
  ),
  'log.cleaner.backoff.ms': long(15000, 'Wait where there is nothing to clean.', { ...cluster, min: 0 }),
  'log.cleaner.min.cleanable.ratio': double(0.5, 'Share of dirty bytes that starts a cleaning.', {
    ...cluster,
    min: 0,
    max: 1,
  }),
  'log.cleaner.delete.retention.ms': long(86400000, 'How long deletion marks are kept.', {
    ...cluster,
    min: 0,
  }),
  'log.cleaner.min.compaction.lag.ms': long(0, 'A record stays uncompacted for at least this.', {
    ...cluster,
    min: 0,
  }),
  'log.cleaner.max.compaction.lag.ms': long(
    Infinity,
    'A record becomes open to compaction after at most this.',
    { ...cluster, min: 1 },
  ),
}
