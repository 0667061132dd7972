import { describe, expect, it } from 'vitest'
import { BrokerConfig, validateTopicConfigs } from '../../src/broker/config/broker-config.ts'

describe('BrokerConfig', () => {
  it("gives Kafka's defaults, typed by key", () => {
    const config = new BrokerConfig({})
    expect(config.get('num.partitions')).toBe(1)
    expect(config.get('auto.create.topics.enable')).toBe(true)
    expect(config.get('log.cleanup.policy')).toEqual(['delete'])
    expect(config.get('group.initial.rebalance.delay.ms')).toBe(3000)
    expect(config.get('offsets.topic.replication.factor')).toBe(3)
    expect(config.get('zookeeper.connect')).toBeNull()
    expect(config.logDirs()).toEqual(['/tmp/kafka-logs'])
    expect(config.sourceOf('num.partitions')).toBe('default')
  })

  it('has defaults for one developer in the development profile', () => {
    const config = new BrokerConfig({}, { profile: 'development' })
    expect(config.get('offsets.topic.replication.factor')).toBe(1)
    expect(config.get('transaction.state.log.replication.factor')).toBe(1)
    expect(config.get('transaction.state.log.min.isr')).toBe(1)
    expect(config.get('group.initial.rebalance.delay.ms')).toBe(0)
    expect(config.get('broker.id')).toBe(1)
    expect(config.listeners()).toEqual([{ name: 'PLAINTEXT', host: 'localhost', port: 9092 }])
    expect(config.logDirs()).toEqual(['odradek-data'])
    expect(config.sourceOf('broker.id')).toBe('default')
  })

  it('takes broker.id and node.id as one setting', () => {
    expect(new BrokerConfig({ 'node.id': '7' }).get('broker.id')).toBe(7)
    expect(new BrokerConfig({ 'broker.id': '7' }).get('node.id')).toBe(7)
  })

  it('reads several data directories, and log.dir where log.dirs is missing', () => {
    expect(new BrokerConfig({ 'log.dirs': '/a, /b' }).logDirs()).toEqual(['/a', '/b'])
    expect(new BrokerConfig({ 'log.dir': '/c' }).logDirs()).toEqual(['/c'])
  })

  it.each<[Record<string, string>, number]>([
    [{}, 7 * 24 * 3_600_000],
    [{ 'log.retention.hours': '1' }, 3_600_000],
    [{ 'log.retention.hours': '1', 'log.retention.minutes': '2' }, 120_000],
    [{ 'log.retention.hours': '1', 'log.retention.minutes': '2', 'log.retention.ms': '3' }, 3],
    [{ 'log.retention.hours': '-1' }, -1],
    [{ 'log.retention.minutes': '-5' }, -1],
    [{ 'log.retention.ms': '-1' }, -1],
  ])('%j keeps records for %d ms', (properties, retentionMs) => {
    expect(new BrokerConfig(properties).topicLogConfig({}).retentionMs).toBe(retentionMs)
  })

  it("prefers a topic's own settings to the broker's", () => {
    const config = new BrokerConfig({ 'log.segment.bytes': '1000', 'log.roll.hours': '2' })
    expect(config.topicLogConfig({}).segmentBytes).toBe(1000)
    expect(config.topicLogConfig({}).segmentMs).toBe(7_200_000)
    expect(config.topicLogConfig({ 'segment.bytes': '2000', 'retention.ms': '5' })).toMatchObject({
      segmentBytes: 2000,
      retentionMs: 5,
      segmentMs: 7_200_000,
      flushMs: Infinity,
      flushMessages: Infinity,
      cleanupPolicy: ['delete'],
    })
  })

  it('takes log.flush.scheduler.interval.ms where no flush interval is set', () => {
    expect(new BrokerConfig({ 'log.flush.scheduler.interval.ms': '9' }).topicLogConfig({}).flushMs).toBe(9)
    expect(
      new BrokerConfig({
        'log.flush.scheduler.interval.ms': '9',
        'log.flush.interval.ms': '4',
      }).topicLogConfig({}).flushMs,
    ).toBe(4)
  })

  it('takes the old timestamp difference where before and after are not set (KIP-937)', () => {
    const config = new BrokerConfig({ 'log.message.timestamp.difference.max.ms': '10' })
    expect(config.topicLogConfig({ 'message.timestamp.after.max.ms': '3' })).toMatchObject({
      messageTimestampBeforeMaxMs: 10,
      messageTimestampAfterMaxMs: 3,
    })
  })

  it('puts dynamic settings in force, of this broker before those of the cluster, and says which changed', () => {
    const config = new BrokerConfig({ 'message.max.bytes': '1000' })
    expect(config.setDynamic('default', { 'message.max.bytes': '2000' })).toEqual(['message.max.bytes'])
    expect(config.get('message.max.bytes')).toBe(2000)
    expect(config.setDynamic('broker', { 'message.max.bytes': '3000' })).toEqual(['message.max.bytes'])
    expect(config.sourceOf('message.max.bytes')).toBe('dynamic-broker')
    expect(config.synonymsOf('message.max.bytes')).toEqual([
      { name: 'message.max.bytes', value: '3000', source: 'dynamic-broker' },
      { name: 'message.max.bytes', value: '2000', source: 'dynamic-default' },
      { name: 'message.max.bytes', value: '1000', source: 'static' },
      { name: 'message.max.bytes', value: '1048588', source: 'default' },
    ])
    config.setDynamic('broker', {})
    expect(config.setDynamic('default', {})).toEqual(['message.max.bytes'])
    expect(config.get('message.max.bytes')).toBe(1000)
  })

  it('lets a dynamic setting end a static one of another unit', () => {
    const config = new BrokerConfig({ 'log.retention.hours': '5' })
    config.setDynamic('default', { 'log.retention.ms': '1' })
    expect(config.topicLogConfig({}).retentionMs).toBe(1)
    expect(config.synonymsOf('log.retention.ms').map(({ name }) => name)).toEqual([
      'log.retention.ms',
      'log.retention.hours',
      'log.retention.hours',
    ])
  })

  it('keeps the settings in force when dynamic ones are wrong', () => {
    const config = new BrokerConfig({})
    expect(() => config.setDynamic('broker', { 'message.max.bytes': 'x' })).toThrow('message.max.bytes=x')
    expect(config.get('message.max.bytes')).toBe(1048588)
  })
})

describe('Topic settings', () => {
  it.each<[Record<string, string | null>, string | null]>([
    [{}, null],
    [{ 'retention.ms': '-1', 'cleanup.policy': 'compact,delete', 'compression.type': 'zstd' }, null],
    [{ 'retention.ms': 'soon' }, 'Invalid value soon for configuration retention.ms'],
    [{ 'retention.ms': '-2' }, 'retention.ms=-2: expected an integer from -1'],
    [{ 'retention.msec': '1' }, 'Unknown topic config name: retention.msec'],
    [{ constructor: '1' }, 'Unknown topic config name: constructor'],
    [{ 'retention.ms': null }, 'Null value not supported for topic configs: retention.ms'],
    [{ 'cleanup.policy': 'burn' }, 'expected a list of compact, delete'],
    [{ 'remote.storage.enable': 'true' }, 'tiered storage is not supported'],
    [
      { 'min.compaction.lag.ms': '5', 'max.compaction.lag.ms': '4' },
      'min.compaction.lag.ms (5) > max.compaction.lag.ms (4)',
    ],
  ])('%j', (configs, fault) => {
    const result = validateTopicConfigs(configs)
    if (fault === null) expect(result).toBeNull()
    else expect(result).toContain(fault)
  })
})
