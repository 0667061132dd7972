/** Keys of the log, of groups, offsets, transactions and producers. Source: Kafka 3.9's *Configs.java. */
import { bool, double, int, list, long, oneOf, short, string } from './config-types.ts'

const accepted = { honoured: false } as const
const cluster = { dynamic: 'cluster' } as const
const acceptedDynamic = { honoured: false, dynamic: 'cluster' } as const

export const CLEANUP_POLICIES = ['compact', 'delete'] as const
export const TIMESTAMP_TYPES = ['CreateTime', 'LogAppendTime'] as const
export const COMPRESSION_TYPES = ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'] as const

const GZIP_LEVEL = 'Level of what is stored as gzip; -1: the library chooses.'
const LZ4_LEVEL = 'Level of what is stored as lz4 (docs/decisions/0010-levels-of-lz4.md)'
const ZSTD_LEVEL = 'Level of what is stored as zstd.'
const gzipLevels = { min: 1, max: 9, alsoAllowed: -1 } as const

export const logKeys = {
  'log.dir': string('/tmp/kafka-logs', 'Data directory where `log.dirs` is not given.'),
  'log.dirs': string(null, 'Data directories, separated by commas.'),
  'log.segment.bytes': int(1073741824, 'Size at which a new segment begins.', { ...cluster, min: 14 }),
  'log.roll.ms': long(null, 'Age at which a new segment begins; before `log.roll.hours`.', cluster),
  'log.roll.hours': int(168, 'Age at which a new segment begins.', { min: 1 }),
  'log.roll.jitter.ms': long(
    null,
    'Up to so much, by chance, is taken off that age; before `log.roll.jitter.hours`.',
    cluster,
  ),
  'log.roll.jitter.hours': int(0, 'Up to so much, by chance, is taken off that age.', { min: 0 }),
  'log.index.size.max.bytes': int(10485760, 'Largest size of an index.', { ...cluster, min: 4 }),
  'log.index.interval.bytes': int(4096, 'Bytes between index entries.', { ...cluster, min: 0 }),
  'log.retention.ms': long(
    null,
    'How long records are kept; before minutes and hours. -1: for ever.',
    cluster,
  ),
  'log.retention.minutes': int(null, 'How long records are kept; before `log.retention.hours`.'),
  'log.retention.hours': int(168, 'How long records are kept.'),
  'log.retention.bytes': long(-1, 'Bytes kept of a partition; -1: no limit.', cluster),
  'log.retention.check.interval.ms': long(300000, 'Time between checks of retention.', { min: 1 }),
  'log.cleanup.policy': list(['delete'], 'What happens to old records.', {
    ...cluster,
    allowed: CLEANUP_POLICIES,
  }),
  'log.segment.delete.delay.ms': long(60000, 'A deleted file goes from the disk after this.', {
    ...cluster,
    min: 0,
  }),
  'log.flush.interval.messages': long(Infinity, 'Records after which a partition is flushed to disk.', {
    ...cluster,
    min: 1,
  }),
  'log.flush.interval.ms': long(null, 'Time after which a partition is flushed to disk.', cluster),
  'log.flush.scheduler.interval.ms': long(
    Infinity,
    'What `log.flush.interval.ms` is where it is not given. There is no scheduler: each log is flushed when its time has come.',
  ),
  'log.flush.offset.checkpoint.interval.ms': int(60000, 'Time between writes of the recovery points.', {
    min: 0,
  }),
  'log.flush.start.offset.checkpoint.interval.ms': int(60000, 'Time between writes of the log starts.', {
    min: 0,
  }),
  'log.preallocate': bool(
    false,
    'Whether a new segment takes its whole size at once (docs/decisions/0011-no-preallocation.md).',
    acceptedDynamic,
  ),
  'log.message.format.version': string('3.0-IV1', 'Has no effect since Kafka 3.0.', accepted),
  'log.message.timestamp.type': oneOf(
    TIMESTAMP_TYPES,
    'CreateTime',
    'Whose clock gives timestamps.',
    cluster,
  ),
  'log.message.timestamp.before.max.ms': long(Infinity, 'How far a timestamp may lie in the past.', {
    ...cluster,
    min: 0,
  }),
  'log.message.timestamp.after.max.ms': long(Infinity, 'How far a timestamp may lie in the future.', {
    ...cluster,
    min: 0,
  }),
  'log.message.timestamp.difference.max.ms': long(Infinity, 'Both of these, where they are not set.', {
    ...cluster,
    min: 0,
  }),
  'log.message.downconversion.enable': bool(
    true,
    'Whether old fetch versions get converted records.',
    acceptedDynamic,
  ),
  'message.max.bytes': int(1048588, 'Largest batch.', { ...cluster, min: 0 }),
  'compression.type': oneOf(COMPRESSION_TYPES, 'producer', 'How batches are stored.', cluster),
  'compression.gzip.level': int(-1, GZIP_LEVEL, { ...cluster, ...gzipLevels }),
  'compression.lz4.level': int(9, LZ4_LEVEL, { ...acceptedDynamic, min: 1, max: 17 }),
  'compression.zstd.level': int(3, ZSTD_LEVEL, { ...cluster, min: -131072, max: 22 }),
  'min.insync.replicas': int(1, 'Replicas that acks=all waits for at least.', { ...cluster, min: 1 }),
  'unclean.leader.election.enable': bool(false, 'Whether a replica that lags may lead.', cluster),
  'num.recovery.threads.per.data.dir': int(1, 'Threads of start-up recovery.', {
    ...acceptedDynamic,
    min: 1,
  }),
  'num.replica.alter.log.dirs.threads': int(null, 'Threads of moves between directories.', accepted),
  'remote.log.storage.system.enable': bool(false, 'Tiered storage. Must stay false.'),
}

