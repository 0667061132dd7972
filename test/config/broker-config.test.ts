import { describe, expect, it } from 'vitest'
import { BrokerConfig } from '../../src/broker/config/broker-config.ts'

describe('BrokerConfig', () => {
  it('gives Kafka defaults typed by key', () => {
    const config = new BrokerConfig({})
    expect(config.get('num.partitions')).toBe(1)
    expect(config.get('auto.create.topics.enable')).toBe(true)
    expect(config.get('log.cleanup.policy')).toEqual(['delete'])
    expect(config.get('group.initial.rebalance.delay.ms')).toBe(3000)
    expect(config.sourceOf('num.partitions')).toBe('default')
  })

  it('has other defaults in the development profile', () => {
    const config = new BrokerConfig({ listeners: 'PLAINTEXT://127.0.0.1:0' }, { profile: 'development' })
    expect(config.get('offsets.topic.replication.factor')).toBe(1)
    expect(config.get('group.initial.rebalance.delay.ms')).toBe(0)
    expect(config.resolveAdvertised(new Map([['PLAINTEXT', 4711]]))).toEqual([
      { name: 'PLAINTEXT', host: '127.0.0.1', port: 4711 },
    ])
  })

  it('resolves topic settings over broker settings', () => {
    const config = new BrokerConfig({ 'log.retention.minutes': '5', 'log.retention.hours': '7' })
    expect(config.topicLogConfig({}).retentionMs).toBe(300_000)
    expect(config.topicLogConfig({ 'retention.ms': '12' }).retentionMs).toBe(12)
    expect(config.topicLogConfig({}).flushMs).toBe(Infinity)
    expect(config.topicLogConfig({}).segmentMs).toBe(604_800_000)
  })
})
