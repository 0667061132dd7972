import { describe, expect, it } from 'vitest'
import { memberProperties, replicationProperties } from '../../src/broker/config/cluster-config.ts'
import { loadConfig } from '../../src/broker/config/load-config.ts'
import type { Properties } from '../../src/broker/config/broker-config.ts'

const load = (overrides: Properties, file: Properties | null = null) =>
  loadConfig({ file, variables: {}, overrides })

describe('Brokers that are one cluster in one process', () => {
  it('have three replicas where nothing is said, or as many as there are brokers', () => {
    const none = load({})
    expect(replicationProperties(none, 5)).toEqual({
      'offsets.topic.replication.factor': '3',
      'transaction.state.log.replication.factor': '3',
      'transaction.state.log.min.isr': '2',
      'default.replication.factor': '3',
    })
    expect(replicationProperties(none, 2)).toMatchObject({ 'default.replication.factor': '2' })
    expect(replicationProperties(none, 1)).toMatchObject({
      'offsets.topic.replication.factor': '1',
      'transaction.state.log.min.isr': '1',
    })
  })

  it('do what is said, but for internal topics with more replicas than brokers', () => {
    const said = load({
      'default.replication.factor': '1',
      'offsets.topic.replication.factor': '2',
      'transaction.state.log.replication.factor': '5',
      'transaction.state.log.min.isr': '4',
    })
    expect(replicationProperties(said, 3)).toEqual({
      'transaction.state.log.replication.factor': '3',
      'transaction.state.log.min.isr': '3',
    })
  })

  it('are who and where they are told to be, whatever the file says', () => {
    const file = {
      'process.roles': 'broker,controller',
      'node.id': '7',
      listeners: 'PLAINTEXT://:1,CONTROLLER://:2',
      'advertised.listeners': 'PLAINTEXT://elsewhere:1',
      'controller.listener.names': 'CONTROLLER',
      'log.dirs': '/a,/b',
      'num.partitions': '4',
    }
    const place = { id: 2, host: 'localhost', port: 9093, logDir: '/data/broker2' }
    const config = load(memberProperties(place), file)
    expect(config.get('broker.id')).toBe(2)
    expect(config.listeners()).toMatchObject([{ name: 'PLAINTEXT', host: 'localhost', port: 9093 }])
    expect(config.resolveAdvertised(new Map())).toMatchObject([{ host: 'localhost', port: 9093 }])
    expect(config.logDirs()).toEqual(['/data/broker2'])
    expect(config.get('num.partitions')).toBe(4)
  })
})