export const groupKeys = {
  'group.min.session.timeout.ms': int(6000, 'Shortest session timeout of a member.'),
  'group.max.session.timeout.ms': int(1800000, 'Longest session timeout of a member.'),
  'group.initial.rebalance.delay.ms': int(3000, 'Wait for more members before the first rebalance.'),
  'group.max.size': int(2147483647, 'Members of a group.', { min: 1 }),
  'group.coordinator.rebalance.protocols': list(
    ['classic', 'consumer'],
    'Group protocols served (docs/decisions/0016-consumer-groups.md)',
    { allowed: ['classic', 'consumer'] },
  ),
  'group.consumer.session.timeout.ms': int(45000, 'A silent member of a consumer group is gone after this.', {
    min: 1,
  }),
  'group.consumer.min.session.timeout.ms': int(
    45000,
    'Least that `group.consumer.session.timeout.ms` may be.',
    {
      min: 1,
    },
  ),
  'group.consumer.max.session.timeout.ms': int(
    60000,
    'Most that `group.consumer.session.timeout.ms` may be.',
    {
      min: 1,
    },
  ),
  'group.consumer.heartbeat.interval.ms': int(5000, 'Time between heartbeats that members are told.', {
    min: 1,
  }),
  'group.consumer.min.heartbeat.interval.ms': int(
    5000,
    'Least that `group.consumer.heartbeat.interval.ms` may be.',
    { min: 1 },
  ),
  'group.consumer.max.heartbeat.interval.ms': int(
    15000,
    'Most that `group.consumer.heartbeat.interval.ms` may be.',
    { min: 1 },
  ),
  'group.consumer.max.size': int(2147483647, 'Members of a consumer group.', { min: 1 }),
  'group.consumer.assignors': list(['uniform', 'range'], 'Server-side assignors; the first is the default.', {
    allowed: ['uniform', 'range'],
  }),
  'group.consumer.migration.policy': oneOf(
    ['bidirectional', 'upgrade', 'downgrade', 'disabled'],
    'bidirectional',
    'Which groups with members may change between the classic and the consumer protocol.',
  ),
  'group.consumer.regex.refresh.interval.ms': int(
    600000,
    'Time after which the topics of regular expressions are looked up again.',
    { min: 10000 },
  ),
  'offset.metadata.max.bytes': int(4096, 'Largest metadata of a committed offset.'),
  'offsets.load.buffer.size': int(5242880, 'Memory of loading committed offsets.', { ...accepted, min: 1 }),
  'offsets.topic.num.partitions': int(50, 'Partitions of `__consumer_offsets`.', { min: 1 }),
  'offsets.topic.replication.factor': short(3, 'Replicas of `__consumer_offsets`.', { min: 1 }),
  'offsets.topic.segment.bytes': int(104857600, 'Segment size of `__consumer_offsets`.', { min: 1 }),
  'offsets.topic.compression.codec': int(0, 'Codec of `__consumer_offsets`.', {
    ...accepted,
    min: 0,
    max: 4,
  }),
  'offsets.retention.minutes': int(10080, 'Offsets of an empty group are kept for this.', { min: 1 }),
  'offsets.retention.check.interval.ms': long(600000, 'Time between checks for expired offsets.', { min: 1 }),
  'offsets.commit.timeout.ms': int(5000, 'Longest wait for a commit to be replicated.', { min: 1 }),
  'offsets.commit.required.acks': short(-1, 'Acknowledgements of a commit.', accepted),
}

export const transactionKeys = {
  'transaction.state.log.num.partitions': int(50, 'Partitions of `__transaction_state`.', {
    min: 1,
  }),
  'transaction.state.log.replication.factor': short(3, 'Replicas of `__transaction_state`.', {
    min: 1,
  }),
  'transaction.state.log.min.isr': int(2, 'In-sync replicas of `__transaction_state`.', {
    min: 1,
  }),
  'transaction.state.log.segment.bytes': int(104857600, 'Segment size of `__transaction_state`.', {
    min: 1,
  }),
  'transaction.state.log.load.buffer.size': int(5242880, 'Memory of loading transactions.', {
    ...accepted,
    min: 1,
  }),
  'transaction.max.timeout.ms': int(900000, 'Longest timeout of a transaction.', { min: 1 }),
  'transactional.id.expiration.ms': int(604800000, 'An unused transactional id is forgotten after this.', {
    min: 1,
  }),
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': int(
    10000,
    'Time between aborts of late ones.',
    { min: 1 },
  ),
  'transaction.remove.expired.transaction.cleanup.interval.ms': int(
    3600000,
    'Time between removals of ids.',
    { min: 1 },
  ),
  'transaction.partition.verification.enable': bool(
    true,
    'Whether the coordinator is asked before a transaction writes to a partition.',
    cluster,
  ),
  'add.partitions.to.txn.retry.backoff.ms': int(20, 'Wait before a leader adds a partition again.', {
    min: 1,
  }),
  'add.partitions.to.txn.retry.backoff.max.ms': int(
    100,
    'For how long it does, while the transaction before ends.',
    { min: 0 },
  ),
  'odradek.transaction.version': oneOf(
    ['0', '2'],
    '2',
    "The highest transaction.version served; what clients go by is the lowest of all brokers. Odradek's own (docs/decisions/0019-transaction-version.md).",
  ),
  'producer.id.expiration.ms': int(86400000, 'An idle producer id is forgotten after this.', {
    ...cluster,
    min: 1,
  }),
  'producer.id.expiration.check.interval.ms': int(600000, 'Time between those checks.', {
    min: 1,
    internal: true,
  }),
  'max.request.partition.size.limit': int(2000, 'Partitions of one DescribeTopicPartitions.', {
    ...accepted,
    min: 1,
  }),
}

/** Topic keys, and the broker key that gives the default where a topic sets nothing. */
/** `partition:broker`, or `*` for all. */
const replicaPattern = /^(\*|\d+:\d+)$/

/** Of single groups of the consumer protocol. What they do not set is that of `group.` and their name. */
export const groupLevelKeys = {
  'consumer.session.timeout.ms': int(45000, 'A silent member of this group is gone after this.', { min: 1 }),
  'consumer.heartbeat.interval.ms': int(
    5000,
    'Time between heartbeats that members of this group are told.',
    {
      min: 1,
    },
  ),
}

export const topicLevelKeys = {
  'segment.bytes': int(1073741824, 'Size at which a new segment begins.', { min: 14 }),
  'segment.ms': long(604800000, 'Age at which a new segment begins.', { min: 1 }),
  'segment.jitter.ms': long(0, 'Up to so much, by chance, is taken off that age.', { min: 0 }),
  'segment.index.bytes': int(10485760, 'Largest size of an index.', { min: 4 }),
  'flush.messages': long(Infinity, 'Records after which a partition is flushed to disk.', { min: 1 }),
  'flush.ms': long(Infinity, 'Time after which a partition is flushed to disk.', { min: 0 }),
  'retention.bytes': long(-1, 'Bytes kept of a partition; -1: no limit.'),
  'retention.ms': long(604800000, 'How long records are kept; -1: for ever.', { min: -1 }),
  'max.message.bytes': int(1048588, 'Largest batch.', { min: 0 }),
  'index.interval.bytes': int(4096, 'Bytes between index entries.', { min: 0 }),
  'delete.retention.ms': long(86400000, 'How long deletion marks are kept.', { min: 0 }),
  'min.compaction.lag.ms': long(0, 'A record stays uncompacted for at least this.', {
    min: 0,
  }),
  'max.compaction.lag.ms': long(Infinity, 'A record becomes open to compaction after at most this.', {
    min: 1,
  }),
  'file.delete.delay.ms': long(60000, 'A deleted file goes from the disk after this.', { min: 0 }),
  'min.cleanable.dirty.ratio': double(0.5, 'Share of dirty bytes that starts a cleaning.', {
    min: 0,
    max: 1,
  }),
  'cleanup.policy': list(['delete'], 'What happens to old records.', { allowed: CLEANUP_POLICIES }),
  'unclean.leader.election.enable': bool(false, 'Whether a replica that lags may lead.'),
  'min.insync.replicas': int(1, 'Replicas that acks=all waits for at least.', { min: 1 }),
  'compression.type': oneOf(COMPRESSION_TYPES, 'producer', 'How batches are stored.'),
  'compression.gzip.level': int(-1, GZIP_LEVEL, gzipLevels),
  'compression.lz4.level': int(9, LZ4_LEVEL, { ...accepted, min: 1, max: 17 }),
  'compression.zstd.level': int(3, ZSTD_LEVEL, { min: -131072, max: 22 }),
  preallocate: bool(
    false,
    'Whether a new segment takes its whole size at once (docs/decisions/0011-no-preallocation.md).',
    accepted,
  ),
  'message.format.version': string('3.0-IV1', 'Has no effect since Kafka 3.0.', accepted),
  'message.timestamp.type': oneOf(TIMESTAMP_TYPES, 'CreateTime', 'Whose clock gives timestamps.'),
  'message.timestamp.difference.max.ms': long(Infinity, 'The next two, where they are not set.', { min: 0 }),
  'message.timestamp.before.max.ms': long(Infinity, 'How far a timestamp may lie in the past.', { min: 0 }),
  'message.timestamp.after.max.ms': long(Infinity, 'How far a timestamp may lie in the future.', { min: 0 }),
  'leader.replication.throttled.replicas': list([], 'Throttled replicas, leader side.', {
    itemPattern: replicaPattern,
  }),
  'follower.replication.throttled.replicas': list([], 'Throttled replicas, follower side.', {
    itemPattern: replicaPattern,
  }),
  'message.downconversion.enable': bool(true, 'Whether old fetch versions get converted records.', accepted),
  'remote.storage.enable': bool(false, 'Tiered storage. Must stay false.'),
  'local.retention.ms': long(-2, 'Tiered storage: local part of retention.', { ...accepted, min: -2 }),
  'local.retention.bytes': long(-2, 'Tiered storage: local part of retention.', { ...accepted, min: -2 }),
  'remote.log.copy.disable': bool(false, 'Tiered storage. Must stay false.'),
  'remote.log.delete.on.disable': bool(false, 'Tiered storage. Must stay false.'),
}
